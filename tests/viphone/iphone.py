"""One virtual iPhone: its ports, its storage, its apps, and the cable to the daemon."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.viphone import lockdown
from tests.viphone.apps import Apps
from tests.viphone.cable import Cable
from tests.viphone.faults import Faults
from tests.viphone.gauge import Gauge
from tests.viphone.images import Images
from tests.viphone.link import Link
from tests.viphone.logs import Log
from tests.viphone.services import Service
from tests.viphone.state import IPhoneState
from tests.viphone.storage import Storage
from tests.viphone.trust import DeviceKey, Trust
from tests.viphone.usbmuxd import Usbmuxd

FIRST_PORT = 49152


class VirtualIPhone:
    """A phone that is plugged into a daemon until the ``with`` block ends.

    ``folder`` must not be shared. ``state`` is what the phone reports about itself, ``faults`` what can happen to it,
    ``apps.program`` what runs when an app is launched; ``storage``, ``log``, ``trust`` and ``apps`` are for tests to
    inspect.
    """

    def __init__(self, folder: Path, daemon: Usbmuxd, key: DeviceKey, state: IPhoneState | None = None) -> None:
        self.state = state or IPhoneState()
        folder.mkdir(parents=True, exist_ok=True)
        self.storage = Storage(folder / "storage", self.state)
        self.trust = Trust(key, folder)
        self.cable = Cable(broke=self._cable_broke)
        self.log = Log(self.now_s)
        self.images: Images = Images(self)
        self.faults = Faults(self)
        self.gauge = Gauge(self.state, self.now_s)
        self.apps = Apps(self)
        self.comes_back = True
        self.developer_switch_shown = False
        self._daemon = daemon
        self._number: int | None = None
        self._ports = itertools.count(FIRST_PORT)
        self._lock = threading.Lock()
        self._listening: dict[int, tuple[Service, str | None]] = {}
        self._links: set[Link] = set()
        self._tunnels: set[Link] = set()
        self._off = threading.Event()

    def __enter__(self) -> Self:
        """Plug it in."""
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off: the connections and every process that it started end."""
        self._off.set()
        self.unplug()
        self.apps.forget()

    def now_s(self) -> float:
        """The phone's wall clock."""
        return time.time() + self.state.clock_offset_s

    @property
    def developer_mode(self) -> bool:
        """Whether developers may use the phone; before iOS 16 there is no such switch."""
        return self.state.developer_mode or self.state.ios_version < (16,)

    def plug(self) -> None:
        """Put the cable in; nothing happens if it is."""
        if self._number is None and not self._off.is_set():
            self._number = self._daemon.attach(self)

    def unplug(self) -> None:
        """Pull the cable: every connection is cut."""
        number, self._number = self._number, None
        if number is not None:
            self._daemon.detach(number)
        self.cut_links()

    def cut_links(self) -> None:
        """Cut every connection; the phone stays listed."""
        with self._lock:
            links = list(self._links)
            self._listening.clear()
        for link in links:
            link.cut()

    def cut_tunnels(self) -> None:
        """Cut the connections that carry a tunnel."""
        with self._lock:
            tunnels = list(self._tunnels)
        for link in tunnels:
            link.cut()

    def is_tunnel(self, link: Link) -> None:
        """Remember that this connection carries a tunnel."""
        with self._lock:
            self._tunnels = {one for one in self._tunnels if not one.gone} | {link}

    def restart(self, *, down_s: float) -> None:
        """Restart: apps end, the image is gone, and the passcode has to be entered; returns at once."""

        def again() -> None:
            self.unplug()
            self.apps.forget()
            self.images.unmount()
            self.state.before_first_unlock = self.state.locked = self.state.passcode
            self._off.wait(down_s)
            self.plug()

        threading.Thread(target=again, name="restart", daemon=True).start()

    def unlock(self) -> None:
        """Enter the passcode."""
        self.state.locked = self.state.before_first_unlock = False

    def listen(self, service: Service, host: str | None) -> int:
        """Open a port for one connection with a service; ``host`` is the computer that TLS is for, None for none."""
        with self._lock:
            port = next(self._ports)
            self._listening[port] = (service, host)
        return port

    def take(self, port: int) -> Callable[[Link], None] | None:
        """What serves a connection to that port, None if nobody listens."""
        if port == lockdown.PORT:
            return lambda link: lockdown.Lockdown(self, link).serve()
        with self._lock:
            waiting = self._listening.pop(port, None)
        if waiting is None:
            return None
        service, host = waiting

        def serve(link: Link) -> None:
            if host is not None and not self.trust.accepts(host, link.start_tls(self.trust.context(host))):
                return
            service.serve(self, link)

        return serve

    def serve(self, link: Link, serve: Callable[[Link], None]) -> None:
        """Serve a connection until it ends; there is none to a phone that was unplugged meanwhile."""
        with self._lock:
            self._links.add(link)
        if self._number is None:
            link.cut()
        try:
            with suppress(OSError, ssl.SSLError, ValueError):
                serve(link)
        finally:
            with self._lock:
                self._links.discard(link)
                self._tunnels.discard(link)
            link.close()

    def _cable_broke(self) -> None:
        """The cable was pulled at a byte: the phone is gone, and back at once if it is to come back."""
        threading.Thread(target=self._come_back, name="cable", daemon=True).start()

    def _come_back(self) -> None:
        self.unplug()
        if self.comes_back:
            self.plug()
