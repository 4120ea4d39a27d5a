"""Serves the page, the runtimes and the job to a browser over loopback HTTP, and takes the reply.

The page is isolated (COOP, COEP and CORP), which gives it a fine clock and threads, and its content policy forbids
every other address. Paths begin with a secret, so that no other page or user can guess a link.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import select
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from harness.errors import BuildError
from harness.runners.web.libraries import LIBRARIES, checked
from harness.system.text import whole_number
from harness.wire import OUTPUTS_FILE

PAGE = Path(__file__).parents[2] / "runners" / "web" / "page"
INDEX = "index.html"
_POLL_S = 20.0
_BLOCK_BYTES = 1 << 20
# A reply holds the times of every call. Outputs arrive in one piece for each input.
_MOST_REPLY_BYTES, _MOST_OUTPUTS_BYTES = 64 << 20, 1 << 30
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
# Without these three a page has neither threads nor a clock finer than 100 µs.
ISOLATION: dict[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HEADERS: dict[str, str] = {
    # No other address may be asked for anything, so nothing is loaded from a network while a model is measured.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-eval' 'wasm-unsafe-eval'",
    # A browser that keeps compiled WebAssembly would make the second launch start differently from the first.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Happening(StrEnum):
    """What the server tells the device about."""

    CONNECTED = "connected"
    GONE = "gone"
    REPLY = "reply"
    BROKEN = "broken"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, with its text: a reply, an error of the page, its user agent, what a file lacks."""

    kind: Happening
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebJob:
    """One launch. ``answers`` are the JSON answers to what the page asks, each by the name in its path.

    An answer is a function of the text that the page sent, empty for a question.
    """

    folder: Path
    answers: Mapping[str, Callable[[str], bytes]]


