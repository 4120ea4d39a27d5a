"""The agent of a host: offers the devices that are there, follows them as they come and go, and empties its spool.

One process serves all devices of its host. It needs the scheduler to take work, and never to finish it: what runs goes
on while the scheduler is away, and the result waits on this host.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.devices.registry import DEVICE_KINDS, kind_of, open_device
from harness.errors import DeviceError
from harness.farm.bench import Bench, Site
from harness.farm.calls import Announcement, Granted, Offered
from harness.farm.link import DepotError
from harness.records.device import DeviceInfo

# How often the agent looks which devices are there and says so.
LOOK_S = 2.0
# A busy device that disappears may have a loose cable, which its cell survives.
LEAVE_S = 45.0
# Before the depot may give our devices to somebody else, we stop using them.
ALONE_S = 100.0
# An agent that stops tells the depot so, if the depot has answered within this time.
HEARD_S = 10.0
# A device that could not be opened, or lost its cells, is tried again after this time.
AGAIN_S = 60.0
# How long the agent waits for devices that it opens to see what they are. One that hangs must not keep it from speaking
# with the depot, which would take the other devices away from it.
OPENING_S = 5.0

log = logging.getLogger(__name__)


class Roster(Protocol):
    """Which devices a host has."""

    def present(self) -> Sequence[str]:
        """Return the keys of the devices that are there now, without disturbing any of them."""

    def describe(self, key: str) -> DeviceInfo:
        """Return what a device is, asked once when it comes. Raises `DeviceError` if it cannot take work."""


class DeviceQueue(Protocol):
    """The queue as an agent sees it: the devices that it offers there. `harness.farm.workers` has the one in use."""

    def open(self) -> frozenset[str]:
        """Return the devices that are offered now."""

    async def add(self, bench: Bench, kind: str, model: str) -> bool:
        """Offer a device; return False if the queue cannot be reached."""

    async def remove(self, key: str) -> None:
        """Stop offering a device."""

    async def close(self) -> None:
        """Stop offering any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoster:
    """The devices that were named, or without names every phone that this host sees."""

    keys: tuple[str, ...] = ()

    def present(self) -> Sequence[str]:
        found: dict[str, None] = {}
        for kind in DEVICE_KINDS.values():
            named = [key for key in self.keys if key.partition(":")[0] == kind.name]
            if kind.present is None:
                found.update(dict.fromkeys(named))
            elif named or not self.keys:
                found.update(dict.fromkeys(kind.present(named)))
        return tuple(found)

    def describe(self, key: str) -> DeviceInfo:
        kind_of(key)
        with open_device(key) as device:
            return device.info


class NoDevices:
    """The roster of a host that only builds."""

    def present(self) -> Sequence[str]:
        return ()

    def describe(self, key: str) -> DeviceInfo:
        msg = f"this host offers no device, and so not {key!r}"
        raise DeviceError(msg)


@dataclass(slots=True, kw_only=True)
class _Slot:
    """A device of this host as the agent follows it; times are monotonic seconds."""

    bench: Bench
    info: DeviceInfo
    reason: str = ""
    seen_s: float = 0.0
    retry_s: float = 0.0


class _Opening:
    """A device that is opened, in a thread, to see what it is.

    ``info`` is the result, None if it cannot take work for a ``reason``.
    """

    def __init__(self, roster: Roster, key: str) -> None:
        self.info: DeviceInfo | None = None
        self.reason = ""
        # A daemon: the agent must be able to end while a device hangs.
        self._thread = threading.Thread(target=self._describe, args=(roster, key), name=f"open {key}", daemon=True)
        self._thread.start()

    def _describe(self, roster: Roster, key: str) -> None:
        try:
            self.info = roster.describe(key)
        except DeviceError as error:
            self.reason = str(error)
        except Exception as error:
            log.exception("device %r could not be opened", key)
            self.reason = f"it could not be opened: {error}"

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds``; return whether the device has answered."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()


