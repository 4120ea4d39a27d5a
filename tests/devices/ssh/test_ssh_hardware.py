"""What boards report of themselves: models, clocks, throttling, power; and settings that change them for a while."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.energy import COUNTER
from harness.devices.registry import kind_of
from harness.devices.ssh.board.clocks import fix_clocks
from harness.devices.ssh.board.facts import Powers, pmic_watts, power_mode, read_facts
from harness.devices.ssh.board_device import SshBoard
from harness.devices.ssh.facts import check_facts, conditions_of, has_fan, info_of, readiness_of, throttling_of
from harness.errors import BoardError, BoardTrouble
from harness.records.conditions import ConditionId
from harness.records.energy import launch_energy
from harness.records.energy_pairs import pair_of_reply
from harness.spec.phone_settings import DEFAULT_SETTINGS, Clocks, Cores, PhoneSettings
from harness.stats.energy_pairs import BlockPair
from harness.wire import EnergyPass, ReplyStatus
from tests.devices.android.jobs import make_work
from tests.devices.ssh.hardware import (
    JETSON_WATTS,
    PMIC,
    PMIC_WATTS,
    cpus,
    jetson_orin,
    raspberry_pi_5,
    write,
)
from tests.devices.ssh.lab import Lab, NamespaceBoard, need_namespaces


class Imitated(NamespaceBoard):
    """A board whose /sys is a tree of ours, and whose maker's tools are scripts."""

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    def boot(self) -> None:
        """Boot with the tree that was written; Python is found as on any board."""
        path = f"{self.tools}:{sys.base_prefix}/bin:/usr/bin:/bin"
        self.start(environment={"PATH": path}, setup=[f"mount --bind {self.sysfs} /sys"])

    def governors(self) -> set[str]:
        """The governors of the cores now."""
        return {p.read_text().strip() for p in self.sysfs.glob("devices/system/cpu/cpu*/cpufreq/scaling_governor")}


@pytest.fixture(scope="module")
def jetson(lab: Lab) -> Generator[Imitated]:
    need_namespaces()
    board = Imitated(lab, "jetson", 8)
    try:
        board.build()
        jetson_orin(board.sysfs, board.tools)
        board.boot()
        yield board
    finally:
        board.remove()


def opened(lab: Lab, name: str, settings: PhoneSettings = DEFAULT_SETTINGS) -> SshBoard:
    device = SshBoard(f"ssh:{name}", settings, lab.folder / "cache" / "phonebench")
    device.prepare()
    return device


