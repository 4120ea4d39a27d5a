"""One stream of an adb connection: what a service reads from and writes to."""

from __future__ import annotations

import threading
from collections import deque

from tests.vphone.line import Line
from tests.vphone.packets import Command, Packet

# How many bytes may wait for a slow service before the other end has to wait too.
READ_AHEAD_BYTES = 4 * 1024 * 1024


class StreamClosedError(ConnectionError):
    """The other end closed the stream, or the connection is gone."""


class Stream:
    """A byte stream between a service of the phone and a client of the adb server.

    Every write waits until the one before it is acknowledged, which is the protocol's only flow control.
    """

    def __init__(self, line: Line, *, local: int, remote: int, max_payload: int) -> None:
        self.local, self.remote = local, remote
        self._line, self._max = line, max_payload
        self._changed = threading.Condition()
        self._arrived: deque[bytes] = deque()
        self._held = bytearray()
        self._waiting_bytes = 0
        self._owed_okay = False
        self._may_write = False
        self._open = False
        self._ended = False
        self._closed = False

    def accept(self) -> None:
        """Tell the other end that the stream is open."""
        with self._changed:
            self._may_write = self._open = True
        self._send(Command.OKAY)

    def acknowledged(self, remote: int) -> None:
        """The other end is ready for more; the first time it also says its own number."""
        with self._changed:
            self.remote, self._may_write, self._open = remote, True, True
            self._changed.notify_all()

    def arrived(self, payload: bytes) -> None:
        """The other end sent this."""
        with self._changed:
            self._arrived.append(payload)
            self._waiting_bytes += len(payload)
            self._owed_okay = self._waiting_bytes > READ_AHEAD_BYTES
            owed = self._owed_okay
            self._changed.notify_all()
        if not owed:
            self._send(Command.OKAY)

    def ended(self) -> None:
        """The other end will neither send nor accept more; what it sent before can still be read."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self) -> bytes:
        """Return the next data, or nothing at the end of the stream."""
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            return data
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._ended or self._closed)
            if not self._arrived:
                return b""
            data = self._arrived.popleft()
            self._waiting_bytes -= len(data)
            owed, self._owed_okay = self._owed_okay, False
        if owed:
            self._send(Command.OKAY)
        return data

    def read_exactly(self, size: int) -> bytes:
        """Return this many bytes; raises `StreamClosedError` if the stream ends first."""
        held, self._held = self._held, bytearray()
        while len(held) < size:
            data = self.read()
            if not data:
                msg = f"the stream ended after {len(held)} of {size} bytes"
                raise StreamClosedError(msg)
            held += data
        self._held = held[size:]
        return bytes(held[:size])

    def write(self, data: bytes) -> None:
        """Send data as fast as the other end accepts it; raises `StreamClosedError` if it is gone."""
        for start in range(0, len(data), self._max):
            with self._changed:
                self._changed.wait_for(lambda: self._may_write or self._ended or self._closed)
                if self._ended or self._closed:
                    msg = "the other end closed the stream"
                    raise StreamClosedError(msg)
                self._may_write = False
            self._send(Command.WRTE, data[start : start + self._max])

    def wait_open(self, timeout_s: float = 10.0) -> bool:
        """Wait until the other end took a stream that this end opened; False when it refused."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_write or self._ended, timeout_s)
            return self._may_write and not self._ended

    def close(self) -> None:
        """Close the stream from this end; a second time does nothing."""
        with self._changed:
            was_closed, self._closed = self._closed or self._ended, True
            self._changed.notify_all()
        if not was_closed:
            self._send(Command.CLSE)

    def _send(self, command: Command, payload: bytes = b"") -> None:
        # A refusal must not carry a number: the server would not know whose it is, and its client would wait forever.
        local = self.local if self._open else 0
        try:
            self._line.send(Packet(command=command, arg0=local, arg1=self.remote, payload=payload))
        except OSError as error:
            self.ended()
            if command is Command.WRTE:
                msg = "the connection is gone"
                raise StreamClosedError(msg) from error