class PageServer:
    """Serves on a free loopback port until it is closed; ``events`` receives what happens."""

    def __init__(self, store: Path, *, isolation: Mapping[str, str] = ISOLATION) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.headers = _HEADERS | dict(isolation)
        self._store = store
        self._secret = secrets.token_urlsafe(16)
        self._jobs: dict[int, WebJob] = {}
        self._offered = 0
        self._taken = 0
        self._holder, self._had_one = "", set[str]()
        self._fresh = False
        self._changed = threading.Condition()
        self._pages: list[socket.socket] = []
        self._content: dict[str, bytes] = {}
        self.closed = False
        self._names: tuple[str, ...] = ()
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))
        self.also_at(self.port)
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="page server", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    @property
    def link(self) -> str:
        """The address of the page; whoever knows it can take the job."""
        return f"http://localhost:{self.port}/{self._secret}/"

    def also_at(self, port: int) -> None:
        """Answer requests that reach this server through ``port`` of another device's own loopback address, too."""
        self._names += (f"localhost:{port}", f"127.0.0.1:{port}")

    def offer(self, job: WebJob, *, fresh: bool = False) -> None:
        """Let the next page that asks have ``job``, and forget the one before; with ``fresh`` only a new page.

        A tab that is being closed may still ask for a while.
        """
        with self._changed:
            while not self.events.empty():
                self.events.get_nowait()
            self._offered += 1
            self._jobs, self._holder, self._fresh = {self._offered: job}, "", fresh
            self._changed.notify_all()

    def withdraw(self) -> None:
        """Stop the job in the page that has it; what it still sends is refused."""
        with self._changed:
            self._jobs = {}
            pages = list(self._pages)
        for page in pages:
            with contextlib.suppress(OSError):
                page.sendall(b"stop\n")

    def connected(self) -> bool:
        """Return whether a page is open now."""
        with self._changed:
            return bool(self._pages)

    def close(self) -> None:
        """End every connection; may be called twice."""
        if self.closed:
            return
        self.closed = True
        with self._changed:
            self._jobs = {}
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()

    def path_of(self, target: str, host: str) -> str | None:
        """Return the path below the secret, None for a request that must not be answered."""
        # A page of another site could have its own name resolved to this computer; it would still send that name.
        prefix = f"/{self._secret}/"
        path = target.partition("?")[0]
        return unquote(path.removeprefix(prefix)) if host in self._names and path.startswith(prefix) else None

    def job(self, number: str) -> WebJob | None:
        """Return the job with this number if it is the current one."""
        with self._changed:
            return self._jobs.get(whole_number(number) or 0)

    def next_job(self, page: socket.socket, name: str) -> int | None:
        """Wait for a job that no page has taken, and return its number; None when there is none for a while.

        ``name`` is what the page calls itself. The request of a page that is gone by then takes none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._is_for(name), _POLL_S)
            if self.closed or not self._is_for(name) or _has_gone(page):
                return None
            self._taken, self._holder = self._offered, name
            self._had_one.add(name)
            return self._offered

    def _is_for(self, name: str) -> bool:
        return self._offered > self._taken and not (self._fresh and name in self._had_one)

    def attend(self, page: socket.socket, name: str, browser: str) -> None:
        """Keep the connection of a page open until the page goes away or the server is closed.

        That it went away is an event only if it had the job: other pages may come and go.
        """
        with self._changed:
            self._pages.append(page)
        self.events.put(Event(kind=Happening.CONNECTED, data=browser.encode()))
        while not self.closed:
            if select.select([page], [], [], 0.2)[0] and not _received(page):
                break
        with self._changed:
            self._pages.remove(page)
            has_job = bool(self._jobs) and self._holder == name
        if has_job:
            self.events.put(Event(kind=Happening.GONE))

    def library(self, path: str) -> bytes | None:
        """Return a file of a runtime, given as ``FOLDER/NAME``; None for an unknown one. Raises `BuildError`."""
        folder, _, name = path.partition("/")
        for library in LIBRARIES.values():
            file = next((file for file in library.files if (library.folder, file.name) == (folder, name)), None)
            if file is not None:
                if path not in self._content:
                    self._content[path] = _resolved(checked(library, file, self._store))
                return self._content[path]
        return None


def _resolved(data: bytes) -> bytes:
    """Replace the bare name of the one package that another imports: a browser resolves only paths."""
    return data.replace(b'from "@litertjs/wasm-utils"', b'from "./wasm_utils.js"') if len(data) < _BLOCK_BYTES else data


def _has_gone(page: socket.socket) -> bool:
    try:
        return bool(select.select([page], [], [], 0)[0]) and not page.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _received(page: socket.socket) -> bytes:
    try:
        return page.recv(1024)
    except OSError:
        return b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Pages that went away must not keep `server_close` waiting.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that is killed breaks its connections."""


def _handler_of(server: PageServer) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"pages": server})


