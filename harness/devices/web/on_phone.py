"""Chrome on an Android phone: the page comes through ``adb reverse``, and the DevTools socket closes it again.

For the phone the page is at its own localhost, which browsers take for secure; another address would give the page
neither a fine clock nor threads.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from harness.devices.android.adb.cable import SHELL_S, Cable
from harness.devices.android.adb.deadline import within
from harness.devices.android.adb.link import Link, open_service
from harness.devices.android.adb.server import choose_phone, ensure_server, list_phones, server_of
from harness.devices.android.advice import named, phone_error
from harness.devices.android.facts import PhoneFacts, check_facts, emulator_condition, read_facts
from harness.devices.android.hold.upkeep import check_unlocked, keep_ready, put_back
from harness.devices.android.phone import held
from harness.devices.android.phone_store import PhoneStore
from harness.devices.android.state import read_state, state_conditions
from harness.devices.web.opener import Trouble
from harness.devices.web.probe import PageFacts, browser_name
from harness.devices.web.server import PageServer
from harness.errors import PhoneError, PhoneTrouble
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.system.decoding import plain_json
from harness.wire import FailureKind, StateSample

CHROME = "com.android.chrome"
ACTIVITY = f"{CHROME}/com.google.android.apps.chrome.Main"
DEVTOOLS = "localabstract:chrome_devtools_remote"
# An entry in the list of tabs has a kilobyte.
_MOST_BYTES, _MOST_HEAD = 16 << 20, 64 << 10

log = logging.getLogger(__name__)


@contextlib.contextmanager
def phone_browser(serial: str, server: PageServer) -> Iterator[PhoneBrowser]:
    """Prepare Chrome on the phone ``serial``, or on the only one, and restore the phone afterwards."""
    adb = server_of()
    ensure_server(adb)
    cable = Cable(adb, choose_phone(list_phones(adb), serial).serial)
    with held(cable.serial), browser_on(cable, server) as browser:
        yield browser


@contextlib.contextmanager
def browser_on(cable: Cable, server: PageServer) -> Iterator[PhoneBrowser]:
    """As `phone_browser`, on a phone that is held already."""
    facts = read_facts(cable)
    check_facts(facts)
    if cable.run(f"pm path {CHROME}").exit_code:
        what = f"{named(cable.serial)} has no Chrome ({CHROME}), the only browser that is driven on phones"
        msg = f"{what}; install it, or update it in the phone's app store"
        raise PhoneError(msg, trouble=PhoneTrouble.APP, serial=cable.serial)
    # The folder holds what restores the phone.
    PhoneStore(cable).prepare()
    keep_ready(cable)
    browser = PhoneBrowser(cable, facts, server)
    try:
        yield browser
    finally:
        browser.end()


class PhoneBrowser:
    """Chrome on one phone. Its memory cannot be read: Android hides the processes of pages."""

    passively_cooled = True
    reads_memory = False
    reuses_page = False

    def __init__(self, cable: Cable, facts: PhoneFacts, server: PageServer) -> None:
        self._cable, self._facts, self._server = cable, facts, server
        self._port: int | None = None
        self._browser = "Chrome"

    def open(self, *, gpu: bool) -> None:  # noqa: ARG002  a phone has its GPU
        link = self._link()
        check_unlocked(self._cable)
        command = f"am start -a android.intent.action.VIEW -n {ACTIVITY} -d '{link}'"
        output = self._cable.run(command)
        if output.exit_code or "Error" in output.text + output.complaint:
            what = f"{named(self._cable.serial)} does not open the page in Chrome"
            evidence = output.complaint or output.text
            raise phone_error(PhoneTrouble.REFUSED, what, serial=self._cable.serial, command=command, output=evidence)

    def close(self) -> None:
        """Close the tabs with the page. A Chrome that has ended has none."""
        if self._port is None:
            return
        try:
            for tab in tabs_at(devtools(self._cable, "/json/list"), f"http://localhost:{self._port}/"):
                devtools(self._cable, f"/json/close/{tab}")
        except (PhoneError, ValueError) as error:
            log.info("the page on %s stays open: %s", self._cable.serial, error)

    def end(self) -> None:
        port, self._port = self._port, None
        try:
            if port is not None:
                self._ask_reverse(f"killforward:tcp:{port}")
            put_back(self._cable)
        except PhoneError as error:
            log.warning("%s could not be restored; the next session will do it: %s", self._cable.serial, error)

    def trouble(self) -> Trouble | None:
        try:
            self._cable.run("true")
        except PhoneError as error:
            return Trouble(kind=FailureKind.LOST, message=str(error))
        return None

    def renderers(self) -> tuple[int, ...]:
        return ()

    def learn(self, facts: PageFacts, *, gpu: bool) -> bool:  # noqa: ARG002  nothing is done differently
        self._browser = browser_name(facts.user_agent)
        return False

    def info(self, key: str) -> DeviceInfo:
        phone = self._facts.info(key)
        return replace(
            phone,
            kind="web",
            model=f"{self._browser} on {phone.model}",
            details={**phone.details, "build": f"{self._browser}, {phone.os_build}", "browser": self._browser},
        )

    def conditions(self) -> tuple[Condition, ...]:
        candidates = (emulator_condition(self._facts), *state_conditions(read_state(self._cable)))
        return tuple(condition for condition in candidates if condition is not None)

    def readiness(self) -> Readiness:
        # Chrome comes to the front and goes again with every launch, which is no disturbance.
        return replace(read_state(self._cable).readiness(), foreground=None)

    def state(self) -> StateSample | None:
        """Return nothing: a query takes a tenth of a second of the phone's processor, in the middle of the launch."""
        return None

    def _link(self) -> str:
        """Return the address of the page on the phone, on a port that the phone chooses."""
        if self._port is None:
            self._port = int(self._ask_reverse(f"forward:tcp:0;tcp:{self._server.port}") or 0)
            self._server.also_at(self._port)
        return self._server.link.replace(f":{self._server.port}/", f":{self._port}/")

    def _ask_reverse(self, request: str) -> str:
        """Return what the phone's adb daemon answers to ``reverse:`` with ``request``."""
        purpose = f"adb reverse {request}"
        with open_service(
            self._cable.server, self._cable.serial, f"reverse:{request}", within(SHELL_S), purpose=purpose
        ) as link:
            status = link.receive(4)
            if status == b"OKAY":
                return link.text() if request.startswith("forward:tcp:0") else ""
            what = f"{named(self._cable.serial)} cannot reach this computer through its cable"
            reason = link.text() if status == b"FAIL" else repr(status)
            raise phone_error(PhoneTrouble.REFUSED, what, serial=self._cable.serial, command=purpose, output=reason)


