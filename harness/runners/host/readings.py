"""What a Linux computer reports of itself at one moment, as plain values. It needs the standard library alone.

So the program that phonebench sends to a board can read the same files in the same way before anything is installed
there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path("/")
PROBES = 5
# About 10 ms on a current core, so all five probes take about 50 ms.
PROBE_STEPS = 300_000

Clock = Callable[[], int]


def read_state(root: Path = ROOT) -> dict[str, Any]:
    """Return the fields of a `StateSample`. ``root`` is where ``proc`` and ``sys`` are; missing files raise nothing."""
    policies = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"), key=_number)
    clocks = (_integer(policy / "scaling_cur_freq") for policy in policies)
    return {
        "at_ns": time.perf_counter_ns(),
        "temperatures_c": _temperatures(root),
        "cpu_khz": tuple(khz for khz in clocks if khz is not None) or _cpuinfo_khz(root),
        "governor": read_text(policies[0] / "scaling_governor") if policies else None,
        "load_1m": _load(root),
        "available_bytes": _available(root),
    }


def read_text(path: Path) -> str | None:
    """Return the text of a small file without the space around it, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def probe_ns(clock: Clock = time.perf_counter_ns) -> int:
    """Return the shortest of five runs of a fixed floating-point loop on one core, in ns.

    The shortest, because an interruption can only make a run longer; androidx benchmark keeps the minimum for the same
    reason.
    """
    return min(_timed(clock) for _ in range(PROBES))


def _timed(clock: Clock) -> int:
    start = clock()
    value = 1.0
    for _ in range(PROBE_STEPS):
        value = value * 1.0000001 + 1e-9
    return clock() - start


def _integer(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def _number(policy: Path) -> int:
    return int(policy.parent.name.removeprefix("cpu"))


def _temperatures(root: Path) -> dict[str, float]:
    """Thermal zones by type. If two zones have the same type, the second is named with its number."""
    temperatures: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _integer(zone / "temp")
        if value is not None:
            kind = read_text(zone / "type") or zone.name
            # Millidegrees.
            temperatures[f"{kind}-{zone.name}" if kind in temperatures else kind] = value / 1000
    return temperatures


def _cpuinfo_khz(root: Path) -> tuple[int, ...]:
    """The clocks that x86 kernels report even where cpufreq is hidden, as in most virtual machines."""
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    return tuple(round(float(line.partition(":")[2]) * 1000) for line in lines if line.startswith("cpu MHz"))


def _load(root: Path) -> float | None:
    text = read_text(root / "proc/loadavg")
    if text:
        return float(text.split()[0])
    try:
        return os.getloadavg()[0] if root == ROOT else None
    except OSError:
        return None


def _available(root: Path) -> int | None:
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    if root != ROOT:
        return None
    # Only a computer that is not Linux has no such line.
    import psutil

    return int(psutil.virtual_memory().available)
