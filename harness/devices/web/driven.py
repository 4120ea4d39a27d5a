"""A browser of Chromium's family on this computer, started by us for each launch and ended after it."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.devices.host.facts import host_conditions, host_info
from harness.devices.host.probe import host_readiness
from harness.devices.replies import missing_reply
from harness.devices.web.browsers import BROWSERS
from harness.devices.web.devtools import CALL_S, DevTools, DevToolsError
from harness.devices.web.opener import Trouble
from harness.devices.web.probe import PageFacts
from harness.devices.web.process import SOFTWARE_GPU, WITH_GPU, WITHOUT_GPU, Browser
from harness.devices.web.server import Event, Happening, PageServer
from harness.errors import DeviceError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.runners.host.state import sample_state
from harness.system.scratch import make_scratch, remove_scratch
from harness.system.text import whole_number
from harness.wire import FailureKind, StateSample

# The first version with everything that the page uses: relaxed SIMD came with it, WebGPU and the present headless mode
# shortly before.
OLDEST = 114


class DrivenBrowser:
    """The browser of ``program``, known by ``name``. One process at a time, which answers within ``patience_s``."""

    passively_cooled = False
    reads_memory = sys.platform == "linux"
    reuses_page = False

    def __init__(self, program: Path, name: str, server: PageServer, *, patience_s: float = CALL_S) -> None:
        self._patience_s = patience_s
        self._program, self._name, self._server = program, name, server
        self._browser: Browser | None = None
        self._number = 0
        self._folder: Path | None = None
        self._crash: str | None = None
        self._software_gpu = False
        self._gpu_known = False
        self._version = ""

    def open(self, *, gpu: bool) -> None:
        self.close()
        self._number += 1
        flags = WITHOUT_GPU if not gpu else SOFTWARE_GPU if self._software_gpu else WITH_GPU
        self._folder, self._crash = make_scratch("web"), None
        self._browser = Browser(
            self._program, self._folder, flags, partial(self._hear, self._number), patience_s=self._patience_s
        )
        try:
            self._check_version(self._browser.version()["product"])
            self._browser.open_page(self._server.link)
        except (DevToolsError, KeyError) as error:
            raise self._not_started(error) from error

    def close(self) -> None:
        browser, self._browser = self._browser, None
        if browser is not None:
            browser.end()
        if self._folder is not None:
            remove_scratch(self._folder)
            self._folder = None

    def end(self) -> None:
        self.close()

    def trouble(self) -> Trouble | None:
        browser = self._browser
        if browser is None:
            return None
        code = browser.exit_code()
        if code is not None:
            kind, message = FailureKind.LOST, "the browser was closed during the launch"
            # It closes by itself, with code 0, when somebody asks it to.
            if code:
                kind, message = missing_reply(code, 0, who="the browser")
            return Trouble(kind=kind, message=message, detail=browser.log_tail())
        if self._crash is not None:
            kind = FailureKind.OOM if self._crash in ("oom", "killed") else FailureKind.CRASH
            words = {"oom": "ran out of memory", "killed": "was killed, most likely because memory ran out"}
            message = f"the page {words.get(self._crash, 'crashed')}"
            return Trouble(kind=kind, message=message, detail=browser.log_tail())
        return None

    def renderers(self) -> tuple[int, ...]:
        return self._browser.renderers() if self._browser else ()

    def learn(self, facts: PageFacts, *, gpu: bool) -> bool:
        """Change to a GPU in software if a launch needs one and there is no other."""
        known, self._gpu_known = self._gpu_known, self._gpu_known or gpu
        if gpu and not known and not facts.gpu:
            self._software_gpu = True
            return True
        return False

    def info(self, key: str) -> DeviceInfo:
        host = host_info()
        title = self._name.capitalize() if self._name in BROWSERS else self._program.name
        return replace(
            host,
            key=key,
            kind="web",
            model=f"{title} {self._version.partition('.')[0]}",
            details={
                **host.details,
                # Another version of the browser is another compiler of WebAssembly.
                "build": f"{title} {self._version}, {host.details.get('kernel', host.os)}",
                "browser": f"{title} {self._version}",
                "computer": host.model,
                "headless": "yes",
            },
        )

    def conditions(self) -> tuple[Condition, ...]:
        return host_conditions()

    def readiness(self) -> Readiness:
        return host_readiness()

    def state(self) -> StateSample | None:
        return sample_state()

    def _hear(self, number: int, method: str, parameters: dict[str, Any]) -> None:
        # The end of an earlier browser may be told only now.
        if number != self._number:
            return
        if method == "Target.targetCrashed":
            self._crash = str(parameters.get("status", "crashed"))
        elif method == "Inspector.targetCrashed":
            self._crash = self._crash or "crashed"
        if method in ("Target.targetCrashed", "Inspector.targetCrashed", DevTools.CLOSED):
            self._server.events.put(Event(kind=Happening.GONE))

    def _check_version(self, product: str) -> None:
        name, _, version = product.partition("/")
        if (whole_number(version.partition(".")[0]) or 0) < OLDEST:
            self.close()
            msg = (
                f"the browser {str(self._program)!r} is {name} {version or 'of an unknown version'}, which is too old: "
                f"update it to version {OLDEST} or later"
            )
            raise DeviceError(msg)
        self._version = version

    def _not_started(self, error: Exception) -> DeviceError:
        browser = self._browser
        code = browser.exit_code(wait_s=0.5) if browser else None
        log = browser.log_tail() if browser else ""
        self.close()
        if "No usable sandbox" in log:
            msg = (
                f"the browser {str(self._program)!r} has no sandbox here: allow user namespaces for it, or run "
                "phonebench as root in a container that is yours"
            )
        elif code is not None:
            last = f", having printed: {log.splitlines()[-1][:200]}" if log else ""
            msg = (
                f"the browser {str(self._program)!r} ended at once{last} (exit code {code}); check that it is of "
                "Chromium's family and runs by itself."
            )
        else:
            msg = (
                f"the browser {str(self._program)!r} cannot be driven ({error}); give one of Chromium's family, or "
                "drive this one by hand: --device web:link"
            )
        return DeviceError(msg)