def tabs_at(answer: Any, prefix: str) -> tuple[str, ...]:
    """Return the ids of the tabs whose address begins with ``prefix``, from the answer to ``/json/list``."""
    tabs = [tab for tab in answer if isinstance(tab, dict)] if isinstance(answer, list) else []
    return tuple(
        quote(str(tab["id"]), safe="") for tab in tabs if "id" in tab and str(tab.get("url", "")).startswith(prefix)
    )


def devtools(cable: Cable, path: str) -> Any:
    """Return the answer of Chrome's DevTools socket on a phone to ``path``, decoded if it is JSON.

    Raises `PhoneError` if Chrome does not run, and `ValueError` for an answer without a length.
    """
    with open_service(cable.server, cable.serial, DEVTOOLS, within(SHELL_S), purpose=f"DevTools {path}") as link:
        link.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        length = _length(link)
        if not 0 <= length <= _MOST_BYTES:
            msg = f"Chrome announces an answer of {length} bytes to {path!r}"
            raise ValueError(msg)
        body = link.receive(length).decode("utf-8", errors="replace")
    return plain_json(body) if body.startswith(("[", "{")) else body


def _length(link: Link) -> int:
    """Read the head of an HTTP answer and return the length of its body. Raises `ValueError` without one."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _MOST_HEAD:
        head += link.receive(1)
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            return int(value)
    msg = f"Chrome answered without a length: {head[:80]!r}"
    raise ValueError(msg)
