"""What a board reports of itself: what it is, how it feels, and the power that it draws.

The tools of single boards are asked only where they are installed. Their output is parsed here as their makers document
it; a value that cannot be read is None.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.devices.ssh.board.clocks import policies
from harness.runners.host.readings import ROOT, probe_ns, read_state, read_text

_TOOL_S = 5.0
_BUSY_WINDOW_S = 0.1
# Power inputs of a whole module; its other channels measure parts of the same current.
_WHOLE_INPUTS = ("VDD_IN", "POM_5V_IN", "SYS_VIN_HV", "VIN_SYS_5V0")

PMIC_DEFINITION = (
    "power of the board: the sum of volts times amperes over the rails that the Pi 5's power chip measures (vcgencmd "
    "pmic_read_adc), read once a second during the measured calls; the losses of the input and what USB devices draw "
    "are not in it, idle power is"
)
HWMON_DEFINITION = (
    "power of the board: volts times amperes of the {chip} sensor, {channels}, read once a second during the measured "
    "calls; idle power is in it"
)


def read_facts(store: Path, root: Path = ROOT) -> dict[str, Any]:
    """Return what the board is, and what phonebench must know before it uses it. ``store`` need not exist."""
    cpuinfo = read_text(root / "proc/cpuinfo") or ""
    powers = Powers(root)
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "kernel": platform.release(),
        "os": _os_name(root),
        "model": _model(root),
        "cpuinfo": {name: _field(cpuinfo, name) for name in ("model name", "Model", "CPU part", "flags", "Features")},
        "parts": sorted(set(re.findall(r"^CPU part\s*: (\S+)", cpuinfo, re.MULTILINE))),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": _memory_bytes(root),
        "boot": read_text(root / "proc/sys/kernel/random/boot_id"),
        "container": (root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
        "load_1m": read_state(root)["load_1m"],
        "free_bytes": _free_bytes(store),
        "store": str(store),
        "fan": _has_fan(root),
        "max_khz": {str(core): khz for core, khz in _max_clocks(root).items()},
        "power_mode": _power_mode(),
        "power": powers.definition,
        "user": _user(),
        "throttled": read_throttled(),
    }


def read_ready(*, probe: bool, root: Path = ROOT) -> dict[str, Any]:
    """Return the state before a launch; with ``probe`` also the speed of a core and the share of the cores in use."""
    state = read_state(root)
    state["throttled"] = read_throttled()
    if probe:
        state |= {"busy": _busy(root), "probe_ns": probe_ns()}
    return state


def read_throttled() -> int | None:
    """Return the bits of ``vcgencmd get_throttled``, which prints ``throttled=0x50005``; None on other boards."""
    match = re.search(r"throttled=(0x[0-9a-fA-F]+)", _printed("vcgencmd", "get_throttled"))
    return int(match[1], 16) if match else None


class Powers:
    """The power sensor of the board, looked for once. ``definition`` says what it measures, None without one."""

    def __init__(self, root: Path = ROOT) -> None:
        self._channels = _hwmon_channels(root)
        self._pmic = not self._channels and pmic_watts(_printed("vcgencmd", "pmic_read_adc")) is not None

    @property
    def definition(self) -> str | None:
        if self._pmic:
            return PMIC_DEFINITION
        if not self._channels:
            return None
        names = ", ".join(name for name, _ in self._channels)
        chip = read_text(self._channels[0][1][0].parent / "name") or "hwmon"
        return HWMON_DEFINITION.format(chip=chip, channels=f"channel {names}" if names else "all channels")

    def watts(self) -> float | None:
        """Return the power now, None if a reading fails."""
        if self._pmic:
            return pmic_watts(_printed("vcgencmd", "pmic_read_adc"))
        readings = [_watts(paths) for _, paths in self._channels]
        whole = [watts for watts in readings if watts is not None]
        # A sum without one of its channels would look like less power.
        return round(sum(whole), 6) if whole and len(whole) == len(readings) else None


def pmic_watts(text: str) -> float | None:
    """Return the sum over the rails of ``vcgencmd pmic_read_adc``; None if it prints none.

    A rail has a line ``3V3_SYS_A current(1)=0.06245880A`` and a line ``3V3_SYS_V volt(9)=3.32024200V``.
    """
    amperes = {rail: float(value) for rail, value in re.findall(r"(\S+)_A current\(\d+\)=([\d.]+)A", text)}
    volts = {rail: float(value) for rail, value in re.findall(r"(\S+)_V volt\(\d+\)=([\d.]+)V", text)}
    rails = amperes.keys() & volts.keys()
    return round(sum(amperes[rail] * volts[rail] for rail in rails), 6) if rails else None


def power_mode(text: str) -> str | None:
    """Return the mode in the output of ``nvpmodel -q``: ``NV Power Mode: MAXN`` and the mode's number."""
    match = re.search(r"NV Power Mode:\s*(\S+)", text)
    return match[1] if match else None


