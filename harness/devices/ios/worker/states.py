"""The battery, which is what a phone reports about itself without an app: charge, temperature, and the charger."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from harness.devices.ios.worker.phone import Phone

_EVERY_S = 1.0
# IOPMPowerSource gives temperatures in hundredths of a degree Celsius.
_HUNDREDTHS = 100


async def battery(phone: Phone) -> dict[str, Any]:
    """Return ``percent``, ``temperature_c``, ``powered`` and ``charging``; None where the phone does not say."""
    return _plain(await phone.battery())


async def watch(phone: Phone) -> None:
    """Read the battery about once a second from now on."""
    await unwatch(phone)
    phone.samples = []
    phone.watch = asyncio.create_task(_sample(phone))


async def unwatch(phone: Phone) -> list[dict[str, Any]]:
    """Stop reading, and return what was read, each with ``at_ns`` of this computer's monotonic clock."""
    task, phone.watch = phone.watch, None
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    samples, phone.samples = phone.samples, []
    return samples


async def _sample(phone: Phone) -> None:
    while True:
        # A reading that fails is one reading less. A launch is never lost because of it.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                phone.samples.append(_plain(await phone.battery()) | {"at_ns": time.monotonic_ns()})
        await asyncio.sleep(_EVERY_S)


def _plain(reported: dict[str, Any]) -> dict[str, Any]:
    charge, most = reported.get("CurrentCapacity"), reported.get("MaxCapacity")
    temperature = reported.get("Temperature")
    return {
        "percent": 100 * charge / (most or 100) if isinstance(charge, int) else None,
        "temperature_c": temperature / _HUNDREDTHS if isinstance(temperature, int) else None,
        "powered": _flag(reported.get("ExternalConnected")),
        "charging": _flag(reported.get("IsCharging")),
    }


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | int) else None
