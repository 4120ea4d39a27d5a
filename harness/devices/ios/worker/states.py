"""The battery, which is what a phone reports about itself without an app: charge, temperature, and the charger."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import Any

from harness.devices.ios.worker.phone import Phone

_EVERY_S = 1.0
# IOPMPowerSource gives temperatures in hundredths of a degree Celsius.
_HUNDREDTHS = 100
_MILLI = 1000


async def battery(phone: Phone) -> dict[str, Any]:
    """Return what the phone says about its battery, None where it does not.

    ``percent``, ``temperature_c``, ``powered``, ``charging``, ``charge_uah`` (what is left) and ``volts``.
    """
    return _plain(await phone.battery())


async def clock(phone: Phone) -> dict[str, Any]:
    """Return the phone's time of day, ``wall_ns`` since 1970, and this computer's monotonic clock then, ``at_ns``."""
    before_ns = time.monotonic_ns()
    seconds = await phone.value("TimeIntervalSince1970")
    after_ns = time.monotonic_ns()
    return {
        "at_ns": (before_ns + after_ns) // 2,
        "wall_ns": round(seconds * 1e9) if isinstance(seconds, int | float) and math.isfinite(seconds) else None,
    }


async def watch(phone: Phone, *, every_s: float = _EVERY_S) -> None:
    """Read the battery about once in ``every_s`` from now on."""
    await unwatch(phone)
    phone.samples = []
    phone.watch = asyncio.create_task(_sample(phone, every_s))


async def unwatch(phone: Phone) -> list[dict[str, Any]]:
    """Stop reading, and return what was read, each with ``at_ns`` of this computer's monotonic clock."""
    task, phone.watch = phone.watch, None
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    samples, phone.samples = phone.samples, []
    return samples


async def _sample(phone: Phone, every_s: float) -> None:
    while True:
        # A reading that fails is one reading less. A launch is never lost because of it.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                phone.samples.append(_plain(await phone.battery()) | {"at_ns": time.monotonic_ns()})
        await asyncio.sleep(every_s)


def _plain(reported: dict[str, Any]) -> dict[str, Any]:
    charge, most = reported.get("CurrentCapacity"), reported.get("MaxCapacity")
    whole = most if type(most) is int and most > 0 else 100
    temperature, voltage = reported.get("Temperature"), reported.get("Voltage")
    # In mAh, as the gauge counts it. CurrentCapacity is a percentage on every iOS that phonebench takes.
    raw = reported.get("AppleRawCurrentCapacity")
    return {
        "percent": 100 * charge / whole if isinstance(charge, int) else None,
        "temperature_c": temperature / _HUNDREDTHS if isinstance(temperature, int) else None,
        "powered": _flag(reported.get("ExternalConnected")),
        "charging": _flag(reported.get("IsCharging")),
        "charge_uah": raw * _MILLI if isinstance(raw, int) else None,
        "volts": voltage / _MILLI if isinstance(voltage, int) else None,
    }


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | int) else None
