"""Serves a depot over HTTPS to whoever has a certificate of the farm: questions as JSON, and files in pieces.

``POST /call/NAME`` asks a question as JSON. ``/files/DIGEST``: HEAD says how much of a file has arrived, PUT sends the
next piece, GET fetches from an offset on. A file is fetched with ``Range`` and sent with ``Content-Range``, so a
transfer that was cut off resumes where it stopped. Its name is its digest, which the receiving side checks.

Requests are answered without Tornado's handlers for web pages: those cost more than the answers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine
from tornado.iostream import StreamClosedError

from harness.errors import PhonebenchError
from harness.farm.builds.calls import BuildOrders, BuildReport, BuildsOf, TakeBuilds
from harness.farm.calls import Announcement, Claim, Dropped, Events, Hello, Outcome, Queue, Since, SmallFiles
from harness.farm.depot import JournalTooShortError, NameTakenError
from harness.farm.link import CONFLICT, FILES_HEADER, GONE, OUTCOME_HEADER, PIECE_BYTES
from harness.farm.tls import server_context
from harness.system.decoding import decode_json

if TYPE_CHECKING:
    from pathlib import Path
    from socket import socket

    from tornado.httputil import HTTPConnection, HTTPServerRequest

    from harness.farm.depot import Depot

# How often a question that waits for an event looks again, and how long it waits at most.
LOOK_S = 0.05
MOST_WAIT_S = 30.0
SWEEP_S = 2.0
# Files up to this size are written in the loop, and many of them are sent in one answer.
SMALL_BYTES = 256 << 10

_CALL = re.compile(r"/call/(\w+)$")
_FILE = re.compile(r"/files/([0-9a-f]{64})$")
_RANGE = re.compile(r"bytes=(\d+)-$")
# The last byte of an empty file has the number -1.
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+|-1)/(\d+)$")

log = logging.getLogger(__name__)


def serve(depot: Depot, hello: Callable[[], Hello], certs: Path, sockets: list[socket]) -> HTTPServer:
    """Start to serve on the bound ``sockets`` in the running event loop, and return the server, to be stopped."""
    door = _Door(depot, hello)
    server = HTTPServer(door.answer, ssl_options=server_context(certs), max_body_size=PIECE_BYTES + 4096)
    server.add_sockets(sockets)
    return server


async def keep_sweeping(depot: Depot) -> None:
    """Notice agents that have gone silent, until this is cancelled."""
    while True:
        depot.sweep()
        await asyncio.sleep(SWEEP_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """An answer. ``file`` is sent after it from its byte ``start`` on, which are ``file_bytes``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    file_bytes: int = 0


