"""The reports that a phone writes about processes which crashed or which it ended for want of memory."""

from __future__ import annotations

import contextlib

from pymobiledevice3.services.crash_reports import CrashReportsManager

from harness.devices.ios.worker.phone import Phone

_MOST_BYTES = 2 << 20


async def report_paths(phone: Phone) -> list[str]:
    """Return the paths of the reports that are there."""
    async with CrashReportsManager(phone.lockdown) as manager:
        return sorted(await manager.ls("/"))


async def reports(phone: Phone, *, prefixes: list[str], before: list[str]) -> list[dict[str, str]]:
    """Return the reports whose names begin with one of ``prefixes``, except those at the paths ``before``.

    Each has a ``name`` and a ``text``.
    """
    async with CrashReportsManager(phone.lockdown) as manager:
        # Reports wait elsewhere until the phone is asked to move them here.
        with contextlib.suppress(Exception):
            await manager.flush()
        new = []
        for path in sorted(set(await manager.ls("/")) - set(before)):
            name = path.rpartition("/")[2]
            if name.startswith(tuple(prefixes)) and name.endswith((".ips", ".ips.synced")):
                data = await manager.afc.get_file_contents(path)
                new.append({"name": name, "text": data[:_MOST_BYTES].decode("utf-8", errors="replace")})
    return new
