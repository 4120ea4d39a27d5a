"""The state of the host at one moment: load, memory, clocks, temperatures. A value is None if not reported."""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.wire import StateSample

ROOT = Path("/")


def sample_state(root: Path = ROOT) -> StateSample:
    """Read the state now. ``root`` is where ``proc`` and ``sys`` are; missing files raise nothing."""
    policies = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"), key=_number)
    clocks = (_integer(policy / "scaling_cur_freq") for policy in policies)
    return StateSample(
        at_ns=time.perf_counter_ns(),
        temperatures_c=_temperatures(root),
        cpu_khz=tuple(khz for khz in clocks if khz is not None) or _cpuinfo_khz(root),
        governor=_text(policies[0] / "scaling_governor") if policies else None,
        load_1m=_load(root),
        available_bytes=_available(root),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def _number(policy: Path) -> int:
    return int(policy.parent.name.removeprefix("cpu"))


def _temperatures(root: Path) -> dict[str, float]:
    """Thermal zones by type. If two zones have the same type, the second is named with its number."""
    temperatures: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _integer(zone / "temp")
        if value is not None:
            kind = _text(zone / "type") or zone.name
            # Millidegrees.
            temperatures[f"{kind}-{zone.name}" if kind in temperatures else kind] = value / 1000
    return temperatures


def _cpuinfo_khz(root: Path) -> tuple[int, ...]:
    """The clocks that x86 kernels report even where cpufreq is hidden, as in most virtual machines."""
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    return tuple(round(float(line.partition(":")[2]) * 1000) for line in lines if line.startswith("cpu MHz"))


def _load(root: Path) -> float | None:
    text = _text(root / "proc/loadavg")
    if text:
        return float(text.split()[0])
    try:
        return os.getloadavg()[0] if root == ROOT else None
    except OSError:
        return None


def _available(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    if root != ROOT:
        return None
    import psutil

    return int(psutil.virtual_memory().available)