class _RefusedError(Exception):
    """A request that is answered with an HTTP error, and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class _Door:
    """Answers the requests of all hosts."""

    def __init__(self, depot: Depot, hello: Callable[[], Hello]) -> None:
        self._calls, self._files = _Calls(depot, hello), _Files(depot)
        # The event loop itself keeps only weak references to tasks.
        self._answering: set[asyncio.Task[None]] = set()

    def answer(self, request: HTTPServerRequest) -> None:
        """Answer at once, or in a task what waits for something: a task for every request would cost as much again."""
        try:
            reply = self._reply(request)
        except Exception as error:
            reply = _error(error)
        if isinstance(reply, _Reply) and reply.file is None:
            _begin(request, reply)
            _connection(request).finish()
            return
        task = asyncio.get_running_loop().create_task(_answer_later(request, reply))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _reply(self, request: HTTPServerRequest) -> _Reply | Awaitable[_Reply]:
        if call := _CALL.match(request.path):
            if request.method != "POST":
                raise _RefusedError(405, "a question is sent with POST")
            return self._calls.post(call[1], request.body)
        if file := _FILE.match(request.path):
            match request.method:
                case "HEAD":
                    return self._files.head(file[1])
                case "PUT":
                    return self._files.put(file[1], request)
                case "GET":
                    return self._files.get(file[1], request)
            raise _RefusedError(405, "a file is sent with PUT and fetched with GET")
        raise _RefusedError(404, "no such page")


async def _answer_later(request: HTTPServerRequest, reply: _Reply | Awaitable[_Reply]) -> None:
    try:
        found = reply if isinstance(reply, _Reply) else await reply
    except Exception as error:
        found = _error(error)
    # The client may have disconnected, or the file may be shorter than announced: the connection is then closed.
    with contextlib.suppress(StreamClosedError, HTTPOutputError):
        try:
            await _begin(request, found)
            if found.file is not None:
                await _send_file(request, found.file, found.start)
        finally:
            _connection(request).finish()


def _begin(request: HTTPServerRequest, reply: _Reply) -> Awaitable[None]:
    """Send an answer, of a file only the headers."""
    headers = HTTPHeaders(reply.headers)
    headers["Content-Length"] = str(len(reply.body) + reply.file_bytes)
    start_line = ResponseStartLine("HTTP/1.1", reply.status, HTTPStatus(reply.status).phrase)
    return _connection(request).write_headers(start_line, headers, reply.body)


async def _send_file(request: HTTPServerRequest, path: Path, start: int) -> None:
    with path.open("rb") as file:
        file.seek(start)
        while data := file.read(PIECE_BYTES):
            await _connection(request).write(data)


def _connection(request: HTTPServerRequest) -> HTTPConnection:
    assert request.connection is not None, "a request that has arrived has a connection"
    return request.connection


def _error(error: Exception) -> _Reply:
    match error:
        case _RefusedError():
            status, reason = error.status, error.reason
        case NameTakenError():
            status, reason = CONFLICT, str(error)
        case JournalTooShortError():
            status, reason = GONE, str(error)
        case PhonebenchError():
            status, reason = 500, str(error)
        case _:
            log.error("the depot failed", exc_info=error)
            status, reason = 500, HTTPStatus.INTERNAL_SERVER_ERROR.phrase
    return _Reply(status=status, body=msgspec.json.encode({"error": reason}))


class _Calls:
    """Answers questions."""

    def __init__(self, depot: Depot, hello: Callable[[], Hello]) -> None:
        self._depot, self._hello = depot, hello

    def post(self, name: str, body: bytes) -> _Reply | Awaitable[_Reply]:
        match name:
            case "hello":
                return _json(self._hello())
            case "status":
                return _json(self._depot.status())
            case "small_files":
                return self._small_files(_decoded(body, SmallFiles))
            case "build_hosts":
                return _json(self._depot.builds.hosts())
            case "events":
                return self._events(_decoded(body, Since))
        call = CALLS.get(name)
        if call is None:
            raise _RefusedError(404, "unknown question")
        return _json(call[1](self._depot, _decoded(body, call[0])))

    async def _events(self, since: Since) -> _Reply:
        ends_s = time.monotonic() + min(since.wait_s, MOST_WAIT_S)
        at_once = replace(since, wait_s=0.0, gather_s=0.0)
        while not (events := self._depot.events(at_once)) and time.monotonic() < ends_s:
            await asyncio.sleep(LOOK_S)
        if events and since.gather_s:
            await asyncio.sleep(min(since.gather_s, MOST_WAIT_S))
            events = self._depot.events(at_once)
        return _json(Events(events=events))

    def _small_files(self, asked: SmallFiles) -> _Reply:
        """Send those of some files that are small, one after the other, as far as they fit into one piece."""
        listed, data = [], bytearray()
        for sha256 in asked.sha256s:
            path = self._depot.files.path_of(sha256)
            size = path.stat().st_size if path.is_file() else None
            if size is not None and size <= SMALL_BYTES and len(data) + size <= PIECE_BYTES:
                data += path.read_bytes()
                listed.append(f"{sha256}:{size}")
        return _Reply(headers={FILES_HEADER: ",".join(listed)}, body=bytes(data))


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return decode_json(body, kind)
    except ValueError as error:
        raise _RefusedError(400, "malformed question") from error


def _json(value: Any) -> _Reply:
    return _Reply(headers={"Content-Type": "application/json"}, body=msgspec.json.encode(value))


CALLS: dict[str, tuple[type[Any], Callable[[Depot, Any], Any]]] = {
    "announce": (Announcement, lambda depot, asked: depot.announce(asked)),
    "claim": (Claim, lambda depot, asked: depot.claim(asked)),
    "deliver": (Outcome, lambda depot, asked: depot.deliver(asked, None)),
    "queue": (Queue, lambda depot, asked: depot.queue(asked)),
    "drop": (Dropped, lambda depot, asked: depot.drop(asked)),
    "order_builds": (BuildOrders, lambda depot, asked: depot.builds.order(asked)),
    "builds_of": (BuildsOf, lambda depot, asked: depot.builds.states(asked)),
    "take_builds": (TakeBuilds, lambda depot, asked: depot.builds.take(asked)),
    "report_build": (BuildReport, lambda depot, asked: depot.builds.report(asked)),
}


class _Files:
    """Receives and sends files."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot

    def head(self, sha256: str) -> _Reply:
        return _progress(self._depot.files.received(sha256))

    def put(self, sha256: str, request: HTTPServerRequest) -> _Reply | Awaitable[_Reply]:
        match = _CONTENT_RANGE.match(request.headers.get("Content-Range", ""))
        if match is None or int(match[2]) - int(match[1]) + 1 != len(request.body):
            raise _RefusedError(400, "Content-Range and body differ")
        start, last = int(match[1]), int(match[2]) + 1 == int(match[3])
        outcome = _outcome(request)
        if int(match[3]) <= SMALL_BYTES:
            return _progress(self._receive(sha256, start, request.body, last=last, outcome=outcome))
        return self._receive_large(sha256, start, request.body, last=last, outcome=outcome)

    async def _receive_large(self, *piece: Any, **how: Any) -> _Reply:
        # In a thread: to write and hash a large file must not keep others waiting. For a small one that costs more.
        return _progress(await asyncio.to_thread(self._receive, *piece, **how))

    def _receive(self, sha256: str, start: int, body: bytes, *, last: bool, outcome: Outcome | None) -> int | None:
        received = self._depot.files.receive(sha256, start, body, last=last)
        if received is None and outcome is not None:
            self._depot.deliver(outcome, None)
        return received

    def get(self, sha256: str, request: HTTPServerRequest) -> _Reply:
        path = self._depot.files.path_of(sha256)
        if not path.is_file():
            raise _RefusedError(404, "no such file")
        size = path.stat().st_size
        match = _RANGE.match(request.headers.get("Range", ""))
        if match is None:
            return _Reply(file=path, file_bytes=size)
        start = int(match[1])
        if start > size:
            raise _RefusedError(416, "beyond the end")
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        return _Reply(status=206, headers=headers, file=path, start=start, file_bytes=size - start)


def _outcome(request: HTTPServerRequest) -> Outcome | None:
    """What a file is the result of, if its sender says so. A result and its report in one request cost less."""
    text = request.headers.get(OUTCOME_HEADER)
    try:
        return None if text is None else decode_json(base64.b64decode(text, validate=True), Outcome)
    except ValueError as error:
        raise _RefusedError(400, "malformed outcome") from error


def _progress(received: int | None) -> _Reply:
    complete = "?1" if received is None else "?0"
    return _Reply(headers={"Upload-Complete": complete, "Upload-Offset": str(received or 0)})
