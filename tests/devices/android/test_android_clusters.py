"""The affinity mask of a launch, derived from the maximum clocks of the cores."""

from __future__ import annotations

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.clusters import parse_clocks, read_mask
from harness.devices.cores import mask_of
from harness.errors import PhoneError
from harness.spec.phone_settings import Cores
from tests.vphone.phone import VirtualPhone

THREE = {0: 1_700_000, 1: 1_700_000, 2: 2_400_000, 3: 2_400_000, 4: 2_900_000}


@pytest.mark.parametrize(
    ("clocks", "cores", "mask"),
    [
        (THREE, Cores.LITTLE, "3"),
        (THREE, Cores.BIG, "1c"),
        ({0: 2_000_000, 1: 2_000_000}, Cores.BIG, "3"),
        ({0: 2_000_000, 1: 2_000_000}, Cores.LITTLE, "3"),
        ({}, Cores.BIG, None),
    ],
)
def test_the_mask_has_a_bit_a_core(clocks: dict[int, int], cores: Cores, mask: str | None) -> None:
    assert mask_of(clocks, cores) == mask


def test_lines_of_other_files_are_left_out() -> None:
    text = "cpu0/cpufreq/cpuinfo_max_freq:1700000\ngrep: cpu1: denied\ncpu10/cpufreq/cpuinfo_max_freq:9\n"
    assert parse_clocks(text) == {0: 1_700_000, 10: 9}


def test_a_phone_is_asked_only_when_cores_are_chosen(cable: Cable, phone: VirtualPhone) -> None:
    phone.unplug()
    assert read_mask(cable, Cores.ANY) is None
    with pytest.raises(PhoneError):
        read_mask(cable, Cores.BIG)
