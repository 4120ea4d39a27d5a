"""One virtual phone: an adbd on a loopback port, with the phone's own processes behind it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.vphone.door import Door
from tests.vphone.jail import Jail
from tests.vphone.line import CableFaults, Line
from tests.vphone.services import Services
from tests.vphone.sockets import LOOPBACK, Reverses
from tests.vphone.state import MIB, PhoneState
from tests.vphone.stream import Stream
from tests.vphone.transport import Transport


class VirtualPhone:
    """A phone that real adb servers connect to, at ``127.0.0.1:port``, until the ``with`` block ends.

    ``folder`` must be of its own; the phone's root is made in it and removed at the end. ``data_bytes`` is the size of
    its storage, a file system in memory that is really full when it is full.
    """

    def __init__(
        self, folder: Path, *, serial: str = "vphone-0", api: int = 34, abi: str = "x86_64", data_bytes: int = 512 * MIB
    ) -> None:
        self._folder, self._data_bytes = folder, data_bytes
        self.state = PhoneState(serial=serial, api=api, abi=abi)
        self.cable = CableFaults()
        self.door = Door(allowed=True)
        self._transports: list[Transport] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Switch the phone on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.jail = Jail(self._folder, data_bytes=self._data_bytes)
        self._reverses = Reverses()
        self._services = Services(jail=self.jail, reverses=self._reverses, reboot=lambda: None)
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off: the connections, its listeners, and every process that it started end."""
        self.unplug()
        self._reverses.close()
        self.jail.close()

    @property
    def address(self) -> str:
        """The phone's key on the adb servers that it is connected to."""
        return f"{LOOPBACK}:{self.port}"

    def path(self, path: str) -> Path:
        """Where a file of the phone can be read by this computer, while the phone is on."""
        return self.jail.resolve(path)

    def plug(self) -> None:
        """Listen for adb servers, always on the same port."""
        self._listener = socket.create_server((LOOPBACK, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(self._listener,), name="adbd", daemon=True).start()

    def unplug(self) -> None:
        """Cut every connection and take none until it is plugged again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def drop(self) -> None:
        """Cut every connection; adb servers may come back at once."""
        with self._lock:
            transports = list(self._transports)
        for transport in transports:
            transport.cut()

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=self._serve, args=(link,), name="adb transport", daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            transport = Transport(
                Line(link, self.cable), door=self.door, banner=self.state.banner, open_service=self._open
            )
            with self._lock:
                self._transports.append(transport)
            try:
                transport.serve()
            finally:
                with self._lock:
                    self._transports.remove(transport)

    def _open(self, name: str, stream: Stream, transport: Transport) -> None:
        self._services.open(name, stream, transport)
