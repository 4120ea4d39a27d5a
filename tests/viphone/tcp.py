"""TCP over IPv6 for the phone's end of a tunnel, in a few dozen states fewer than RFC 9293.

The tunnel is a reliable stream, so nothing is overtaken on the way and there is no congestion control. The other end
may drop packets that it cannot queue, so what is not acknowledged for a while is sent again.
"""

from __future__ import annotations

import ipaddress
import secrets
import struct
import threading
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from sys import byteorder

IPV6 = struct.Struct("!IHBB16s16s")
SEGMENT = struct.Struct("!HHIIBBHHH")
TCP = 6
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
END_OPTION, PAD_OPTION, MSS_OPTION, SCALE_OPTION = 0, 1, 2, 3
DEFAULT_MSS = 1220
# Our window, and the power of two that it is told in (RFC 7323).
WINDOW_BYTES, SCALE = 512 * 1024, 4
SEGMENT_BYTES = 8192
# The other end of the tunnel may queue no more than ten packets (net.unix.max_dgram_qlen), and drops what is above.
MAX_FLYING = 6
RESEND_S = 0.3
WORD = 1 << 32
WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment; the addresses are in the packet around it."""

    source: int
    target: int
    number: int
    acknowledged: int
    flags: int
    window: int
    mss: int = 0
    scale: int | None = None
    data: bytes = b""

    @classmethod
    def decode(cls, data: bytes) -> Segment:
        """Read the body of a packet; raises `ValueError`."""
        if len(data) < SEGMENT.size:
            msg = f"a segment of {len(data)} bytes"
            raise ValueError(msg)
        source, target, number, acknowledged, offset, flags, window, _, _ = SEGMENT.unpack_from(data)
        start = (offset >> 4) * 4
        options = _options(data[SEGMENT.size : start]) if flags & SYN else {}
        return cls(
            source=source,
            target=target,
            number=number,
            acknowledged=acknowledged,
            flags=flags,
            window=window,
            mss=int.from_bytes(options.get(MSS_OPTION, b""), "big"),
            scale=options[SCALE_OPTION][0] if SCALE_OPTION in options else None,
            data=data[start:],
        )

    def packet(self, here: bytes, there: bytes) -> bytes:
        """The whole IPv6 packet, with the checksum."""
        options = struct.pack("!BBH", MSS_OPTION, 4, self.mss) if self.mss else b""
        if self.scale is not None:
            options += struct.pack("!BBBB", PAD_OPTION, SCALE_OPTION, 3, self.scale)
        offset = (SEGMENT.size + len(options)) // 4 << 4
        fields = [
            self.source,
            self.target,
            self.number % WORD,
            self.acknowledged % WORD,
            offset,
            self.flags,
            self.window,
        ]
        body = options + self.data
        size = SEGMENT.size + len(body)
        pseudo = here + there + struct.pack("!II", size, TCP)
        total = checksum(pseudo + SEGMENT.pack(*fields, 0, 0) + body)
        return IPV6.pack(6 << 28, size, TCP, 64, here, there) + SEGMENT.pack(*fields, total, 0) + body


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    words = array("H", data + b"\0" * (len(data) % 2))
    if byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _options(data: bytes) -> dict[int, bytes]:
    """The options of a segment, by their kinds."""
    at, found = 0, dict[int, bytes]()
    while at < len(data) and data[at] != END_OPTION:
        if data[at] == PAD_OPTION:
            at += 1
            continue
        size = max(data[at + 1], 2)
        found[data[at]] = data[at + 2 : at + size]
        at += size
    return found


class Connection:
    """One connection that the other end has opened, with the methods of a socket that a `Link` uses."""

    def __init__(self, syn: Segment, send: Callable[[Segment], None]) -> None:
        self._ports, self._send_segment = (syn.target, syn.source), send
        self._changed = threading.Condition()
        self._received = bytearray()
        self._expected = (syn.number + 1) % WORD
        self._next = secrets.randbits(32)
        self._unacknowledged = self._next
        self._window, self._size = syn.window, min(syn.mss or DEFAULT_MSS, SEGMENT_BYTES)
        # Windows are scaled if both ends say so.
        self._scale_there, self._scale_here = (0, 0) if syn.scale is None else (syn.scale, SCALE)
        self._ended_there = self._ended_here = self._dead = False
        self._flying: list[Segment] = []
        self._stalled_at: int | None = None
        self._emit(SYN | ACK, mss=SEGMENT_BYTES, scale=None if syn.scale is None else SCALE)
        self._next = (self._next + 1) % WORD

    @property
    def over(self) -> bool:
        """Whether both ends have said farewell, or one has reset the connection."""
        with self._changed:
            return self._dead or (self._ended_here and self._ended_there and self._next == self._unacknowledged)

    def take(self, segment: Segment) -> None:
        """Take in a segment of the other end."""
        with self._changed:
            if segment.flags & RST:
                self._dead = True
            if segment.flags & ACK:
                self._unacknowledged, self._window = segment.acknowledged, segment.window << self._scale_there
                # The upper half of all numbers is what has been acknowledged.
                self._flying = [one for one in self._flying if (one.number - segment.acknowledged) % WORD < WORD // 2]
            fits = segment.number == self._expected
            if fits:
                self._received += segment.data
                self._expected = (self._expected + len(segment.data)) % WORD
                if segment.flags & FIN:
                    self._expected, self._ended_there = (self._expected + 1) % WORD, True
            # What does not fit is a repetition, or a probe of an idle connection: the answer is where we are.
            if segment.data or segment.flags & FIN or not fits:
                self._emit(ACK)
            self._changed.notify_all()

    def recv(self, limit: int) -> bytes:
        """Wait for bytes; empty at the end. Raises `ConnectionError` when the connection was reset."""
        with self._changed:
            self._changed.wait_for(lambda: self._received or self._ended_there or self._dead)
            if self._dead and not self._received:
                msg = "the connection was reset"
                raise ConnectionResetError(msg)
            was_shut = WINDOW_BYTES - len(self._received) < SEGMENT_BYTES
            data = bytes(self._received[:limit])
            del self._received[:limit]
            if was_shut:
                self._emit(ACK)
            return data

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it, as fast as the window allows; raises `ConnectionError` when that has ended."""
        view = memoryview(data)
        while view:
            with self._changed:
                if not self._changed.wait_for(lambda: self._room() > 0 or self._dead or self._ended_here, WAIT_S):
                    self._dead = True
                if self._dead or self._ended_here:
                    msg = "the connection is closed"
                    raise ConnectionResetError(msg)
                part = bytes(view[: min(self._room(), self._size)])
                self._emit(ACK | PSH, data=part)
                self._next = (self._next + len(part)) % WORD
            view = view[len(part) :]

    def shutdown(self, _: int = 0) -> None:
        """Say farewell; what was received can still be read."""
        with self._changed:
            if not self._ended_here and not self._dead:
                self._emit(FIN | ACK)
                self._next = (self._next + 1) % WORD
            self._ended_here = True
            self._changed.notify_all()

    def close(self) -> None:
        """Say farewell."""
        self.shutdown()

    def resend(self) -> None:
        """Send again what has not been acknowledged since the last call."""
        with self._changed:
            if self._flying and self._stalled_at == self._unacknowledged:
                for segment in self._flying:
                    self._send_segment(replace(segment, acknowledged=self._expected))
            self._stalled_at = self._unacknowledged

    def drop(self) -> None:
        """End at once, without a word: the tunnel is gone."""
        with self._changed:
            self._dead = True
            self._changed.notify_all()

    def _room(self) -> int:
        return min(self._window, MAX_FLYING * self._size) - (self._next - self._unacknowledged) % WORD

    def _emit(self, flags: int, *, data: bytes = b"", mss: int = 0, scale: int | None = None) -> None:
        source, target = self._ports
        window = max(WINDOW_BYTES - len(self._received), 0) >> (0 if flags & SYN else self._scale_here)
        segment = Segment(
            source=source,
            target=target,
            number=self._next,
            acknowledged=self._expected,
            flags=flags,
            window=min(window, 0xFFFF),
            mss=mss,
            scale=scale,
            data=data,
        )
        if data or flags & (SYN | FIN):
            self._flying.append(segment)
        self._send_segment(segment)


