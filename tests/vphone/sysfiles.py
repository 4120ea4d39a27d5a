"""The files below /sys and /proc that describe the phone's state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.vphone.state import PhoneState

CPUS = "sys/devices/system/cpu"
# What the kernel calls the sensors that the thermal service names otherwise; any other name stays.
ZONES = {"CPU0": "cpu-0-0-usr", "GPU0": "gpuss-0-usr", "skin": "xo-therm"}


def write_files(state: PhoneState, fake: Path) -> None:
    """Write the files from the state, and remove those that it no longer has."""
    files = dict(_files(state))
    for name, text in files.items():
        _write(fake / name, text)
    for folder in ("class/thermal", "devices/system/cpu"):
        _prune(fake / "sys" / folder, {fake / name for name in files})


def _write(path: Path, text: str) -> None:
    """Write in place, since some files are mounted one by one; a reader sees either the old or the new text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(file, text.encode(), 0)
        os.ftruncate(file, len(text.encode()))
    finally:
        os.close(file)


def _prune(folder: Path, keep: set[Path]) -> None:
    for file in list(folder.rglob("*")):
        if file.is_file() and file not in keep:
            file.unlink()
    for below in list(folder.glob("*")):
        if below.is_dir() and not any(file.is_file() for file in below.rglob("*")):
            shutil.rmtree(below)


def _files(state: PhoneState) -> Iterator[tuple[str, str]]:
    yield "proc/meminfo", _meminfo(state)
    yield "proc/loadavg", f"{state.load_1m:.2f} {state.load_1m:.2f} {state.load_1m:.2f} 1/612 4242\n"
    yield "proc/boot_id", f"{state.boot_id}\n"
    count = sum(cores for cores, _, _ in state.cores)
    for name in ("present", "possible", "online"):
        yield f"{CPUS}/{name}", f"0-{count - 1}\n"
    yield "sys/class/power_supply/battery/capacity", f"{state.battery_percent}\n"
    yield "sys/class/power_supply/battery/temp", f"{round(state.battery_temperature_c * 10)}\n"
    yield "sys/class/power_supply/battery/status", ("Charging\n" if state.charging else "Discharging\n")
    if state.sys_readable:
        yield from _clocks(state)
        yield from _zones(state)


def _clocks(state: PhoneState) -> Iterator[tuple[str, str]]:
    first = 0
    for count, lowest, highest in state.cores:
        members = " ".join(str(core) for core in range(first, first + count))
        for core in range(first, first + count):
            folder = f"{CPUS}/cpu{core}/cpufreq"
            yield f"{folder}/scaling_cur_freq", f"{state.cpu_khz.get(core, highest)}\n"
            yield f"{folder}/scaling_governor", f"{state.governor}\n"
            yield f"{folder}/related_cpus", f"{members}\n"
            for which in ("cpuinfo", "scaling"):
                yield f"{folder}/{which}_min_freq", f"{lowest}\n"
                yield f"{folder}/{which}_max_freq", f"{highest}\n"
        first += count


def _zones(state: PhoneState) -> Iterator[tuple[str, str]]:
    for number, (name, celsius) in enumerate(state.temperatures_c.items()):
        yield f"sys/class/thermal/thermal_zone{number}/type", f"{ZONES.get(name, name)}\n"
        yield f"sys/class/thermal/thermal_zone{number}/temp", f"{round(celsius * 1000)}\n"


def _meminfo(state: PhoneState) -> str:
    fields = {
        "MemTotal": state.memory_bytes,
        "MemFree": state.available_bytes // 4,
        "MemAvailable": state.available_bytes,
        "Buffers": 4 * 2**20,
        "Cached": state.available_bytes // 2,
        "SwapTotal": state.memory_bytes // 2,
        "SwapFree": state.memory_bytes // 4,
    }
    return "".join(f"{name + ':':<15} {size // 1024:>8} kB\n" for name, size in fields.items())
