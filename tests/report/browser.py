"""A headless Chromium, driven over a pipe by the DevTools protocol: no port, no driver, no further package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# One answer of the browser, in seconds; a machine that runs eight test processes is slow.
DEADLINE_S = 60.0
# DevTools' error code for, among others, a page that was left before it answered.
SERVER_ERROR = -32000


class PageLeftError(AssertionError):
    """The page was left before it answered."""


class Browser:
    """One page of a browser. ``requests`` and ``errors`` collect what the page fetched and what went wrong in it."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number, self._buffer = 0, b""
        self._session: str | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, link: str = "") -> None:
        """Load ``page`` in a window of this size and wait until it has loaded."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", features=scheme)
        # The same address with another fragment would not load again.
        self._send("Page.navigate", url="about:blank")
        self.requests.clear()
        self.errors.clear()
        self._send("Page.navigate", url=page.resolve().as_uri() + link)
        self.wait_for("document.readyState === 'complete' && location.protocol === 'file:'")

    def visit(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load the page at ``address`` from a server, as `open` does with a file."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", features=scheme)
        self._send("Page.navigate", url="about:blank")
        self.requests.clear()
        self.errors.clear()
        self._send("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.protocol.startsWith('http')")

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for. Raises on an exception of the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until ``expression`` is true, at most `DEADLINE_S`."""
        end = time.monotonic() + DEADLINE_S
        while not self._ask_again_after_leaving(expression):
            if time.monotonic() > end:
                msg = f"{expression!r} was not true within {DEADLINE_S:g} s"
                raise AssertionError(msg)
            self._read(0.02)

    def _ask_again_after_leaving(self, expression: str) -> Any:
        try:
            return self.ask(expression)
        except PageLeftError:
            return None

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key in the element that has the focus."""
        for kind in ("keyDown", "keyUp"):
            codes = {"Enter": 13, "Escape": 27, "Tab": 9, " ": 32}
            self._send("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=codes.get(key, 0))

    def picture(self, path: Path, *, selector: str | None = None) -> Path:
        """Write a PNG of the whole page, or of the element that ``selector`` finds."""
        box = "document.documentElement" if selector is None else f"document.querySelector({json.dumps(selector)})"
        size = self.ask(
            f"(() => {{ const r = {box}.getBoundingClientRect(); "
            "return [r.x + scrollX, r.y + scrollY, r.width, r.height]; })()"
        )
        clip = dict(zip(("x", "y", "width", "height"), size, strict=True)) | {"scale": 1}
        clip["height"] = min(clip["height"], 14_000)
        data = self._send("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def pdf(self) -> bytes:
        """Return the page as PDF."""
        return base64.b64decode(self._send("Page.printToPDF", printBackground=True)["data"])

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            for answer in self._read(1.0):
                if answer.get("id") == self._number:
                    if "error" in answer:
                        kind = PageLeftError if answer["error"]["code"] == SERVER_ERROR else AssertionError
                        raise kind(answer["error"])
                    result: dict[str, Any] = answer["result"]
                    return result
        msg = f"the browser did not answer {method} within {DEADLINE_S:g} s"
        raise AssertionError(msg)

    def _read(self, seconds: float) -> list[dict[str, Any]]:
        """Read what the browser has sent; keep events of interest, and return answers."""
        ready, _, _ = select.select([self._from], [], [], seconds)
        if not ready:
            return []
        data = os.read(self._from, 1 << 20)
        if not data:
            msg = "the browser ended"
            raise AssertionError(msg)
        *whole, self._buffer = (self._buffer + data).split(b"\0")
        messages = [json.loads(text) for text in whole]
        for message in messages:
            self._note(message)
        return [message for message in messages if "id" in message]

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                # The page itself, and pictures that it carries.
                if parameters["type"] != "Document" and not url.startswith("data:"):
                    self.requests.append(url)
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.errors.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.errors.append(str(parameters["entry"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with the profile folder ``profile``, and end it by its id."""
    assert BROWSER is not None
    to_child, to_browser = os.pipe()
    from_browser, from_child = os.pipe()
    # The protocol's pipes are the descriptors 3 and 4 of the browser, so these must be free before they are set.
    to_child, from_child = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (to_child, from_child))
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    actions = [
        (os.POSIX_SPAWN_DUP2, to_child, 3),
        (os.POSIX_SPAWN_DUP2, from_child, 4),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    process = os.posix_spawn(BROWSER, command, os.environ, file_actions=actions)
    os.close(to_child)
    os.close(from_child)
    try:
        yield Browser(to_browser, from_browser)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(to_browser)
        os.close(from_browser)
