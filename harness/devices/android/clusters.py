"""The clusters of cores of a phone, from their highest clocks, and the mask of those that a launch may use."""

from __future__ import annotations

import re

from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.errors import PhoneTrouble
from harness.spec.phone_settings import Cores

_SCRIPT = "cd /sys/devices/system/cpu && grep -H . cpu[0-9]*/cpufreq/cpuinfo_max_freq"


def read_mask(cable: Cable, cores: Cores) -> str | None:
    """Return the hexadecimal affinity mask of ``cores``, None for any. Raises `PhoneError` where clocks are hidden."""
    if cores is Cores.ANY:
        return None
    mask = mask_of(parse_clocks(cable.run(_SCRIPT).text), cores)
    if mask is None:
        what = f"{named(cable.serial)} does not tell the clocks of its cores, so that {cores.value!r} cannot be chosen"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial, command=_SCRIPT)
    return mask


def parse_clocks(text: str) -> dict[int, int]:
    """Return the highest clock in kHz by the number of the core."""
    pairs = re.findall(r"^cpu(\d+)/cpufreq/cpuinfo_max_freq:(\d+)$", text, re.MULTILINE)
    return {int(core): int(khz) for core, khz in pairs}


def mask_of(clocks: dict[int, int], cores: Cores) -> str | None:
    """Return the mask of the cores in the slowest cluster, or of all others; where there is one cluster, of all."""
    if not clocks:
        return None
    slowest = min(clocks.values())
    wanted = {core for core, khz in clocks.items() if (khz == slowest) == (cores is Cores.LITTLE)}
    return f"{sum(1 << core for core in wanted or clocks):x}"
