"""A browser that a person drives: phonebench prints a link, and the page that it opens serves every launch.

It may be any browser, also one that cannot be driven by us, and on another computer whose user has forwarded the port.
So nothing is known of the place but what the page reports.
"""

from __future__ import annotations

import logging
import time

from harness.devices.web.opener import Trouble
from harness.devices.web.probe import PageFacts, browser_name, system_name
from harness.devices.web.server import PageServer
from harness.errors import DeviceError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.wire import StateSample

# By the name in ``web:NAME``, the browser that is expected to open the link; any where it is empty.
BY_HAND: dict[str, str] = {"link": "", "firefox": "Firefox", "safari": "Safari"}
WAIT_S = 300.0
_POLL_S = 0.1
_GIB = 1 << 30

log = logging.getLogger(__name__)


class HandDriven:
    """The page that a person opens in a browser; ``wait_s`` is how long it may take until it is open."""

    passively_cooled = False
    reads_memory = False
    reuses_page = True

    def __init__(self, name: str, server: PageServer, *, wait_s: float = WAIT_S) -> None:
        self._expected, self._server, self._wait_s = BY_HAND[name], server, wait_s
        self._facts: PageFacts | None = None

    def open(self, *, gpu: bool) -> None:  # noqa: ARG002  the browser is as its user has started it
        if self._server.connected():
            return
        link, where = self._server.link, self._expected or "the browser to measure"
        log.warning(
            "Open this link in %s, and keep the page in front (%g s):\n    %s\nFrom another computer, forward the port "
            "first: ssh -L %d:localhost:%d THIS-COMPUTER",
            where,
            self._wait_s,
            link,
            self._server.port,
            self._server.port,
        )
        deadline = time.monotonic() + self._wait_s
        while not self._server.connected():
            if time.monotonic() >= deadline:
                msg = (
                    f"no browser opened {link} within {self._wait_s:g} s: run again, and open the link that is printed"
                )
                raise DeviceError(msg)
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Leave the page open: it serves the next launch."""

    def end(self) -> None:
        """Nothing is to be put back; the page says that phonebench has ended."""

    def trouble(self) -> Trouble | None:
        return None

    def renderers(self) -> tuple[int, ...]:
        return ()

    def learn(self, facts: PageFacts, *, gpu: bool) -> bool:  # noqa: ARG002  nothing is done differently
        name = browser_name(facts.user_agent)
        if self._expected and not name.startswith(self._expected):
            msg = f"the link was opened in {name}: open it in {self._expected}, or measure any browser with web:link"
            raise DeviceError(msg)
        self._facts = facts
        return False

    def info(self, key: str) -> DeviceInfo:
        facts = self._facts
        if facts is None:
            msg = "no browser has opened the link yet"
            raise DeviceError(msg)
        return DeviceInfo(
            key=key,
            kind="web",
            model=browser_name(facts.user_agent),
            os=system_name(facts.user_agent),
            cpu="unknown",
            cores=facts.cores,
            memory_bytes=round(facts.memory_gib * _GIB) or None,
            abi="unknown",
            details={"build": facts.user_agent, "browser": browser_name(facts.user_agent)},
        )

    def conditions(self) -> tuple[Condition, ...]:
        return ()

    def readiness(self) -> Readiness:
        return Readiness()

    def state(self) -> StateSample | None:
        return None
