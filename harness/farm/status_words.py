"""The state of a farm in words and rows, for the terminal and for a web page."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from harness.farm.status import DeviceState, FarmDevice, FarmStatus
from harness.records import units

DEVICE_TITLES = ("device", "host", "state", "measures", "waiting", "left")
RUN_TITLES = ("run", "user", "priority", "done", "running", "waiting", "left", "")
WAITING_TITLES = ("cell", "run", "user", "why it waits")
BUILD_TITLES = ("build", "run", "user", "state", "for", "")
HOST_TITLES = ("host", "state", "last seen", "clock", "roles")
# A clock that is further off than this is worth a sentence: times of results would be hard to follow.
CLOCK_S = 5.0


def headline(status: FarmStatus) -> list[str]:
    """Return how many devices do what, how many cells wait, and when everything will have ended."""
    count = Counter(device.state for device in status.devices)
    states = ", ".join(f"{count[state]} {state.value}" for state in DeviceState if count[state])
    lines = [f"{_counted(len(status.devices), 'device')}: {states}." if status.devices else "The farm has no device."]
    running = sum(run.running for run in status.runs)
    if not (status.waiting_cells or running):
        return [*lines, "Nothing runs, and nothing waits."]
    now, verb = "is" if running == 1 else "are", "waits" if status.waiting_cells == 1 else "wait"
    lines.append(f"{_counted(running, 'cell')} {now} measured now, and {status.waiting_cells} {verb}.")
    if status.left_s is None:
        return [*lines, "No cell has ended yet, so nothing is known about how long this will take."]
    return [*lines, f"All of it will have ended in about {duration(status.left_s)}, if no device goes away."]


def device_rows(status: FarmStatus) -> list[tuple[str, ...]]:
    """Return one row per device, those that are away last; the columns are `DEVICE_TITLES`."""
    ordered = sorted(status.devices, key=lambda device: (device.state is DeviceState.AWAY, device.key))
    return [
        (
            device.key,
            device.host or units.NONE,
            device.state.value,
            _doing(device, status.at),
            str(device.waiting),
            units.NONE if device.left_s is None else duration(device.left_s),
        )
        for device in ordered
    ]


def run_rows(status: FarmStatus) -> list[tuple[str, ...]]:
    """Return one row per run that is not over; the columns are `RUN_TITLES`."""
    return [
        (
            run.run,
            run.user or units.NONE,
            str(run.priority),
            f"{run.done} of {run.cells}",
            str(run.running),
            str(run.waiting),
            units.NONE if run.left_s is None else duration(run.left_s),
            "" if run.open else "the program that queued it has gone",
        )
        for run in status.runs
        if run.running or run.waiting
    ]


def waiting_rows(status: FarmStatus, *, most: int) -> list[tuple[str, ...]]:
    """Return one row per waiting cell, at most ``most``; the columns are `WAITING_TITLES`."""
    return [(cell.cell, cell.run, cell.user or units.NONE, cell.reason) for cell in status.waiting[:most]]


def build_rows(status: FarmStatus) -> list[tuple[str, ...]]:
    """Return one row per build that is made or waits for a build host; the columns are `BUILD_TITLES`."""
    return [
        (
            build.name,
            build.run,
            build.user or units.NONE,
            f"on {build.host}" if build.host else build.stage.value,
            duration(_passed_s(build.since, status.at)),
            build.reason,
        )
        for build in status.builds
    ]


def host_rows(status: FarmStatus) -> list[tuple[str, ...]]:
    """Return one row per host; the columns are `HOST_TITLES`."""
    return [
        (
            host.name,
            "here" if host.present else "away",
            units.stamp(host.seen_at),
            f"{host.clock_s:+.0f} s" if abs(host.clock_s) >= CLOCK_S else "right",
            ", ".join(host.roles) or units.NONE,
        )
        for host in status.hosts
    ]


def duration(seconds: float) -> str:
    """Return a duration for people: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _doing(device: FarmDevice, now: str) -> str:
    if device.state is DeviceState.AWAY:
        return device.reason
    if not device.cell:
        return ""
    by = f" of {device.user}" if device.user else ""
    again = f", attempt {device.attempt + 1}" if device.attempt else ""
    return f"{device.cell} ({device.run}{by}{again}, for {duration(_passed_s(device.since, now))})"


def _passed_s(since: str, now: str) -> float:
    return max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds())


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
