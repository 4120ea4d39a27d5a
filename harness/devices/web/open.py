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

# ``web:android:SERIAL`` is Chrome on a phone.
ON_PHONE = "android"


@contextlib.contextmanager
def open_web(key: str, *, store: Path | None = None) -> Iterator[WebDevice]:
    """Open the browser of ``web:NAME``. Raises `DeviceError` if it is not there, not fit, or lacks its files."""
    store = store or default_store()
    with serving(store) as server, opener_of(key, server) as opener:
        complete_store(store)
        with open_page(opener, server, key) as device:
            yield device


@contextlib.contextmanager
def serving(store: Path) -> Iterator[PageServer]:
    """Serve pages until the block ends."""
    server = PageServer(store)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def opener_of(key: str, server: PageServer) -> Iterator[Opener]:
    """Return what opens the page for ``key``; no browser is started yet. Raises `DeviceError`."""
    name = name_in(key) or first_installed()
    kind, _, serial = name.partition(":")
    if kind == ON_PHONE:
        from harness.devices.web.on_phone import phone_browser

        with phone_browser(serial, server) as browser:
            yield browser
    elif name in BY_HAND:
        yield HandDriven(name, server)
    else:
        yield DrivenBrowser(find_browser(name), name, server)


def complete_store(store: Path) -> None:
    """Fetch the runtimes' files that are not in ``store``. Raises `DeviceError`."""
    for library in LIBRARIES.values():
        if not is_complete(library, store):
            try:
                fetch(library, store)
            except BuildError as error:
                raise DeviceError(str(error)) from error
