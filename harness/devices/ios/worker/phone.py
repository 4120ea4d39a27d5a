"""One iPhone as the worker holds it: its lockdown connection, the app's files, and process control once it is needed.

From iOS 17 on, process control is reached through a tunnel. Everything else goes over lockdown, which is much faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import socket
from contextlib import AsyncExitStack
from typing import Any

from packaging.version import Version
from pymobiledevice3.exceptions import InvalidServiceError, NotMountedError, TunneldConnectionError
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.afc import AfcError, AfcService
from pymobiledevice3.services.diagnostics import DiagnosticsService
from pymobiledevice3.services.house_arrest import HouseArrestService
from pymobiledevice3.usbmux import MuxConnection

from harness.devices.ios.worker.address import address_text, read_address
from harness.devices.ios.worker.control import Control, Ending

ROOT = "/Documents/phonebench"
# The first version whose developer services are behind a tunnel, and the first with one that needs no root.
TUNNELLED, ROOTLESS = Version("17.0"), Version("17.4")


def _usbmuxd_socket(usbmux_address: str | None = None) -> tuple[str | tuple[str, int], socket.AddressFamily]:
    """What usbmuxd's socket connects to, and its kind."""
    address = read_address(usbmux_address or address_text(os.environ))
    return address.target, address.family


# The library splits an address at its colons: it takes no empty one, no IPv6 and no path with a colon.
MuxConnection._resolve_usbmux_address = staticmethod(_usbmuxd_socket)


class Phone:
    """What is open. Connections are made when they are first used, and all of them are closed at the end."""

    def __init__(self) -> None:
        self.serial, self.bundle_id = "", ""
        self.endings: dict[int, Ending] = {}
        self.watch: asyncio.Task[None] | None = None
        self.samples: list[dict[str, Any]] = []
        self.launched: int | None = None
        self._lockdown: Any = None
        self._files: AfcService | None = None
        self._battery: DiagnosticsService | None = None
        self._control: Control | None = None
        self._tunnelled: Any = None
        self._stack = AsyncExitStack()
        # One connection answers one question at a time.
        self._turn = asyncio.Lock()

    async def open(self, serial: str, trust_s: float) -> dict[str, Any]:
        """Connect, and ask the phone to trust this computer where it does not yet; wait so long for the answer."""
        self.serial = serial
        self._lockdown = await create_using_usbmux(serial, autopair=True, pair_timeout=trust_s)
        self._stack.push_async_callback(self._lockdown.close)
        return dict(self._lockdown.all_values)

    @property
    def version(self) -> Version:
        """The version of iOS."""
        return Version(self.lockdown.product_version)

    @property
    def lockdown(self) -> Any:
        """The lockdown connection. Raises `RuntimeError` before `open`."""
        if self._lockdown is None:
            msg = "no iPhone is open"
            raise RuntimeError(msg)
        return self._lockdown

    async def value(self, key: str | None, domain: str | None = None) -> Any:
        """Return a value of lockdown, None if it has none."""
        async with self._turn:
            return await self.lockdown.get_value(domain, key)

    async def files(self) -> AfcService:
        """Return the files of the runner app."""
        async with self._turn:
            if self._files is None:
                self._files = await self._open_files()
                self._stack.push_async_callback(self._files.aclose)
            return self._files

    async def _open_files(self) -> AfcService:
        try:
            files = await HouseArrestService.create(self.lockdown, self.bundle_id, documents_only=True)
        except Exception as error:
            if "InstallationLookupFailed" not in str(error) and "refused" not in str(error):
                raise
            # An app that does not share its documents, but is signed for development.
            files = await HouseArrestService.create(self.lockdown, self.bundle_id)
        for folder in ("store", "jobs"):
            await files.makedirs(f"{ROOT}/{folder}")
        return files

    async def forget_files(self) -> None:
        """Open the files anew at their next use: the app has been installed or removed."""
        if self._files is not None:
            with contextlib.suppress(Exception):
                await self._files.aclose()
        self._files = None

    async def battery(self) -> dict[str, Any]:
        """Return what the phone reports about its battery."""
        async with self._turn:
            if self._battery is None:
                self._battery = DiagnosticsService(self.lockdown)
                self._stack.push_async_callback(self._battery.close)
            try:
                return await self._battery.get_battery() or {}
            except BaseException:
                # The next question gets a new connection: this one may be in the middle of an answer.
                broken, self._battery = self._battery, None
                with contextlib.suppress(Exception):
                    await broken.close()
                raise

    async def control(self) -> Control:
        """Return process control, through a tunnel where the system wants one."""
        if self._control is None or not self._control.alive:
            provider = self.lockdown if self.version < TUNNELLED else await self.tunnel()
            try:
                self._control = await Control.open(provider, self.endings)
            except InvalidServiceError as error:
                msg = f"the developer services do not answer: {error}"
                raise NotMountedError(msg) from error
            self._stack.push_async_callback(self._control.close)
        return self._control

    async def tunnel(self) -> Any:
        """Return the services behind a tunnel, which ends with the worker."""
        if self.version < ROOTLESS:
            from pymobiledevice3.tunneld.api import get_tunneld_device_by_udid

            rsd = await get_tunneld_device_by_udid(self.serial)
            if rsd is None:
                msg = "tunneld runs, but has no tunnel to this iPhone"
                raise TunneldConnectionError(msg)
            self._stack.push_async_callback(rsd.close)
            return rsd
        from pymobiledevice3.remote.userspace_tunnel import UserspaceRsdTunnel

        # There can be one in a process. It closes itself when the phone goes away.
        if self._tunnelled is None or self._tunnelled.rsd is None:
            self._tunnelled = UserspaceRsdTunnel(serial=self.serial, remotepairing_fallback=False)
            self._stack.push_async_callback(self._tunnelled.aclose)
        return await self._tunnelled.aopen()

    async def close(self) -> None:
        """End a launch in flight, and close every connection."""
        if self.watch is not None:
            self.watch.cancel()
        if self.launched is not None and self.launched not in self.endings and self._control is not None:
            with contextlib.suppress(Exception):
                await self._control.kill(self.launched)
        await self._stack.aclose()


def inside(*parts: str) -> str:
    """Return a path in the app's documents. Raises `ValueError` for a name that would lead out of the folder."""
    for part in parts:
        if part in ("", ".", "..") or "/" in part:
            msg = f"{part!r} is no plain name"
            raise ValueError(msg)
    return posixpath.join(ROOT, *parts)


def is_missing(error: Exception) -> bool:
    """Return whether a failed file operation means that there is no such file."""
    # Systems before iOS 17 answer READ_ERROR where later ones say OBJECT_NOT_FOUND.
    return getattr(error, "status", None) in (AfcError.OBJECT_NOT_FOUND, AfcError.READ_ERROR)
