"""The cable: a socket that carries packets, with faults on demand."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field

from tests.vphone.packets import Packet, receive_packet


@dataclass(slots=True, kw_only=True)
class CableFaults:
    """The cable's faults; may be changed at any time, even while data flows.

    ``hang``: the socket stays open and nothing is read or answered, so the adb server still reports ``device``.
    ``drop_after_bytes``: payload, both ways together, after which the connection is cut, once; None for never.
    ``delay_s``: a wait before every packet. ``bytes_per_second``: the speed of the payload; None for full speed.
    """

    hang: bool = False
    drop_after_bytes: int | None = None
    delay_s: float = 0.0
    bytes_per_second: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def pass_payload(self, size: int, gone: threading.Event) -> None:
        """Let this many bytes through, late or not at all; raises `ConnectionError` if the cable breaks here."""
        while self.hang and not gone.is_set():
            time.sleep(0.01)
        if wait := self.delay_s + (size / self.bytes_per_second if self.bytes_per_second else 0.0):
            time.sleep(wait)
        with self._lock:
            if self.drop_after_bytes is None:
                return
            self.drop_after_bytes -= size
            if self.drop_after_bytes > 0:
                return
            self.drop_after_bytes = None
        msg = "the cable broke after the bytes it was allowed"
        raise ConnectionError(msg)


class Line:
    """One connection with an adb server: packets in and out, through a cable that may have faults."""

    def __init__(self, link: socket.socket, faults: CableFaults) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link, self._faults = link, faults
        self._sending = threading.Lock()
        self._gone = threading.Event()

    def send(self, packet: Packet) -> None:
        """Send one packet; raises `OSError` when the connection is gone."""
        self._pass(packet)
        with self._sending:
            self._link.sendall(packet.encode())
            if packet.payload:
                self._link.sendall(packet.payload)

    def receive(self) -> Packet | None:
        """Wait for the next packet, None when it is of no known kind; raises `OSError` when the connection ends."""
        packet = receive_packet(self._link)
        if packet is not None:
            self._pass(packet)
        return packet

    def _pass(self, packet: Packet) -> None:
        try:
            self._faults.pass_payload(len(packet.payload), self._gone)
        except ConnectionError:
            self.cut()
            raise

    def cut(self) -> None:
        """End the connection at once, like pulling the plug."""
        self._gone.set()
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It was cut before.
