"""The reports that a phone writes about processes which crashed or which it ended for want of memory."""

from __future__ import annotations

import contextlib

from pymobiledevice3.services.crash_reports import CrashReportsManager

from harness.devices.ios.worker.phone import Phone

_MOST_BYTES = 2 << 20


async def mark(phone: Phone) -> int:
    """Remember which reports are there, so that later ones can be told from them; return how many there are."""
    async with CrashReportsManager(phone.lockdown) as manager:
        phone.crashes = set(await manager.ls("/"))
    return len(phone.crashes)


async def reports(phone: Phone, *, prefixes: list[str]) -> list[dict[str, str]]:
    """Return the reports whose names begin with one of ``prefixes`` and that are new since `mark`: name and text."""
    async with CrashReportsManager(phone.lockdown) as manager:
        # Reports wait elsewhere until the phone is asked to move them here.
        with contextlib.suppress(Exception):
            await manager.flush()
        new = []
        for path in sorted(set(await manager.ls("/")) - phone.crashes):
            name = path.rpartition("/")[2]
            if name.startswith(tuple(prefixes)) and name.endswith((".ips", ".ips.synced")):
                data = await manager.afc.get_file_contents(path)
                new.append({"name": name, "text": data[:_MOST_BYTES].decode("utf-8", errors="replace")})
    return new
