"""One process of a browser: its own profile, its own process group, and a pipe of the DevTools protocol.

A browser ends when its pipe closes. So it does not outlive a phonebench that was killed, which cannot end it itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from harness.devices.web.devtools import CALL_S, DevTools, DevToolsError, Listener
from harness.errors import DeviceError

LOG_FILE = "browser.log"
_LOG_LINES = 30
END_S = 10.0
# Descriptors below this one may be 3 or 4, which the browser uses for the pipe.
_HIGH = 64

FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-client-side-phishing-detection",
    "--disable-breakpad",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # In containers /dev/shm is often too small for a browser, which then crashes.
    "--disable-dev-shm-usage",
    # A renderer in reserve would be one more process to take for the page's.
    "--disable-features=SpareRendererForSitePerProcess,Translate,MediaRouter,OptimizationHints",
    # No name but the page's resolves, so nothing is loaded from a network.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
    "--password-store=basic",
    "--use-mock-keychain",
    # Lets the worker collect garbage before memory is read.
    "--js-flags=--expose-gc",
)
# Without a request for the GPU its process and its drivers only take memory and time.
WITHOUT_GPU = ("--disable-gpu",)
WITH_GPU = ("--enable-unsafe-webgpu", "--enable-features=Vulkan", "--ignore-gpu-blocklist")
SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")


class Browser:
    """A running browser; ``folder`` takes its profile and its log. Raises `DeviceError` if it cannot be started."""

    def __init__(
        self, program: Path, folder: Path, flags: tuple[str, ...], listener: Listener, *, patience_s: float = CALL_S
    ) -> None:
        self._log = folder / LOG_FILE
        self._code: int | None = None
        ours_out, its_in = _pipe()
        its_out, ours_in = _pipe()
        command = [str(program), *FLAGS, *flags, *as_root(), f"--user-data-dir={folder / 'profile'}", "about:blank"]
        try:
            self.pid = os.posix_spawn(
                program,
                command,
                os.environ,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    (os.POSIX_SPAWN_DUP2, its_in, 3),
                    (os.POSIX_SPAWN_DUP2, its_out, 4),
                ),
                # Its own group, so that Ctrl-C reaches only phonebench, which then ends all of it.
                setpgroup=0,
            )
        except OSError as error:
            for descriptor in (ours_out, ours_in):
                os.close(descriptor)
            msg = f"cannot start the browser {str(program)!r}: {error.strerror}; check that it runs by itself"
            raise DeviceError(msg) from error
        finally:
            os.close(its_in)
            os.close(its_out)
        self.devtools = DevTools(ours_in, ours_out, listener, patience_s=patience_s)

    def open_page(self, link: str) -> str:
        """Open ``link`` in the first tab, watched for crashes, and return the session of the tab."""
        devtools = self.devtools
        # Crashes of a page are told with their reason only to those who discover targets.
        devtools.call("Target.setDiscoverTargets", {"discover": True})
        targets = _listed(devtools.call("Target.getTargets")["targetInfos"])
        page = next((target["targetId"] for target in targets if target["type"] == "page"), None)
        page = page or devtools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = str(devtools.call("Target.attachToTarget", {"targetId": page, "flatten": True})["sessionId"])
        for method in ("Inspector.enable", "Page.enable"):
            devtools.call(method, session=session)
        devtools.call("Page.navigate", {"url": link}, session=session)
        return session

    def version(self) -> dict[str, Any]:
        """Return what the browser says about itself: ``product``, ``userAgent`` and more."""
        return self.devtools.call("Browser.getVersion")

    def renderers(self) -> tuple[int, ...]:
        """Return the processes that may run the page; empty if the browser does not report them."""
        try:
            listed = _listed(self.devtools.call("SystemInfo.getProcessInfo")["processInfo"])
            return tuple(process["id"] for process in listed if process["type"] == "renderer" and _is_id(process["id"]))
        except (DevToolsError, KeyError):
            return ()

    def exit_code(self, *, wait_s: float = 0.0) -> int | None:
        """Return the exit code, negative for a signal, None while it runs; waits so long for its end."""
        deadline = time.monotonic() + wait_s
        while self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                return None
            else:
                time.sleep(0.01)
        return self._code

    def log_tail(self) -> str:
        """Return the last lines that the browser printed."""
        try:
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
        except OSError:
            return ""

    def end(self) -> None:
        """End the browser with all its processes."""
        self.devtools.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.exit_code(wait_s=END_S)


def _listed(answer: Any) -> list[dict[str, Any]]:
    return [entry for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 31


def _pipe() -> tuple[int, int]:
    """Return the writing and the reading end of a new pipe, both above the descriptors that a browser uses."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _HIGH) for end in ends)
    for end in ends:
        os.close(end)
    return write, read


def as_root() -> tuple[str, ...]:
    """Return the flags that a browser needs to run as this user."""
    # A browser refuses to run as root with its sandbox. The page is ours, and it can reach nothing else.
    return ("--no-sandbox",) if sys.platform == "linux" and os.geteuid() == 0 else ()
