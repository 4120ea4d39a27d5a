"""Ends what an interrupted run left running on a phone."""

from __future__ import annotations

import shlex

from harness.devices.android.adb.cable import Cable
from harness.devices.android.shell.shelljob import JOBS, STOP


def stop_orphans(cable: Cable, app_ids: tuple[str, ...], *, keep: str = "") -> None:
    """End what nobody waits for: a phone that was away may still run the launch of before.

    ``keep`` is the app or the job of a shell program that goes on.
    """
    apps = " ".join(app for app in app_ids if app != keep)
    one = "pidof $app > /dev/null && am force-stop $app"
    cable.run(f"for app in {apps}; do {one}; done; {stopping(keep)}; true")


def stopping(keep: str = "") -> str:
    """Return a command that ends every program that runs in a job's folder, but for that of the job ``keep``."""
    kept = shlex.quote(f"{JOBS}/{keep}")
    return f'for job in {JOBS}/*; do [ -d "$job" ] && [ "$job" != {kept} ] && {{ {STOP}; }}; done'
