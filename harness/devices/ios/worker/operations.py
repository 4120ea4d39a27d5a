"""What the worker does for phonebench: one function per request, under the name by which it is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from harness.devices.ios.worker.apps import app, expired, install, uninstall
from harness.devices.ios.worker.images import mount, mounted, reveal
from harness.devices.ios.worker.launches import running, start, stop, wait
from harness.devices.ios.worker.phone import Phone
from harness.devices.ios.worker.reports import report_paths, reports
from harness.devices.ios.worker.states import battery, clock, unwatch, watch
from harness.devices.ios.worker.stored import fetch, free, kept, pull, put, remove, trim, write
from harness.devices.ios.worker.troubles import explain

__all__ = ["OPERATIONS", "Phone", "explain"]

# The values of lockdown that say what a phone is. The others hold serial numbers and keys, which nobody needs.
_FACTS = (
    "BuildVersion",
    "CPUArchitecture",
    "DeviceClass",
    "DeviceName",
    "HardwareModel",
    "HardwarePlatform",
    "PasswordProtected",
    "ProductType",
    "ProductVersion",
    "UniqueDeviceID",
)


async def open_(phone: Phone, *, serial: str, bundle_id: str, trust_s: float) -> dict[str, Any]:
    """Connect to a phone and return what it is."""
    phone.bundle_id = bundle_id
    return _facts(await phone.open(serial, trust_s)) | {"model": phone.lockdown.display_name}


async def look(_: Phone, *, serial: str) -> dict[str, Any]:
    """Return what a phone is and its state, without asking it to trust this computer."""
    from pymobiledevice3.lockdown import create_using_usbmux

    async with await create_using_usbmux(serial, autopair=False) as lockdown:
        facts = _facts(lockdown.all_values) | {"paired": lockdown.paired, "model": lockdown.display_name}
        if not lockdown.paired:
            return facts
        glance = Phone()
        glance.serial, glance._lockdown = serial, lockdown
        parts = {"battery": battery, "mounted": mounted, "developer_mode": developer_mode, "expired": expired}
        for name, part in parts.items():
            # A part that this system does not report leaves its field empty.
            facts[name] = None
            with contextlib.suppress(Exception):
                facts[name] = await part(glance)
        await glance.close()
        return facts


async def locked(phone: Phone) -> bool:
    """Return whether the screen is locked with a passcode."""
    return bool(await phone.value("PasswordProtected"))


async def developer_mode(phone: Phone) -> bool | None:
    """Return whether developer mode is on; None before iOS 16, which has none."""
    if phone.version.major < 16:
        return None
    return bool(await phone.lockdown.get_developer_mode_status())


async def disk(phone: Phone) -> dict[str, Any]:
    """Return the free and total space for apps in bytes."""
    usage = await phone.value(None, "com.apple.disk_usage") or {}
    return {
        "free_bytes": usage.get("AmountDataAvailable") or usage.get("TotalDataAvailable"),
        "total_bytes": usage.get("TotalDiskCapacity"),
    }


async def use(phone: Phone, *, bundle_id: str) -> None:
    """Take the app with this id for the runner from now on."""
    if bundle_id != phone.bundle_id:
        await phone.forget_files()
    phone.bundle_id = bundle_id


async def close(phone: Phone) -> None:
    """End what runs and close all connections."""
    await phone.close()


def _facts(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values.get(name) for name in _FACTS}


OPERATIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "open": open_,
    "look": look,
    "use": use,
    "locked": locked,
    "developer_mode": developer_mode,
    "disk": disk,
    "app": app,
    "expired": expired,
    "install": install,
    "uninstall": uninstall,
    "mounted": mounted,
    "mount": mount,
    "reveal": reveal,
    "put": put,
    "write": write,
    "fetch": fetch,
    "pull": pull,
    "kept": kept,
    "remove": remove,
    "trim": trim,
    "free": free,
    "start": start,
    "wait": wait,
    "stop": stop,
    "running": running,
    "battery": battery,
    "clock": clock,
    "watch": watch,
    "unwatch": unwatch,
    "report_paths": report_paths,
    "reports": reports,
    "close": close,
}