@dataclass(slots=True, kw_only=True)
class Agent:
    """The agent; `run` serves until `stop` is called from any thread."""

    site: Site
    roster: Roster
    workers: DeviceQueue
    roles: tuple[str, ...] = ()
    clock: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _openings: dict[str, _Opening] = field(default_factory=dict)
    _process: str = field(default_factory=lambda: secrets.token_hex(8))
    _trouble: str = ""
    _heard_s: float = field(default_factory=time.monotonic)

    async def run(self, look_s: float = LOOK_S) -> None:
        """Serve. Raises `DepotError` if the depot refuses this host for good."""
        try:
            while not self.site.stopping.is_set():
                await self.look()
                await asyncio.to_thread(self.site.stopping.wait, look_s)
        finally:
            await self._close()

    async def look(self, opening_s: float = OPENING_S) -> None:
        """Look once at the devices, the depot and the spool.

        A new device that takes longer than ``opening_s`` to open is offered at a later look.
        """
        await asyncio.to_thread(self._follow, opening_s)
        granted = await asyncio.to_thread(self._announce)
        if granted is None:
            self._stop_alone()
            return
        for slot in self._slots.values():
            if slot.bench.running in granted.ended:
                await asyncio.to_thread(slot.bench.interrupt, "the run was stopped")
        usable = {key for key in granted.devices if key in self._slots and not self._slots[key].reason}
        open_now = self.workers.open()
        await asyncio.gather(*(self.workers.remove(key) for key in open_now - usable))
        await asyncio.gather(*(self._join(key) for key in sorted(usable - open_now)))
        await asyncio.to_thread(self._empty_spool)

    def _follow(self, opening_s: float) -> None:
        """Bring the slots up to date with the devices that are there."""
        try:
            present = self.roster.present()
        except DeviceError as error:
            log.warning("cannot list the devices: %s", error)
            present = ()
        now_s = self.clock()
        self._open(present, now_s, opening_s)
        for key in present:
            slot = self._slots.get(key)
            if slot is None:
                continue
            slot.seen_s = now_s
            if slot.bench.trouble and not slot.reason:
                slot.reason, slot.retry_s = slot.bench.trouble, now_s + AGAIN_S
        for key in [key for key in self._slots if key not in present]:
            slot = self._slots[key]
            if not slot.bench.running or now_s - slot.seen_s > LEAVE_S:
                del self._slots[key]
                slot.bench.interrupt(f"device {key!r} was unplugged")

    def _open(self, present: Sequence[str], now_s: float, opening_s: float) -> None:
        """Open the devices of which it is not known what they are, side by side, and note those that have answered."""
        for key in present:
            slot = self._slots.get(key)
            if key not in self._openings and (slot is None or (slot.reason and now_s >= slot.retry_s)):
                self._openings[key] = _Opening(self.roster, key)
        ends_s = time.monotonic() + opening_s
        for key, opening in list(self._openings.items()):
            if opening.wait(ends_s - time.monotonic()):
                del self._openings[key]
                if key in present:
                    self._slots[key] = self._slot(key, opening)

    def _slot(self, key: str, opening: _Opening) -> _Slot:
        before = self._slots.get(key)
        # The bench stays the same: its lock knows whether an earlier cell is still at work.
        bench = before.bench if before else Bench(key, self.site)
        bench.trouble = ""
        info = opening.info or (before.info if before else _unknown(key))
        return _Slot(bench=bench, info=info, reason=opening.reason, retry_s=self.clock() + AGAIN_S)

    def _announce(self) -> Granted | None:
        announcement = Announcement(
            agent=self.site.agent,
            process=self._process,
            devices=tuple(Offered(info=slot.info, reason=slot.reason) for slot in self._slots.values()),
            roles=self.roles,
            now_s=self.wall_s(),
        )
        try:
            granted = self.site.post.announce(announcement)
        except DepotError as error:
            if error.for_good:
                raise
            # Once: the same reason follows every few seconds. Such as that the certificate of this host has expired.
            log.log(logging.INFO if str(error) == self._trouble else logging.WARNING, "%s", error)
            self._trouble = str(error)
            return None
        self._trouble = ""
        self._heard_s = self.clock()
        return granted

    def _stop_alone(self) -> None:
        """Without a depot for too long, another agent may get our devices: end what runs on them."""
        if self.clock() - self._heard_s > ALONE_S:
            for slot in self._slots.values():
                if slot.bench.running:
                    slot.bench.interrupt("the farm could not be reached for too long")

    async def _join(self, key: str) -> None:
        slot = self._slots[key]
        await self.workers.add(slot.bench, slot.info.kind, slot.info.model)

    def _empty_spool(self) -> None:
        try:
            self.site.spool.hand_over(self.site.post)
        except DepotError as error:
            log.info("%s", error)

    async def _close(self) -> None:
        await self.workers.close()
        await asyncio.gather(*(asyncio.to_thread(slot.bench.close) for slot in self._slots.values()))
        self._slots.clear()
        # The farm learns at once that another agent may have the devices. To wait for a depot that is away would only
        # delay the end.
        if self.clock() - self._heard_s < HEARD_S:
            with contextlib.suppress(DepotError):
                await asyncio.to_thread(self._announce)


def _unknown(key: str) -> DeviceInfo:
    kind = key.partition(":")[0]
    return DeviceInfo(key=key, kind=kind, model="", os="", cpu="", cores=None, memory_bytes=None, abi="")
