"""A phone's clusters of cores, told apart by their maximum clocks, and the affinity mask for a launch."""

from __future__ import annotations

import re

from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.cores import mask_of
from harness.errors import PhoneTrouble
from harness.spec.phone_settings import Cores

_SCRIPT = "cd /sys/devices/system/cpu && grep -H . cpu[0-9]*/cpufreq/cpuinfo_max_freq"


def read_mask(cable: Cable, cores: Cores) -> str | None:
    """Return the affinity mask of ``cores`` in hexadecimal, None for any. Raises `PhoneError` if clocks are hidden."""
    if cores is Cores.ANY:
        return None
    mask = mask_of(parse_clocks(cable.run(_SCRIPT).text), cores)
    if mask is None:
        what = f"{named(cable.serial)} does not report the clocks of its cores, so --cores {cores.value} cannot be used"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial, command=_SCRIPT)
    return mask


def parse_clocks(text: str) -> dict[int, int]:
    """Return each core's maximum clock in kHz, by the number of the core."""
    pairs = re.findall(r"^cpu([0-9]{1,4})/cpufreq/cpuinfo_max_freq:([0-9]{1,15})$", text, re.MULTILINE)
    return {int(core): int(khz) for core, khz in pairs}
