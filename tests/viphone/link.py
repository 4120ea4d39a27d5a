"""One connection with a service of the phone: bytes in and out through the cable, in plain text or with TLS."""

from __future__ import annotations

import plistlib
import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import Any, Protocol

from tests.viphone.cable import Cable, CableBrokeError

CHUNK_BYTES = 1024 * 1024
LENGTH = struct.Struct(">I")
MAX_PLIST_BYTES = 64 * 1024 * 1024


class HungUpError(ConnectionError):
    """The other end, or the cable, ended the connection."""


class Wire(Protocol):
    """What carries the bytes: a socket, or a connection inside a tunnel."""

    def recv(self, limit: int, /) -> bytes:
        """Wait for bytes; empty at the end."""

    def sendall(self, data: bytes | bytearray | memoryview, /) -> None:
        """Send all of it."""

    def shutdown(self, how: int, /) -> None:
        """End it, and wake who waits."""

    def close(self) -> None:
        """Free it."""


class Link:
    """A connection; one thread may receive while others send.

    TLS works on buffers and not on the socket, because the cable counts the bytes as they travel.
    """

    def __init__(self, sock: Wire, cable: Cable) -> None:
        self._sock, self._cable = sock, cable
        self._gone = threading.Event()
        self._sending = threading.Lock()
        self._tls: ssl.SSLObject | None = None
        self._tls_lock = threading.RLock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._buffer = bytearray()

    def cut(self) -> None:
        """End the connection at once, like pulling the plug."""
        self._gone.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection and free the socket."""
        self.cut()
        self._sock.close()

    @property
    def gone(self) -> bool:
        """Whether this end was cut."""
        return self._gone.is_set()

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it; raises `OSError` when the connection is gone."""
        with self._sending:
            if self._tls is None:
                self._send_raw(data)
                return
            view = memoryview(data)
            for start in range(0, len(view), CHUNK_BYTES):
                with self._tls_lock:
                    self._tls.write(view[start : start + CHUNK_BYTES])
                    sealed = self._outgoing.read()
                self._send_raw(sealed)

    def receive_some(self, limit: int = CHUNK_BYTES) -> bytes:
        """Wait for bytes; empty when the other end has finished. Raises `OSError` when the connection is gone."""
        if self._buffer:
            taken = bytes(self._buffer[:limit])
            del self._buffer[:limit]
            return taken
        return self._receive_open(limit)

    def receive(self, size: int) -> bytes:
        """Wait for exactly that many bytes; raises `HungUpError` when fewer come."""
        parts, missing = [], size
        while missing:
            part = self.receive_some(missing)
            if not part:
                msg = f"the other end hung up {missing} bytes early"
                raise HungUpError(msg)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def send_plist(self, value: Any, *, binary: bool = False) -> None:
        """Send a property list with its length before it, in big-endian."""
        data = plistlib.dumps(value, fmt=plistlib.FMT_BINARY if binary else plistlib.FMT_XML)
        self.send(LENGTH.pack(len(data)) + data)

    def receive_plist(self) -> Any:
        """Wait for a property list; raises `HungUpError` at the end of the connection."""
        (size,) = LENGTH.unpack(self.receive(LENGTH.size))
        if size > MAX_PLIST_BYTES:
            msg = f"a property list of {size} bytes is no message"
            raise HungUpError(msg)
        return plistlib.loads(self.receive(size))

    def start_tls(self, context: ssl.SSLContext) -> bytes:
        """Shake hands as the server and return the other end's certificate; raises `ssl.SSLError` or `OSError`."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(bytes(self._buffer))
        self._buffer.clear()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_raw(self._outgoing.read())
                self._incoming.write(self._receive_raw(CHUNK_BYTES) or self._raise_hung_up())
            except ssl.SSLError:
                self._send_raw(self._outgoing.read())
                raise
        self._send_raw(self._outgoing.read())
        self._tls = tls
        return tls.getpeercert(binary_form=True) or b""

    def stop_tls(self) -> None:
        """Continue in plain text, after both ends said goodbye."""
        tls, self._tls = self._tls, None
        if tls is None:
            return
        while True:
            try:
                tls.unwrap()
                break
            except ssl.SSLWantReadError:
                self._send_raw(self._outgoing.read())
                self._incoming.write(self._receive_raw(CHUNK_BYTES) or self._raise_hung_up())
            except ssl.SSLError:
                break
        self._send_raw(self._outgoing.read())
        self._buffer += self._incoming.read()

    def _receive_open(self, limit: int) -> bytes:
        while self._tls is not None:
            with self._tls_lock, suppress(ssl.SSLWantReadError):
                try:
                    return self._tls.read(limit)
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            sealed = self._receive_raw(CHUNK_BYTES)
            with self._tls_lock:
                if sealed:
                    self._incoming.write(sealed)
                else:
                    self._incoming.write_eof()
        return self._receive_raw(limit)

    def _raise_hung_up(self) -> bytes:
        msg = "the other end hung up while TLS was being set up"
        raise HungUpError(msg)

    def _receive_raw(self, limit: int) -> bytes:
        data = self._sock.recv(limit)
        if self._gone.is_set():
            msg = "the connection was cut"
            raise HungUpError(msg)
        try:
            self._cable.let_through(len(data), self._gone)
        except CableBrokeError as error:
            if not error.passed:
                raise
            # What passed before the break has arrived; the next call finds the connection cut.
            return data[: error.passed]
        return data

    def _send_raw(self, data: bytes | bytearray | memoryview) -> None:
        if self._gone.is_set():
            msg = "the connection was cut"
            raise HungUpError(msg)
        if not data:
            return
        try:
            self._cable.let_through(len(data), self._gone)
        except CableBrokeError as error:
            with suppress(OSError):
                self._sock.sendall(memoryview(data)[: error.passed])
            raise
        self._sock.sendall(data)
