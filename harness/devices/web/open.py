"""Opens the browser of a device key, with the files that its page needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness.devices.kind import name_in
from harness.devices.web.browsers import find_browser, first_installed
from harness.devices.web.driven import DrivenBrowser
from harness.devices.web.hand import BY_HAND, HandDriven
from harness.devices.web.opener import Opener
from harness.devices.web.server import PageServer
from harness.devices.web.web import WebDevice, open_page
from harness.errors import BuildError, DeviceError
from harness.runners.web.libraries import LIBRARIES, default_store, fetch, is_complete


@contextlib.contextmanager
def open_web(key: str, *, store: Path | None = None) -> Iterator[WebDevice]:
    """Open the browser of ``web:NAME``. Raises `DeviceError` if it is not there, not fit, or lacks its files."""
    store = store or default_store()
    server = PageServer(store)
    opener: Opener | None = None
    try:
        opener = make_opener(key, server)
        complete_store(store)
    except BaseException:
        server.close()
        raise
    with open_page(opener, server, key) as device:
        yield device


def make_opener(key: str, server: PageServer) -> Opener:
    """Return what opens the page for ``key``; nothing is started yet. Raises `DeviceError`."""
    name = name_in(key) or first_installed()
    if name in BY_HAND:
        return HandDriven(name, server)
    return DrivenBrowser(find_browser(name), name, server)


def complete_store(store: Path) -> None:
    """Fetch the runtimes' files that are not in ``store``. Raises `DeviceError`."""
    for library in LIBRARIES.values():
        if not is_complete(library, store):
            try:
                fetch(library, store)
            except BuildError as error:
                raise DeviceError(str(error)) from error
