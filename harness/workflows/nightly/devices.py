"""Which devices a night has: those of this computer, or of its farm. A device that is away costs only its own cells.

A device that the spec names belongs to the night also if the farm has never seen it, so that it is reported as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from harness.devices.registry import expand_devices, kind_of, open_device
from harness.errors import DeviceError
from harness.farm.link import DepotError
from harness.farm.status import DeviceState
from harness.farm.tls import FarmPlace
from harness.spec.phone_settings import PhoneSettings
from harness.spec.wish import is_wish
from harness.workflows.bench import Places
from harness.workflows.check import Expand
from harness.workflows.farmed import farm_devices
from harness.workflows.nightly.record import Absent

NOT_THERE = "no agent of the farm has it"


def night_places(places: Places) -> Places:
    """Return ``places`` for the runs of a night: they start also if a device of the farm has just gone."""
    return replace(places, farm=replace(places.farm, lenient=True))


def night_expander(places: Places) -> Expand:
    """Return what finds the devices that keys stand for. A farm is asked only for keys that leave a choice."""
    place = places.farm.place
    if place is None:
        return expand_devices

    def expand(keys: tuple[str, ...]) -> tuple[str, ...]:
        own = ((key,) if _is_named(key) else farm_devices((key,), place) for key in keys)
        return tuple(dict.fromkeys(device for devices in own for device in devices))

    return expand


def absent_devices(devices: Sequence[str], settings: PhoneSettings, places: Places) -> tuple[Absent, ...]:
    """Return which of the ``devices`` cannot take work now, and why. Raises `DepotError` without an answer.

    Those of this computer are opened with the ``settings`` of the night, which may bring the runner app along.
    """
    if places.farm.place is not None:
        return _away(devices, places.farm.place)
    absent: list[Absent] = []
    for key in devices:
        try:
            with open_device(key, settings):
                pass
        except DeviceError as error:
            absent.append(Absent(device=key, reason=str(error)))
    return tuple(absent)


def why_lost(devices: Sequence[str], places: Places) -> Mapping[str, str]:
    """Return why devices that were there are away now, as far as the farm says so."""
    if places.farm.place is None or not devices:
        return {}
    with suppress(DepotError):
        return {absent.device: absent.reason for absent in _away(devices, places.farm.place)}
    return {}


def _is_named(key: str) -> bool:
    kind, _, name = key.partition(":")
    if is_wish(key) or name in ("", "all"):
        return False
    return kind_of(key).expand(key) == (key,)


def _away(devices: Sequence[str], place: FarmPlace) -> tuple[Absent, ...]:
    from harness.farm.host_agent import read_status

    there = {one.key: one for one in read_status(place).devices}
    reasons = {key: there[key].reason if key in there else NOT_THERE for key in devices}
    away = [key for key in devices if key not in there or there[key].state is DeviceState.AWAY]
    return tuple(Absent(device=key, reason=reasons[key]) for key in away)
