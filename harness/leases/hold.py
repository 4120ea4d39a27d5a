"""Borrows the phones of a run, keeps them while it lasts, and gives them back whatever happens."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from harness.devices.android.adb.leased import forget, reach, refuse
from harness.devices.android.adb.network import connect, disconnect
from harness.devices.android.adb.server import ALL, ensure_server, phone_key, server_of
from harness.devices.kind import name_in
from harness.devices.registry import kind_of
from harness.errors import DeviceError, LeaseError, LeaseTrouble, PhonebenchError, UsageError
from harness.leases.lease import IDLE_S, LeaseFarm, OfferedPhone
from harness.leases.stf import SCHEME, open_stf

log = logging.getLogger(__name__)

FARMS: dict[str, Callable[[str, Mapping[str, str]], LeaseFarm]] = {SCHEME: open_stf}
KIND = "android"
# How often a lease is looked at. A lost one is borrowed again before the driver gives up its phone.
LOOK_S = 20.0


def is_lease_farm(url: str) -> bool:
    """Return whether ``url`` names a farm that lends phones."""
    return url.partition("://")[0] in FARMS


def open_farm(url: str, environment: Mapping[str, str] = os.environ) -> LeaseFarm:
    """Return the farm of a URL such as ``stf://HOST``. Raises `UsageError`."""
    scheme = url.partition("://")[0]
    if scheme not in FARMS or "://" not in url:
        msg = f"--farm {url!r} is not a farm that lends phones: use {', '.join(f'{name}://HOST' for name in FARMS)}"
        raise UsageError(msg)
    return FARMS[scheme](url, environment)


@contextmanager
def borrowed(
    farm: LeaseFarm, keys: Sequence[str], *, strict: bool = True, idle_s: float = IDLE_S, look_s: float = LOOK_S
) -> Iterator[tuple[str, ...]]:
    """Borrow the phones that ``keys`` ask for and yield the keys of all devices.

    ``android:SERIAL`` is that phone, ``android`` one that is free, ``android:all`` every free one; other keys stay as
    they are. If a phone is not lent, ``strict`` raises; otherwise opening it later raises the same. Raises
    `LeaseError`, or `UsageError` for a farm without phones.
    """
    if not any(map(_is_phone, keys)):
        msg = f"--farm lends phones, but the devices are {', '.join(keys)}: add --device android:all, or android:SERIAL"
        raise UsageError(msg)
    serials = _chosen(farm, keys)
    keeper = _Keeper(farm, idle_s, look_s)
    try:
        for serial in serials:
            keeper.borrow(serial, strict=strict)
        with keeper.looking():
            yield _named(keys, serials)
    finally:
        keeper.give_back()


class _Keeper:
    """The phones that are lent to us."""

    def __init__(self, farm: LeaseFarm, idle_s: float, look_s: float) -> None:
        self._farm, self._idle_s, self._look_s = farm, idle_s, look_s
        self._server = server_of()
        self._held: dict[str, str] = {}
        self._asked: list[str] = []
        self._over = threading.Event()

    def borrow(self, serial: str, *, strict: bool) -> None:
        """Borrow a phone and connect adb to it."""
        self._asked.append(serial)
        try:
            self._connect(serial)
        except DeviceError as error:
            if strict:
                raise
            refuse(serial, error)

    def give_back(self) -> None:
        """Give every phone back. One that the farm does not take back is only logged: the idle limit ends its lease."""
        for serial, address in self._held.items():
            disconnect(self._server, address)
            try:
                self._farm.release(serial)
            except LeaseError as error:
                log.warning("%s; the farm takes it back once it is idle for %g s", error, self._idle_s)
        for serial in self._asked:
            forget(serial)
        self._held.clear()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look after the leases in a thread until the block ends."""
        thread = threading.Thread(target=self._look, name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._look_s):
            for serial in tuple(self._held):
                # A farm or an adb server that does not answer now may do so the next time; the phone is not affected.
                with suppress(DeviceError):
                    if not self._farm.holds(serial):
                        log.warning("the farm took phone %s back; trying to borrow it again", serial)
                        self._connect(serial)

    def _connect(self, serial: str) -> None:
        lease = self._farm.acquire(serial, self._idle_s)
        self._held[serial] = lease.address
        ensure_server(self._server)
        # The server may still list a connection of an earlier lease, which is dead.
        disconnect(self._server, lease.address)
        connect(self._server, lease.address)
        reach(serial, lease.address)


def _chosen(farm: LeaseFarm, keys: Sequence[str]) -> tuple[str, ...]:
    """The serials of the phones to borrow."""
    named = [name for key in keys if _is_phone(key) and (name := name_in(key)) not in (None, ALL)]
    if not any(_is_phone(key) and name_in(key) in (None, ALL) for key in keys):
        return tuple(dict.fromkeys(named))
    offered = farm.list()
    free = [phone.serial for phone in offered if not phone.taken and phone.serial not in named]
    one = [key for key in keys if _is_phone(key) and name_in(key) is None]
    if not free:
        raise LeaseError(_nothing_free(offered), trouble=LeaseTrouble.TAKEN)
    every = any(_is_phone(key) and name_in(key) == ALL for key in keys)
    return tuple(dict.fromkeys([*named, *(free if every else free[: len(one)])]))


def _named(keys: Sequence[str], serials: Sequence[str]) -> tuple[str, ...]:
    """The keys with each that stands for borrowed phones replaced by theirs."""
    phones = [phone_key(serial) for serial in serials]
    named = {key for key in keys if _is_phone(key) and name_in(key) not in (None, ALL)}
    chosen = [phone for phone in phones if phone not in named]
    result: list[str] = []
    for key in keys:
        result += chosen if _is_phone(key) and key not in named else [key]
    return tuple(dict.fromkeys(result))


def _is_phone(key: str) -> bool:
    try:
        return kind_of(key).name == KIND
    except PhonebenchError:
        # Whoever runs it names the mistake.
        return False


def _nothing_free(offered: Sequence[OfferedPhone]) -> str:
    if not offered:
        return "the farm lends no phone to you: ask whoever runs it for a share, or check the token"
    listed = "; ".join(f"{phone.serial}: {phone.taken}" for phone in offered[:8])
    more = f"; {len(offered) - 8} more" if len(offered) > 8 else ""
    return f"no phone of the farm is free ({listed}{more}): try again later"
