"""One virtual phone: an adbd on a loopback port, with the phone's processes and services behind it."""

from __future__ import annotations

import functools
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.vphone.apps import Apps
from tests.vphone.calls import Switchboard
from tests.vphone.commands import answer
from tests.vphone.door import Door
from tests.vphone.faults import Faults
from tests.vphone.jail import Jail
from tests.vphone.line import CableFaults, Line
from tests.vphone.logs import Log
from tests.vphone.packages import Packages
from tests.vphone.services import Services
from tests.vphone.sockets import LOOPBACK, Reverses
from tests.vphone.state import HOME_SCREEN, MIB, PhoneState
from tests.vphone.sysfiles import write_files
from tests.vphone.system import System
from tests.vphone.transport import Transport


class VirtualPhone:
    """A phone that real adb servers connect to, at ``127.0.0.1:port``, until the ``with`` block ends.

    ``folder`` must not be shared; the phone's root is made in it and removed at the end. ``data_bytes`` is the size of
    its storage, a file system in memory that is really full when it is full. ``state`` is what it reports about itself,
    ``faults`` what can happen to it, ``apps.program`` what runs behind ``am start``; ``jail``, ``log``, ``packages``
    and ``system`` are for tests to inspect.
    """

    jail: Jail
    apps: Apps
    packages: Packages
    system: System

    def __init__(
        self, folder: Path, *, serial: str = "vphone-0", api: int = 34, abi: str = "x86_64", data_bytes: int = 512 * MIB
    ) -> None:
        self._folder, self.data_bytes = folder, data_bytes
        self.state = PhoneState(serial=serial, api=api, abi=abi)
        self.cable = CableFaults()
        self.door = Door(allowed=True)
        self.faults = Faults(self)
        self.log = Log(lambda: time.time() + self.state.clock_offset_s)
        self.port = 0
        self._lock = threading.Lock()
        self._transports: list[Transport] = []
        self._listener: socket.socket | None = None
        self._attached: list[Callable[[], object]] = []
        self._off = threading.Event()

    def __enter__(self) -> Self:
        """Switch the phone on. Raises `JailError` where this machine does not allow namespaces."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.jail = Jail(self._folder, data_bytes=self.data_bytes)
        fake, writing = self.jail.outer / "fake", threading.Lock()

        def follow() -> None:
            with writing:
                write_files(self.state, fake)

        follow()
        self.state.watch(follow)
        self.apps = Apps(self.jail, self.log, self.state)
        self.packages = Packages(self.state, self.jail)
        self.system = System(
            state=self.state,
            jail=self.jail,
            log=self.log,
            packages=self.packages,
            apps=self.apps,
            reboot=self.reboot,
        )
        self._switchboard = Switchboard(self.jail, functools.partial(answer, self.system))
        self._reverses = Reverses()
        self._services = Services(jail=self.jail, reverses=self._reverses, reboot=self.reboot)
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off: the connections, its listeners, and every process that it started end."""
        self._off.set()
        self._attached.clear()
        self.unplug()
        self.state.watch(None)
        self._switchboard.close()
        self._reverses.close()
        self.jail.close()
        self.apps.forget()

    @property
    def address(self) -> str:
        """The phone's key on the adb servers that it is connected to."""
        return f"{LOOPBACK}:{self.port}"

    def path(self, path: str) -> Path:
        """Where a file of the phone can be read by this computer, while the phone is on."""
        return self.jail.resolve(path)

    def attach(self, reconnect: Callable[[], object]) -> None:
        """Call this whenever the phone is plugged in again."""
        self._attached.append(reconnect)

    def plug(self) -> None:
        """Listen for adb servers, always on the same port, and let those that knew the phone find it."""
        self._listener = socket.create_server((LOOPBACK, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(self._listener,), name="adbd", daemon=True).start()
        for reconnect in self._attached:
            reconnect()

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

    def reboot(self, *, down_s: float = 0.3, boot_s: float = 0.5) -> None:
        """Start the phone anew; returns at once, with the phone still there, as ``adb reboot`` does."""
        threading.Thread(target=self._reboot, args=(down_s, boot_s), name="reboot", daemon=True).start()

    def _reboot(self, down_s: float, boot_s: float) -> None:
        self.state.booted = False
        self.unplug()
        self.jail.kill_all()
        self.apps.forget()
        self._reverses.close()
        self.log.clear()
        self.state.boot_id = str(uuid.uuid4())
        self.state.foreground, self.state.locked = HOME_SCREEN, self.state.secure_lock
        self.state.fixed_performance, self.state.dialog = False, ""
        if self._off.wait(down_s):
            return
        self.plug()
        if not self._off.wait(boot_s):
            self.state.booted = True

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=self._serve, args=(link,), name="adb transport", daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            line = Line(link, self.cable)
            transport = Transport(line, door=self.door, banner=self.state.banner, open_service=self._services.open)
            with self._lock:
                self._transports.append(transport)
            try:
                transport.serve()
            finally:
                with self._lock:
                    self._transports.remove(transport)
