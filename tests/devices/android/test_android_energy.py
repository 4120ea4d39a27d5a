"""The energy of a launch on the virtual phone, whose power a test knows, over its real tracer's format and adb."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.device import Execution
from harness.devices.energy import COUNTER
from harness.records.energy_pairs import pair_of_reply
from harness.stats.energy_pairs import BlockPair, pair_joules
from harness.wire import EnergyPass, EnergySource
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import Work, make_work
from tests.vphone.apps import Launch
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb
from tests.vphone.state import PhoneState

# What is measured does not depend on the adb server.
pytestmark = pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)

IDLE_W, LOAD_W = 1.0, 4.0
METERED = Path(__file__).with_name("metered.py")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return make_work(tmp_path_factory.mktemp("energy"))


class Metered:
    """A phone that draws more while its calls run. ``run`` makes one launch of a second of each."""

    def __init__(self, android: AndroidPhone, phone: VirtualPhone, folder: Path) -> None:
        self.android, self.phone, self._copy = android, phone, folder / "reply.json"
        phone.apps.program = self._program
        phone.state.watts = self._watts
        phone.state.plugged = phone.state.charging = False

    def run(self, work: Work) -> Execution:
        self.android.push(work.model, work.sha256)
        request = work.lasting(1.6)
        passes = replace(request.passes, energy=EnergyPass(idle_ns=1_600_000_000, settle_ns=200_000_000))
        return self.android.execute(replace(request, passes=passes), work.inputs, 60)

    def _program(self, launch: Launch) -> list[str]:
        python, _, *args = standin(launch)
        return [python, str(METERED), str(self._copy), *args]

    def _watts(self, at_s: float) -> float:
        if not self._copy.exists():
            return IDLE_W
        energy = json.loads(self._copy.read_text())["energy"]
        if energy is None:
            return IDLE_W
        idle, load = energy["blocks"]
        at_ns = at_s * 1e9 - energy["boot_offset_ns"]
        # The warm-up draws as much as the calls.
        return LOAD_W if idle["ended_ns"] <= at_ns <= load["ended_ns"] else IDLE_W


@pytest.fixture
def metered(android: AndroidPhone, phone: VirtualPhone, tmp_path: Path) -> Metered:
    return Metered(android, phone, tmp_path)


def truth(execution: Execution) -> float:
    """The joules of a call: the power that the test knows, times how long a call took."""
    assert execution.reply.energy is not None
    load = execution.reply.energy.blocks[1]
    return (LOAD_W - IDLE_W) * (load.ended_ns - load.began_ns) / 1e9 / load.calls


def test_power_rails_give_the_energy_of_a_call_on_a_phone_that_charges(metered: Metered, work: Work) -> None:
    metered.phone.state.plugged = metered.phone.state.charging = True
    assert metered.android.info.details[COUNTER] == "power rails or battery"
    execution = metered.run(work)
    energy = execution.reply.energy
    assert energy is not None
    assert energy.counter is not None
    assert energy.counter.source is EnergySource.RAILS
    assert energy.counter.channels == ("VDD_CPU", "VSYS_DISPLAY")
    assert energy.counter.volts == pytest.approx(4.187)
    pair = pair_of_reply(execution.reply)
    assert isinstance(pair, BlockPair)
    assert pair_joules([pair])[0] == pytest.approx(truth(execution), rel=0.02)
    # Nothing of the tracer stays.
    assert metered.phone.jail.run("ls /data/misc/perfetto-traces") == ""


def test_the_battery_gives_it_where_there_are_no_rails(metered: Metered, work: Work) -> None:
    metered.phone.state.rails = {}
    execution = metered.run(work)
    assert execution.reply.energy is not None
    assert execution.reply.energy.counter is not None
    assert execution.reply.energy.counter.source is EnergySource.BATTERY
    assert "read four times a second" in execution.reply.energy.counter.definition
    pair = pair_of_reply(execution.reply)
    assert isinstance(pair, BlockPair)
    assert pair_joules([pair])[0] == pytest.approx(truth(execution), rel=0.05)


Change = Callable[[PhoneState], None]


def charges(state: PhoneState) -> None:
    state.rails, state.plugged, state.charging = {}, True, True


def is_forced(state: PhoneState) -> None:
    state.rails, state.battery_forced = {}, True


def has_no_counter(state: PhoneState) -> None:
    state.rails, state.has_perfetto, state.battery_percent = {}, False, 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (charges, "the battery was charging"),
        (is_forced, "the state of the battery was set by a command"),
        (has_no_counter, "neither power rails nor the charge of its battery"),
    ],
    ids=["charges", "is-forced", "has-no-counter"],
)
def test_a_phone_that_cannot_say_gives_a_sentence(metered: Metered, work: Work, change: Change, says: str) -> None:
    change(metered.phone.state)
    outcome = pair_of_reply(metered.run(work).reply)
    assert isinstance(outcome, str)
    assert says in outcome


def test_without_the_tracer_the_watch_reads_the_battery(metered: Metered, work: Work) -> None:
    metered.phone.state.has_perfetto = False
    execution = metered.run(work)
    assert execution.reply.energy is not None
    counter = execution.reply.energy.counter
    assert counter is not None
    assert "dumpsys battery" in counter.definition
    assert counter.reason == ""
    assert all(reading.volts == pytest.approx(4.187) for reading in counter.readings)


def test_no_tracer_runs_in_a_launch_that_asks_for_no_energy(metered: Metered, work: Work) -> None:
    metered.android.push(work.model, work.sha256)
    execution = metered.android.execute(work.request, work.inputs, 60)
    assert execution.reply.energy is None
    assert metered.phone.system.tracers == []


@pytest.mark.usefixtures("runner_phone")
def test_the_java_runner_waits_before_its_calls_and_its_clock_is_that_of_the_counter(
    cable: Cable, phone: VirtualPhone, work: Work
) -> None:
    phone.state.watts = lambda _: IDLE_W
    request = work.lasting(1.6)
    passes = replace(request.passes, energy=EnergyPass(idle_ns=1_600_000_000))
    with open_phone(cable, key="android") as android:
        android.push(work.model, work.sha256)
        reply = android.execute(replace(request, passes=passes), work.inputs, 120).reply
    assert reply.energy is not None
    idle, load = reply.energy.blocks
    assert idle.ended_ns - idle.began_ns >= 1_600_000_000
    assert load.calls >= len(reply.latency.samples_ns if reply.latency else ())
    assert isinstance(pair_of_reply(reply), BlockPair)