# What serves connections to a port, without waiting for their end; None if nobody listens there.
Listener = Callable[[int], Callable[[Connection], None] | None]


class Stack:
    """The phone's end of one tunnel: its address, and the ports on which it takes connections."""

    def __init__(self, here: str, there: str, send: Callable[[bytes], None], listener: Listener) -> None:
        self._here, self._there = (ipaddress.IPv6Address(one).packed for one in (here, there))
        self._send, self._listener = send, listener
        self._open: dict[tuple[int, int], Connection] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._resend, name="tunnel", daemon=True).start()

    def take(self, header: bytes, body: bytes) -> None:
        """Take in a packet; what is not TCP for us is ignored."""
        _, _, kind, _, _, target = IPV6.unpack(header)
        if kind != TCP or target != self._here:
            return
        segment = Segment.decode(body)
        ports = (segment.target, segment.source)
        connection = self._open.get(ports)
        if connection is not None and not segment.flags & SYN:
            connection.take(segment)
            if connection.over:
                del self._open[ports]
        elif segment.flags & SYN:
            self._greet(ports, segment)
        elif not segment.flags & RST:
            self._refuse(segment)

    def close(self) -> None:
        """End every connection, because the tunnel is gone."""
        self._closed.set()
        for connection in self._open.values():
            connection.drop()
        self._open.clear()

    def _resend(self) -> None:
        while not self._closed.wait(RESEND_S):
            for connection in list(self._open.values()):
                connection.resend()

    def _greet(self, ports: tuple[int, int], syn: Segment) -> None:
        if ports in self._open:
            self._open.pop(ports).drop()
        serve = self._listener(ports[0])
        if serve is None:
            self._refuse(syn)
            return
        self._open[ports] = connection = Connection(syn, self._send_segment)
        serve(connection)

    def _refuse(self, segment: Segment) -> None:
        length = len(segment.data) + bool(segment.flags & (SYN | FIN))
        reset = Segment(
            source=segment.target,
            target=segment.source,
            number=segment.acknowledged,
            acknowledged=(segment.number + length) % WORD,
            flags=RST | ACK,
            window=0,
        )
        self._send_segment(reset)

    def _send_segment(self, segment: Segment) -> None:
        # When the tunnel has been cut its reader ends every connection.
        with suppress(OSError):
            self._send(segment.packet(self._here, self._there))