class _Handler(BaseHTTPRequestHandler):
    pages: PageServer
    protocol_version = "HTTP/1.1"
    # The answers are short and wanted at once.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = self.pages.path_of(self.path, self.headers.get("Host", ""))
        parts = (path or "").split("/", 2)
        if path is None:
            self._refuse(404, "unknown address")
        elif path == "next":
            self._next()
        elif path == "alive":
            self._alive()
        elif parts[0] == "libraries":
            self._library(path.partition("/")[2])
        elif parts[0] == "jobs" and len(parts) == 3:
            self._job(parts[1], parts[2])
        else:
            self._page(path or INDEX)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path = self.pages.path_of(self.path, self.headers.get("Host", "")) or ""
        size = whole_number(self.headers.get("Content-Length") or "0")
        _, _, rest = path.partition("/")
        number, _, name = rest.partition("/")
        job = self.pages.job(number)
        most = _MOST_OUTPUTS_BYTES if name == "outputs" else _MOST_REPLY_BYTES
        # Any page of any site can send something to this port, but only ours knows the path.
        if job is None or size is None or size > most:
            self._pass_over(size or 0)
            self._refuse(*((410, "this launch is over") if job is None else (413, f"at most {most} bytes are taken")))
            return
        body = self.rfile.read(size)
        if name in ("reply", "error"):
            kind = Happening.REPLY if name == "reply" else Happening.BROKEN
            self.pages.events.put(Event(kind=kind, data=body))
            self._answer(b"null", ".json")
        elif name == "outputs":
            self._outputs(job, body)
        elif name in job.answers:
            self._answer(job.answers[name](body.decode(errors="replace")), ".json")
        else:
            self._refuse(404, f"unknown question {name!r}")

    def _pass_over(self, size: int) -> None:
        """Drop a small body, so that its sender receives the answer; close the connection after a large one."""
        self.close_connection = size > _BLOCK_BYTES
        self.rfile.read(min(size, _BLOCK_BYTES))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""

    def _next(self) -> None:
        number = self.pages.next_job(self.connection, self._page_name())
        if number is None:
            self._send(204, {}, b"")
        else:
            self._answer(b'{"job": %d}' % number, ".json")

    def _alive(self) -> None:
        self.close_connection = True
        self.send_response(200)
        for name, value in (self.pages.headers | {"Content-Type": "text/plain", "Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        # Some browsers hand a response over only once its first byte has come.
        self.wfile.write(b"hello\n")
        self.pages.attend(self.connection, self._page_name(), self.headers.get("User-Agent", ""))

    def _page_name(self) -> str:
        return self.path.partition("?page=")[2]

    def _library(self, path: str) -> None:
        try:
            data = self.pages.library(path)
        except BuildError as error:
            self.pages.events.put(Event(kind=Happening.FILES, data=str(error).encode()))
            self._refuse(500, str(error))
            return
        if data is None:
            self._refuse(404, f"unknown library file {path!r}")
        else:
            self._answer(data, Path(path).suffix)

    def _page(self, name: str) -> None:
        path = PAGE / name
        if path.parent != PAGE or not path.is_file():
            self._refuse(404, f"unknown file {name!r}")
        else:
            self._answer(path.read_bytes(), path.suffix)

    def _job(self, number: str, name: str) -> None:
        job = self.pages.job(number)
        if job is None:
            self._refuse(410, "this launch is over")
        elif name in job.answers:
            self._answer(job.answers[name](""), ".json")
        else:
            self._file(job.folder, name.removeprefix("files/"))

    def _file(self, folder: Path, name: str) -> None:
        path = folder / name
        if path.parent != folder or not path.is_file():
            self._refuse(404, f"the job has no file {name!r}")
            return
        size = path.stat().st_size
        start, end = _range(self.headers.get("Range", ""), size)
        with path.open("rb") as file:
            file.seek(start)
            data = b"" if self.command == "HEAD" else file.read(end - start)
        headers = {"Content-Type": _TYPES.get(path.suffix, "application/octet-stream"), "X-File-Bytes": str(size)}
        self._send(206 if "Range" in self.headers else 200, headers, data)

    def _outputs(self, job: WebJob, body: bytes) -> None:
        try:
            with (job.folder / OUTPUTS_FILE).open("ab") as file:
                file.write(body)
        except OSError as error:
            self._refuse(507, f"cannot write the outputs: {error.strerror}; free some disk space")
            return
        self._answer(b"null", ".json")

    def _answer(self, data: bytes, suffix: str) -> None:
        self._send(200, {"Content-Type": _TYPES.get(suffix, "application/octet-stream")}, data)

    def _refuse(self, code: int, reason: str) -> None:
        self._send(code, {"Content-Type": "text/plain; charset=utf-8"}, reason.encode())

    def _send(self, code: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(code)
        for name, value in (self.pages.headers | headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _range(header: str, size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last of a ``Range`` header of one range; the whole file without."""
    first, last = (whole_number(part) for part in header.removeprefix("bytes=").partition("-")[::2])
    if first is None or last is None:
        return 0, size
    return min(first, size), min(last + 1, size)
