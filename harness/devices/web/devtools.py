"""The Chrome DevTools protocol over the pipe of ``--remote-debugging-pipe``: JSON that ends with a zero byte."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import msgspec

from harness.system.decoding import plain_json

CALL_S = 20.0
_BLOCK = 65_536
# No answer that is asked for has so many.
_MOST_BYTES = 64 << 20

log = logging.getLogger(__name__)

Listener = Callable[[str, dict[str, Any]], None]


class DevToolsError(Exception):
    """The browser refused a call, gave no answer in time, or is gone."""


class DevTools:
    """A connection to a browser. ``listener`` gets each event by name, and ``closed`` when the browser is gone.

    ``patience_s`` is how long a call waits for its answer.
    """

    CLOSED = "closed"

    def __init__(self, read_fd: int, write_fd: int, listener: Listener, *, patience_s: float = CALL_S) -> None:
        self._patience_s = patience_s
        self._read_fd, self._write_fd, self._listener = read_fd, write_fd, listener
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._gone = False
        threading.Thread(target=self._listen, name="devtools", daemon=True).start()

    def call(
        self, method: str, parameters: dict[str, Any] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Call ``method`` and return its result. Raises `DevToolsError`."""
        future: Future[dict[str, Any]] = Future()
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        with self._lock:
            if self._gone:
                msg = f"the browser is gone, so it cannot answer {method}"
                raise DevToolsError(msg)
            self._waiting[number] = future
            try:
                _write_all(self._write_fd, json.dumps(message).encode() + b"\0")
            except OSError as error:
                msg = f"the browser does not take {method}: {error.strerror}"
                raise DevToolsError(msg) from error
        try:
            return future.result(timeout=self._patience_s)
        except FutureTimeout as error:
            msg = f"the browser gave no answer to {method} within {self._patience_s:g} s"
            raise DevToolsError(msg) from error

    def close(self) -> None:
        """Close our end of the pipe, whereupon the browser ends."""
        with self._lock:
            if self._write_fd >= 0:
                os.close(self._write_fd)
                self._write_fd = -1
            self._gone = True

    def _listen(self) -> None:
        pieces: list[bytes] = []
        received = 0
        with contextlib.suppress(OSError):
            while received <= _MOST_BYTES and (block := os.read(self._read_fd, _BLOCK)):
                first, *others = block.split(b"\0")
                pieces.append(first)
                received += len(first)
                for start in others:
                    self._receive(b"".join(pieces))
                    pieces, received = [start], len(start)
        os.close(self._read_fd)
        with self._lock:
            self._gone = True
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(DevToolsError("the browser went away"))
        self._listener(self.CLOSED, {})

    def _receive(self, data: bytes) -> None:
        try:
            message = read_message(data)
        except ValueError as error:
            # Whoever waits for it hears of it when its time is over.
            log.info("a message of the browser cannot be read: %s", error)
            return
        if message.id is None:
            self._listener(message.method, message.params)
            return
        with self._lock:
            future = self._waiting.pop(message.id, None)
        if future is None:
            return
        if message.problem is not None:
            future.set_exception(DevToolsError(message.problem))
        else:
            future.set_result(message.result)


class Message(msgspec.Struct, frozen=True):
    """A message of the browser: the answer to the call ``id``, or an event, which has a ``method`` instead.

    ``error`` says why a call failed; it is a table with a ``message``, or whatever else the browser sent.
    """

    id: int | None = None
    method: str = ""
    params: dict[str, Any] = {}
    result: dict[str, Any] = {}
    error: Any = None

    @property
    def problem(self) -> str | None:
        """The error in words, None without one."""
        words = self.error.get("message", self.error) if isinstance(self.error, dict) else self.error
        return None if self.error is None else str(words)


def read_message(data: bytes) -> Message:
    """Return what is in a message. Raises `ValueError` if it is not a JSON object with fields of these types."""
    return msgspec.convert(plain_json(data.decode("utf-8")), Message)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
