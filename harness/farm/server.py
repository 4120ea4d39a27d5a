"""Serves a depot over HTTPS to whoever has a certificate of the farm: questions as JSON, and files in pieces.

A file is fetched with ``Range`` and sent with ``Content-Range``, so a transfer that was cut off goes on where it
stopped. Its name is its digest, which the receiving side checks.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

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

    from harness.farm.depot import Depot

# How often a question that waits for an event looks again, and how long it waits at most.
LOOK_S = 0.05
MOST_WAIT_S = 30.0
SWEEP_S = 2.0
# Files up to this size are written in the loop, and many of them are sent in one answer.
SMALL_BYTES = 256 << 10

_RANGE = re.compile(r"bytes=(\d+)-$")
# The last byte of an empty file has the number -1.
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+|-1)/(\d+)$")

log = logging.getLogger(__name__)


def serve(depot: Depot, hello: Callable[[], Hello], certs: Path, sockets: list[socket]) -> HTTPServer:
    """Start to serve on the bound ``sockets`` in the running event loop, and return the server, to be stopped."""
    routes: list[Any] = [
        (r"/call/(\w+)", Calls, {"depot": depot, "hello": hello}),
        (r"/files/([0-9a-f]{64})", Files, {"depot": depot}),
    ]
    application = Application(routes, log_function=lambda _: None)
    server = HTTPServer(application, ssl_options=server_context(certs), max_body_size=PIECE_BYTES + 4096)
    server.add_sockets(sockets)
    return server


async def keep_sweeping(depot: Depot) -> None:
    """Notice agents that have gone silent, until this is cancelled."""
    while True:
        depot.sweep()
        await asyncio.sleep(SWEEP_S)


class _Answer(RequestHandler):
    """What both handlers share. No page is served, so nothing has headers for browsers."""

    def initialize(self, depot: Depot, hello: Callable[[], Hello] | None = None) -> None:
        self.depot, self.hello = depot, hello

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> None:
        # Hashing every answer would cost more than it saves: each is new.
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002  tornado names it
        error = kwargs.get("exc_info", (None, None, None))[1]
        reason = str(error) if isinstance(error, PhonebenchError) else self._reason
        if isinstance(error, NameTakenError):
            self.set_status(CONFLICT)
        if isinstance(error, JournalTooShortError):
            self.set_status(GONE)
        if not isinstance(error, HTTPError | PhonebenchError):
            log.error("the depot failed", exc_info=error)
        self.finish(msgspec.json.encode({"error": reason}))

    def log_exception(self, *_: Any) -> None:
        """Say nothing here: `write_error` logs what is a mistake of ours."""


class Calls(_Answer):
    """``POST /call/NAME``: a question as JSON."""

    async def post(self, name: str) -> None:
        if name == "hello" and self.hello is not None:
            self._answer(self.hello())
            return
        if name == "status":
            self._answer(self.depot.status())
            return
        if name == "small_files":
            self._small_files(self._decode(SmallFiles))
            return
        if name == "build_hosts":
            self._answer(self.depot.builds.hosts())
            return
        if name == "events":
            await self._events(self._decode(Since))
            return
        call = _CALLS.get(name)
        if call is None:
            raise HTTPError(404, reason="unknown question")
        self._answer(call[1](self.depot, self._decode(call[0])))

    async def _events(self, since: Since) -> None:
        ends_s = time.monotonic() + min(since.wait_s, MOST_WAIT_S)
        at_once = replace(since, wait_s=0.0, gather_s=0.0)
        while not (events := self.depot.events(at_once)) and time.monotonic() < ends_s:
            await asyncio.sleep(LOOK_S)
        if events and since.gather_s:
            await asyncio.sleep(min(since.gather_s, MOST_WAIT_S))
            events = self.depot.events(at_once)
        self._answer(Events(events=events))

    def _small_files(self, asked: SmallFiles) -> None:
        """Send those of some files that are small, one after the other, as far as they fit into one piece."""
        listed, data = [], bytearray()
        for sha256 in asked.sha256s:
            path = self.depot.files.path_of(sha256)
            size = path.stat().st_size if path.is_file() else None
            if size is not None and size <= SMALL_BYTES and len(data) + size <= PIECE_BYTES:
                data += path.read_bytes()
                listed.append(f"{sha256}:{size}")
        self.set_header(FILES_HEADER, ",".join(listed))
        self.finish(bytes(data))

    def _decode(self, kind: type[Any]) -> Any:
        try:
            return decode_json(self.request.body, kind)
        except ValueError as error:
            raise HTTPError(400, reason="malformed question") from error

    def _answer(self, value: Any) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))


_CALLS: dict[str, tuple[type[Any], Callable[[Depot, Any], Any]]] = {
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


class Files(_Answer):
    """``/files/DIGEST``: HEAD says how much has arrived, PUT sends the next piece, GET fetches from an offset on."""

    def head(self, sha256: str) -> None:
        self._progress(self.depot.files.received(sha256))

    async def put(self, sha256: str) -> None:
        match = _CONTENT_RANGE.match(self.request.headers.get("Content-Range", ""))
        if match is None or int(match[2]) - int(match[1]) + 1 != len(self.request.body):
            raise HTTPError(400, reason="Content-Range and body differ")
        start, last = int(match[1]), int(match[2]) + 1 == int(match[3])
        outcome = self._outcome()
        if int(match[3]) <= SMALL_BYTES:
            self._progress(self._receive(sha256, start, last=last, outcome=outcome))
            return
        # In a thread: to write and hash a large file must not keep others waiting. For a small one that costs more.
        self._progress(await asyncio.to_thread(self._receive, sha256, start, last=last, outcome=outcome))

    def _outcome(self) -> Outcome | None:
        """What the file is the result of, if its sender says so. A result and its report in one request cost less."""
        text = self.request.headers.get(OUTCOME_HEADER)
        try:
            return None if text is None else decode_json(base64.b64decode(text, validate=True), Outcome)
        except ValueError as error:
            raise HTTPError(400, reason="malformed outcome") from error

    def _receive(self, sha256: str, start: int, *, last: bool, outcome: Outcome | None) -> int | None:
        received = self.depot.files.receive(sha256, start, self.request.body, last=last)
        if received is None and outcome is not None:
            self.depot.deliver(outcome, None)
        return received

    async def get(self, sha256: str) -> None:
        path = self.depot.files.path_of(sha256)
        if not path.is_file():
            raise HTTPError(404, reason="no such file")
        size = path.stat().st_size
        match = _RANGE.match(self.request.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        if match:
            if start > size:
                raise HTTPError(416, reason="beyond the end")
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.set_header("Content-Length", str(size - start))
        with path.open("rb") as file:
            file.seek(start)
            while data := file.read(PIECE_BYTES):
                self.write(data)
                try:
                    await self.flush()
                except StreamClosedError:
                    return

    def _progress(self, received: int | None) -> None:
        self.set_header("Upload-Complete", "?1" if received is None else "?0")
        self.set_header("Upload-Offset", str(received or 0))
        self.finish()