def _power_mode() -> str | None:
    return power_mode(_printed("nvpmodel", "-q"))


def _hwmon_channels(root: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """Return the channels of a power sensor with the files to multiply; the whole input alone, where there is one."""
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if not re.match(r"ina\d", read_text(chip / "name") or ""):
            continue
        channels: list[tuple[str, tuple[Path, ...]]] = []
        for current in sorted(chip.glob("curr[0-9]*_input")):
            number = current.name.removeprefix("curr").removesuffix("_input")
            # The driver of the ina3221 has one more channel, the sum of the others, which has no voltage.
            if (chip / f"in{number}_input").exists():
                label = read_text(chip / f"in{number}_label") or number
                channels.append((label, (chip / f"in{number}_input", current)))
        whole = [channel for channel in channels if channel[0] in _WHOLE_INPUTS]
        power = chip / "power1_input"
        if whole or channels:
            return whole[:1] or channels
        if power.exists():
            return [(read_text(chip / "power1_label") or "1", (power,))]
    return []


def _watts(paths: tuple[Path, ...]) -> float | None:
    texts = [read_text(path) for path in paths]
    try:
        values = [int(text or "") for text in texts]
    except ValueError:
        return None
    # Millivolts times milliamperes, or microwatts.
    return values[0] * values[-1] / 1e6 if len(values) == 2 else values[0] / 1e6


def _printed(*command: str) -> str:
    """Return what a tool prints, nothing if it is not there or fails."""
    # /usr/sbin is not on the path of a plain user, and nvpmodel is there.
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin:/opt/vc/bin")
    if program is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=_TOOL_S, check=False)
        return done.stdout
    return ""


def _model(root: Path) -> str | None:
    """The model in the device tree, which ends in a null byte, or the product name of a PC."""
    tree = read_text(root / "proc/device-tree/model") or read_text(root / "sys/firmware/devicetree/base/model")
    return (tree or "").strip("\0 ") or read_text(root / "sys/devices/virtual/dmi/id/product_name")


def _os_name(root: Path) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', read_text(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else platform.system()


def _field(cpuinfo: str, name: str) -> str | None:
    match = re.search(rf"^{re.escape(name)}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else None


def _memory_bytes(root: Path) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", read_text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _free_bytes(store: Path) -> int:
    """The free bytes of the file system that the store is on, or will be on."""
    place = next(folder for folder in (store, *store.parents) if folder.exists())
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


def _has_fan(root: Path) -> bool:
    devices = (*(root / "sys/class/thermal").glob("cooling_device*/type"), *(root / "sys/class/hwmon").glob("*/name"))
    return any("fan" in (read_text(path) or "").lower() for path in devices)


def _max_clocks(root: Path) -> dict[int, int]:
    clocks = {}
    for policy in policies(root):
        text = read_text(policy / "cpuinfo_max_freq")
        if text and text.isdecimal():
            clocks[int(policy.parent.name.removeprefix("cpu"))] = int(text)
    return clocks


def _user() -> str:
    with contextlib.suppress(KeyError, ImportError):
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def _busy(root: Path) -> float | None:
    """The share of all cores that was in use during a tenth of a second."""
    before = _ticks(root)
    time.sleep(_BUSY_WINDOW_S)
    after = _ticks(root)
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round(1 - (after[0] - before[0]) / (after[1] - before[1]), 4)


def _ticks(root: Path) -> tuple[int, int] | None:
    """Ticks without work (idle and waiting for the disk), and all ticks, from the first line of /proc/stat."""
    fields = (read_text(root / "proc/stat") or "").splitlines()[:1]
    numbers = [int(word) for word in fields[0].split()[1:9]] if fields and fields[0].startswith("cpu ") else []
    return (numbers[3] + numbers[4], sum(numbers)) if len(numbers) > 4 else None
