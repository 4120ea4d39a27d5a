"""Stops what an interrupted run left running on a phone."""

from __future__ import annotations

import shlex

from harness.devices.android.adb.cable import Cable
from harness.devices.android.shell.shelljob import JOBS, STOP


def stop_orphans(cable: Cable, app_ids: tuple[str, ...], *, keep: str = "") -> None:
    """Stop every launch that nobody waits for. A phone that was disconnected may still run an earlier one.

    ``keep`` is the app, or the job of a shell program, that may continue.
    """
    apps = " ".join(app for app in app_ids if app != keep)
    stop_app = "pidof $app > /dev/null && am force-stop $app"
    cable.run(f"for app in {apps}; do {stop_app}; done; {stopping(keep)}; true")


def stopping(keep: str = "") -> str:
    """Return a shell command that stops the program of every job except ``keep``."""
    exempt = shlex.quote(f"{JOBS}/{keep}")
    return f'for job in {JOBS}/*; do [ -d "$job" ] && [ "$job" != {exempt} ] && {{ {STOP}; }}; done'
