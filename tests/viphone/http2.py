"""HTTP/2 as far as XPC uses it (RFC 9113): frames on two streams, whose headers are empty."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any

from tests.viphone import xpc
from tests.viphone.link import HungUpError, Link

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x7, 0x8
ACK, END_HEADERS = 0x1, 0x4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
ROOT, REPLY = 1, 3
WINDOW_BYTES = 1024 * 1024
FRAME_BYTES = 16384


class XpcServer:
    """The listening end of XPC on one connection: it says hello, then answers messages."""

    def __init__(self, link: Link, answer: Callable[[Any, XpcServer], Any | None]) -> None:
        self._link, self._answer = link, answer
        self._sending = threading.Lock()
        self._received = {ROOT: bytearray(), REPLY: bytearray()}
        self._number = 2

    def serve(self) -> None:
        """Answer until the connection ends; raises `OSError` then."""
        if self._link.receive(len(PREFACE)) != PREFACE:
            msg = "the other end does not speak HTTP/2"
            raise HungUpError(msg)
        settings = struct.pack("!HIHI", MAX_CONCURRENT_STREAMS, 100, INITIAL_WINDOW_SIZE, WINDOW_BYTES)
        self._frame(SETTINGS, 0, 0, settings)
        self._frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", WINDOW_BYTES - 65535))
        self._frame(HEADERS, END_HEADERS, ROOT, b"")
        self._frame(HEADERS, END_HEADERS, REPLY, b"")
        self._send(ROOT, xpc.Message(flags=xpc.ALWAYS | xpc.DATA, body={}))
        self._send(REPLY, xpc.Message(flags=xpc.ALWAYS | xpc.HELLO))
        while True:
            self._take_frame()

    def say(self, body: Any) -> None:
        """Send a message that is no answer."""
        number, self._number = self._number, self._number + 2
        self._send(ROOT, xpc.Message(flags=xpc.ALWAYS | xpc.DATA, number=number, body=body))

    def _take_frame(self) -> None:
        head = self._link.receive(9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        body = self._link.receive(size)
        if kind == SETTINGS and not flags & ACK:
            self._frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self._frame(PING, ACK, 0, body)
        elif kind == GOAWAY:
            msg = "the other end goes away"
            raise HungUpError(msg)
        elif kind == DATA and stream in self._received:
            for number in (0, stream) if size else ():
                self._frame(WINDOW_UPDATE, 0, number, struct.pack("!I", size))
            self._received[stream] += body
            while (message := xpc.take_message(self._received[stream])) is not None:
                self._take(message)

    def _take(self, message: xpc.Message) -> None:
        if not message.body:
            return
        said = self._answer(message.body, self)
        if said is not None and message.flags & xpc.WANTS_REPLY:
            flags = xpc.ALWAYS | xpc.DATA | xpc.REPLY
            self._send(REPLY, xpc.Message(flags=flags, number=message.number, body=said))

    def _send(self, stream: int, message: xpc.Message) -> None:
        data = message.encode()
        for start in range(0, len(data), FRAME_BYTES):
            self._frame(DATA, 0, stream, data[start : start + FRAME_BYTES])

    def _frame(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        with self._sending:
            self._link.send(len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body)
