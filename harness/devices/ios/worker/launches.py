"""Launches of the runner app: started, waited for, and always ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from pymobiledevice3.dtx.exceptions import DTXNsError

from harness.devices.ios.worker.phone import Phone
from harness.devices.ios.worker.stored import size_of

# How often the phone is asked whether the app still runs. The first answers come fast, because a launch may take 0.2 s;
# later ones cost the phone next to nothing.
_QUICK_S, _QUICK_FOR_S, _SLOW_S = 0.1, 2.0, 1.0
# An app that has written its reply is about to end.
_LAST_WORDS_S = 3.0
# How long the report of an end may follow the end.
_END_S = 2.0


async def start(phone: Phone, *, arguments: list[str]) -> dict[str, Any]:
    """Start the app, and return its process id."""
    control = await phone.control()
    control.ended.clear()
    phone.launched = await control.launch(phone.bundle_id, arguments)
    return {"pid": phone.launched}


async def wait(phone: Phone, *, job: str, pid: int, for_s: float) -> dict[str, Any]:
    """Wait until the app has ended, at most ``for_s``.

    ``ended`` says whether it has, ``code`` and ``signal`` how, as far as the phone says so, and ``reply`` whether it
    left one. An app that stays after its reply is ended here.
    """
    control = await phone.control()
    began = time.monotonic()
    replied_at: float | None = None
    while True:
        now = time.monotonic()
        if pid in phone.endings or not await control.runs(pid):
            break
        if replied_at is None and await size_of(phone, "jobs", job, "reply.json") is not None:
            replied_at = now
        if replied_at is not None and now - replied_at > _LAST_WORDS_S:
            await control.kill(pid)
            break
        if now - began > for_s:
            return {"ended": False}
        await _pause(control.ended, _QUICK_S if now - began < _QUICK_FOR_S else _SLOW_S)
    replied = await size_of(phone, "jobs", job, "reply.json") is not None
    # The phone reports how a process ended at about the time when it is gone. Without a reply, that is all there is.
    if pid not in phone.endings:
        await _pause(control.ended, _QUICK_S if replied else _END_S)
    phone.launched = None
    ending = phone.endings.get(pid)
    return {
        "ended": True,
        "code": ending.code if ending else None,
        "signal": ending.signal if ending else None,
        "reply": replied,
    }


async def stop(phone: Phone, *, pid: int = 0) -> int:
    """End the app if it runs, and take leave of process ``pid``; return the id of the one that ran, 0 if none did."""
    control = await phone.control()
    runs = await control.pid_of(phone.bundle_id)
    # iOS counts launches that nobody ended, also of an app that has ended by itself, and starts no more after some 190.
    for number in {runs, pid} - {0}:
        with contextlib.suppress(DTXNsError):
            await control.kill(number)
    phone.launched = None
    return runs


async def running(phone: Phone) -> int:
    """Return the process id of the app, 0 if it does not run."""
    return await (await phone.control()).pid_of(phone.bundle_id)


async def _pause(ended: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return
    ended.clear()
