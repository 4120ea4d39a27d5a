"""Where adb reaches phones that a farm has lent to this process. Their keys stay those of their serials.

A lease and the driver run in different threads and know nothing of each other, hence a table of the process.
"""

from __future__ import annotations

import threading

from harness.errors import DeviceError

_LOCK = threading.Lock()
_PLACES: dict[str, str | DeviceError] = {}


def reach(serial: str, address: str) -> None:
    """From now on adb reaches the phone ``serial`` at ``address``."""
    with _LOCK:
        _PLACES[serial] = address


def refuse(serial: str, error: DeviceError) -> None:
    """From now on, looking for the phone ``serial`` raises ``error``."""
    with _LOCK:
        _PLACES[serial] = error


def forget(serial: str) -> None:
    """The phone ``serial`` is no longer lent."""
    with _LOCK:
        _PLACES.pop(serial, None)


def adb_name(serial: str) -> str:
    """Return what the adb server calls the phone ``serial``: its address while it is lent. Raises `DeviceError`."""
    with _LOCK:
        place = _PLACES.get(serial, serial)
    if isinstance(place, DeviceError):
        raise place
    return place
