"""Every iPhone that usbmuxd lists: what it is, its state, and what to do if it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.devices.ios.advice import advice_for
from harness.devices.ios.environment import driver_python
from harness.devices.ios.facts import info_of, state_of
from harness.devices.ios.link import Worker
from harness.errors import IosError, IosTrouble
from harness.records.device import DeviceInfo

READY = "ready"
# An iPhone that hangs must not delay the list for long.
LOOK_S = 10.0


def phone_infos(udids: Sequence[str]) -> tuple[DeviceInfo, ...]:
    """Return what these iPhones are, asked side by side.

    ``details`` has the iPhone's ``state`` and ``action``, which is empty if nothing needs to be done.
    """
    try:
        worker = Worker(driver_python())
    except IosError as error:
        return tuple(_silent(udid, error.trouble) for udid in udids)
    try:
        with ThreadPoolExecutor(len(udids)) as pool:
            return tuple(pool.map(lambda udid: _look(worker, udid), udids))
    finally:
        worker.close()


def _look(worker: Worker, udid: str) -> DeviceInfo:
    try:
        facts = worker.call("look", seconds=LOOK_S, serial=udid)
    except IosError as error:
        return _silent(udid, error.trouble)
    trouble = state_of(udid, facts)
    battery = facts.get("battery") or {}
    details = {
        "state": trouble.trouble.value if trouble else READY,
        "action": advice_for(trouble.trouble) if trouble else "",
        "battery_percent": _word(battery.get("percent")),
        "temperature_c": _word(battery.get("temperature_c")),
        "name": str(facts.get("DeviceName") or ""),
    }
    return info_of(f"ios:{udid}", facts, details)


def _silent(udid: str, trouble: IosTrouble) -> DeviceInfo:
    """Describe an iPhone that does not answer, or cannot be asked, by what usbmuxd says."""
    details = {"state": trouble.value, "action": advice_for(trouble)}
    return info_of(f"ios:{udid}", {"UniqueDeviceID": udid, "model": "unknown", "ProductVersion": "unknown"}, details)


def _word(value: Any) -> str:
    return "" if value is None else f"{value:g}"
