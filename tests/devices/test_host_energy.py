"""The processor's energy counters in a made-up sysfs, and how they reach a reply."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.energy import why_no_energy
from harness.devices.host.host import HostDevice
from harness.devices.host.powercap import Powercap
from harness.records.energy_pairs import pair_of_reply
from harness.stats.energy_pairs import BlockPair
from harness.wire import EnergyPass, EnergySource
from tests.devices.test_device_host import HEAD

ZONES = {
    "intel-rapl:0": ("package-0", 5_000_000),
    "intel-rapl:0:0": ("core", 3_000_000),
    "intel-rapl:0:2": ("dram", 1_000_000),
    "intel-rapl:1": ("package-1", 2_000_000),
}
RANGE_UJ = 262_143_328_850


def sysfs(root: Path, zones: dict[str, tuple[str, int]]) -> Path:
    for zone, (name, energy_uj) in zones.items():
        folder = root / "sys/class/powercap" / zone
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", RANGE_UJ)):
            (folder / file).write_text(f"{text}\n")
    return root


def test_packages_and_memory_are_counted_and_their_parts_are_not(tmp_path: Path) -> None:
    powercap = Powercap(sysfs(tmp_path, ZONES), clock=lambda: 7)
    reading = powercap.reading()
    assert powercap.channels == ("package-0", "dram", "package-1")
    assert reading is not None
    assert (reading.at_ns, reading.microjoules) == (7, (5_000_000, 1_000_000, 2_000_000))
    assert powercap.missing == ""


def test_the_whole_platform_is_taken_where_it_is_counted(tmp_path: Path) -> None:
    assert Powercap(sysfs(tmp_path, ZONES | {"intel-rapl:2": ("psys", 9)})).channels == ("psys",)


def test_a_counter_that_wraps_around_goes_on(tmp_path: Path) -> None:
    zones = {"intel-rapl:0": ("package-0", RANGE_UJ - 1_000_000)}
    powercap = Powercap(sysfs(tmp_path, zones))
    first = powercap.reading()
    sysfs(tmp_path, {"intel-rapl:0": ("package-0", 2_000_000)})
    second = powercap.reading()
    assert first is not None
    assert second is not None
    assert second.microjoules[0] - first.microjoules[0] == 3_000_000


def test_a_counter_that_falls_elsewhere_is_left_to_fall(tmp_path: Path) -> None:
    powercap = Powercap(sysfs(tmp_path, {"intel-rapl:0": ("package-0", 5_000_000)}))
    powercap.reading()
    sysfs(tmp_path, {"intel-rapl:0": ("package-0", 1_000_000)})
    reading = powercap.reading()
    assert reading is not None
    assert reading.microjoules == (1_000_000,)


@pytest.mark.parametrize(
    ("unreadable", "says"), [(False, "no processor counter"), (True, "cannot be read: run phonebench as root")]
)
def test_why_a_computer_has_no_counter(tmp_path: Path, unreadable: bool, says: str) -> None:
    if unreadable:
        # What a file that only root may read looks like to others; a test may run as root.
        place = sysfs(tmp_path, ZONES) / "sys/class/powercap/intel-rapl:0/energy_uj"
        place.unlink()
        place.mkdir()
    powercap = Powercap(tmp_path)
    assert says in powercap.missing
    assert powercap.reading() is None
    assert says in (why_no_energy(HostDevice(powercap=powercap).info) or "")


def test_the_readings_of_a_launch_are_in_its_reply(tmp_path: Path, parcel: Any) -> None:
    script = tmp_path / "runner.py"
    blocks = """
import time
now = time.perf_counter_ns
began = now()
time.sleep(1.1)
load = now()
time.sleep(1.1)
answer(energy={"blocks": [{"kind": "idle", "began_ns": began, "ended_ns": load},
                          {"kind": "load", "began_ns": load, "ended_ns": now(), "calls": 10}]})
"""
    script.write_text(HEAD + blocks)
    device = HostDevice(
        command=(sys.executable, str(script)), folder=tmp_path, powercap=Powercap(sysfs(tmp_path, ZONES))
    )
    assert why_no_energy(device.info) is None
    device.push(parcel.path, parcel.sha256)
    request = replace(parcel.request, passes=replace(parcel.request.passes, energy=EnergyPass(idle_ns=1)))
    execution = device.execute(request, parcel.inputs, 30)
    energy = execution.reply.energy
    assert energy is not None
    assert energy.counter is not None
    assert energy.counter.source is EnergySource.PROCESSOR
    assert len(energy.counter.readings) >= 2
    assert b'"processor counter"' in execution.reply_bytes
    # A counter that stands still has no energy, and a sentence.
    outcome = pair_of_reply(execution.reply)
    assert not isinstance(outcome, BlockPair)