def test_a_jetson_has_a_power_mode_a_sensor_and_clusters(lab: Lab, jetson: Imitated, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    device = opened(lab, jetson.name, PhoneSettings(cores=Cores.BIG))
    try:
        info = device.info
        assert info.model == "NVIDIA Jetson Orin Nano Developer Kit"
        assert info.details["clock_regime"] == "default, power mode MAXN_SUPER"
        assert (info.details["cores"], info.details["mask"]) == ("big", "2")
        device.push(work.model, work.sha256)
        done = device.execute(work.lasting(11.0), work.inputs, 60.0)
    finally:
        device.clean()
    assert done.reply.status is ReplyStatus.OK, done.reply.failure
    assert {sample.power_w for sample in done.watch} == {JETSON_WATTS}
    assert done.watch[0].governor == "ondemand"
    assert done.watch[0].cpu_khz == (1_100_000, 1_500_000)
    energy = launch_energy(done.reply)
    assert energy is not None
    assert done.reply.latency is not None
    samples = done.reply.latency.samples_ns
    assert energy.joules == pytest.approx(JETSON_WATTS * sum(samples) / len(samples) / 1e9)
    assert done.reply.state is not None
    assert "the ina3221 sensor, channel VDD_IN" in (done.reply.state.power_definition or "")


def test_the_sensor_of_a_board_counts_an_idle_and_a_load_block(lab: Lab, jetson: Imitated, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    device = opened(lab, jetson.name, PhoneSettings())
    request = work.lasting(7.3)
    passes = replace(request.passes, energy=EnergyPass(idle_ns=7_300_000_000))
    try:
        assert device.info.details[COUNTER] == "power sensor"
        device.push(work.model, work.sha256)
        done = device.execute(replace(request, passes=passes), work.inputs, 60.0)
    finally:
        device.clean()
    pair = pair_of_reply(done.reply)
    assert isinstance(pair, BlockPair), pair
    # The imitated board draws the same whatever it does.
    assert (pair.idle.plain.rate, pair.load.plain.rate) == pytest.approx((JETSON_WATTS, JETSON_WATTS))


def test_fixed_clocks_are_put_back(lab: Lab, jetson: Imitated) -> None:
    device = opened(lab, jetson.name, PhoneSettings(clocks=Clocks.FIXED))
    assert jetson.governors() == {"performance"}
    device.clean()
    assert jetson.governors() == {"ondemand"}


def test_a_session_that_died_leaves_clocks_to_the_next_one(lab: Lab, jetson: Imitated) -> None:
    kept = jetson.root / "cache/phonebench/governors.json"
    file = "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"
    opened(lab, jetson.name).clean()
    write(jetson.sysfs, {file.removeprefix("/sys/"): "performance"})
    kept.write_text(json.dumps({file: "ondemand"}))
    opened(lab, jetson.name).clean()
    assert jetson.governors() == {"ondemand"}
    assert not kept.exists()


def test_doctor_shows_what_a_board_reports(jetson: Imitated) -> None:
    check = kind_of("ssh:jetson").checkup
    assert check is not None
    found = {step.name: step.detail for step in check(f"ssh:{jetson.name}").steps}
    assert found["clocks"] == "at most 1.1 GHz and 1.5 GHz, power mode MAXN_SUPER"
    assert found["power"].startswith("power of the board: volts times amperes of the ina3221 sensor, channel VDD_IN")
    assert found["cooling"].startswith("no fan listed" if "x86" not in found["system"] else "cooled actively")


def test_clocks_that_may_not_be_set_are_left_alone(tmp_path: Path) -> None:
    cpus(tmp_path / "sys", (1_000_000, 1_000_000))
    first, second = (tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor" for core in (0, 1))
    # A file that takes every word and keeps none, like a governor that the kernel does not have.
    second.unlink()
    second.symlink_to("/dev/null")
    assert "may not write" in (fix_clocks(tmp_path, tmp_path) or "")
    assert first.read_text().strip() == "ondemand"
    assert not (tmp_path / "governors.json").exists()
    assert fix_clocks(tmp_path, tmp_path / "nowhere") == "the system has no settings for its clocks (cpufreq)"


def test_the_power_of_a_pi_5_is_the_sum_over_its_rails() -> None:
    assert pmic_watts(PMIC) == pytest.approx(PMIC_WATTS)
    assert pmic_watts('error=1 error_msg="Command not registered"') is None
    # A Pi 4 has no current sensing: voltages alone are no power.
    assert pmic_watts("EXT5V_V volt(24)=5.10000000V") is None


def test_the_power_mode_is_read_from_nvpmodel() -> None:
    assert power_mode("NV Power Mode: 15W\n2\n") == "15W"
    assert power_mode("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_10W\n1\n") == "MODE_10W"
    assert power_mode("") is None


def test_a_sensor_that_measures_power_itself_is_read_in_microwatts(tmp_path: Path) -> None:
    write(tmp_path, {"sys/class/hwmon/hwmon3/name": "ina219", "sys/class/hwmon/hwmon3/power1_input": "3250000"})
    assert Powers(tmp_path).watts() == 3.25


def test_channels_add_up_where_none_measures_the_whole(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon0"
    write(tmp_path, {f"{chip}/name": "ina3221"})
    for number, (millivolts, milliamperes) in {1: (5000, 1000), 2: (1000, 500)}.items():
        write(tmp_path, {f"{chip}/in{number}_input": str(millivolts), f"{chip}/curr{number}_input": str(milliamperes)})
    powers = Powers(tmp_path)
    assert powers.watts() == 5.5
    assert "channel 1, 2" in (powers.definition or "")
    # A reading that fails makes the whole unknown, and not smaller.
    (tmp_path / chip / "in2_input").write_text("")
    assert powers.watts() is None


def test_a_pi_5_is_recognised(tmp_path: Path) -> None:
    raspberry_pi_5(tmp_path / "sys", tmp_path / "tools")
    facts = read_facts(tmp_path / "store", tmp_path)
    assert (facts["model"], has_fan(facts)) == ("Raspberry Pi 5 Model B Rev 1.0", True)
    assert facts["max_khz"] == {str(core): 2_400_000 for core in range(4)}


FACTS = {
    "system": "Linux", "machine": "aarch64", "bits": 64, "libc": "glibc 2.36", "python": "3.11.2",
    "implementation": "cpython", "kernel": "6.6", "os": "Debian", "model": None, "power_mode": None, "power": None,
    "cpuinfo": {"model name": None, "flags": None, "Features": "fp asimd asimddp"}, "parts": ["0xd03", "0xd0a"],
    "cores": 4, "memory_bytes": 1, "container": False, "throttled": 0, "fan": False,
}  # fmt: skip
STATE = {"load_1m": 0.1, "throttled": 0, "temperatures_c": {"cpu": 40.0}, "governor": "ondemand"}


@pytest.mark.parametrize(
    ("bits", "before", "conditions"),
    [
        (0x0, 0x0, []),
        (0x1, 0x0, [ConditionId.UNDER_VOLTAGE]),
        (0x4, 0x0, [ConditionId.THERMAL]),
        (0x50005, 0x0, [ConditionId.UNDER_VOLTAGE, ConditionId.THERMAL]),
        # What happened before this session began says nothing about its launches.
        (0x50000, 0x50000, []),
        (0x50000, 0x10000, [ConditionId.THERMAL]),
        (0x80000, 0x0, [ConditionId.THERMAL]),
    ],
)
def test_throttling_of_a_pi_is_a_condition(bits: int, before: int, conditions: list[ConditionId]) -> None:
    assert [c.id for c in throttling_of(bits, before) if c] == conditions
    facts = FACTS | {"throttled": before}
    assert [c.id for c in conditions_of(facts, STATE | {"throttled": bits})] == conditions


def test_the_gate_sees_a_pi_that_slows_itself_down() -> None:
    assert readiness_of(STATE | {"throttled": 0x4}).thermal_status == "throttled"
    assert readiness_of(STATE | {"throttled": 0x50000}).thermal_status == "none"
    assert readiness_of(STATE | {"throttled": None}).thermal_status is None


def test_cores_of_arm_are_named() -> None:
    info = info_of("ssh:pi", FACTS, {"clock_regime": "default", "cores": "any"})
    assert (info.cpu, info.model, info.abi) == ("Cortex-A53 + Cortex-A75", "aarch64", "aarch64")
    assert info.details["instruction_sets"] == "asimddp"


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"system": "Darwin"}, "runs Darwin"),
        ({"bits": 32}, "has a 32-bit system (aarch64)"),
        ({"machine": "riscv64"}, "is a riscv64 machine"),
        ({"libc": ""}, "has the C library musl"),
        ({"implementation": "pypy"}, "has pypy as its Python"),
    ],
)
def test_a_system_without_wheels_is_refused(differs: dict[str, object], said: str) -> None:
    with pytest.raises(BoardError) as caught:
        check_facts("pi", FACTS | differs)
    assert caught.value.trouble is BoardTrouble.MACHINE
    assert f"board 'pi' {said}" in str(caught.value)
    assert "such as Raspberry Pi OS (64-bit)" in str(caught.value)
