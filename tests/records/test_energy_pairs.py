"""Energy from pairs of an idle and a load block: the value by hand, and a sentence wherever there is none."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.compare.keys import one_unit
from harness.records.energy import energy_summary, joules_of_launch
from harness.records.energy_pairs import token_joules_of_pair
from harness.records.measurement import EnergySummary, Measurement
from harness.records.metrics import ENERGY
from harness.records.units import MILLIJOULES
from harness.stats.energy_pairs import CounterSeries, block_rate
from harness.wire import (
    DeviceStates,
    EnergyBlock,
    EnergyBlockKind,
    EnergyCounter,
    EnergyFacts,
    EnergyReading,
    EnergySource,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    StateSample,
)
from tests.report.builders import cells, measurement

S = 1_000_000_000
IDLE, LOAD = EnergyBlockKind.IDLE, EnergyBlockKind.LOAD
# 40 s idle, 3 s of warm-up, 40 s of 4,000 calls: 10 ms a call.
BLOCKS = (
    EnergyBlock(kind=IDLE, began_ns=3 * S, ended_ns=43 * S),
    EnergyBlock(kind=LOAD, began_ns=46 * S, ended_ns=86 * S, calls=4000),
)
Readings = tuple[EnergyReading, ...]


def rails(idle: float = 1.0, load: float = 4.0, *, every: float = 0.25) -> Readings:
    """Two rails that share the power; the load begins with the warm-up."""
    readings = []
    for index in range(int(90 / every)):
        at = index * every
        total = idle * min(at, 43.0) + load * max(0.0, at - 43.0)
        readings.append(EnergyReading(at_ns=round(at * S), microjoules=(round(0.25e6 * total), round(0.75e6 * total))))
    return tuple(readings)


def battery(readings: Readings, *, step_uah: int = 1, volts: float = 4.0) -> Readings:
    """The same energy as the charge that leaves a battery, in steps."""
    made = []
    for reading in readings:
        used_uah = sum(reading.microjoules) / 1e6 / volts / 3.6e-3
        charge = 3_000_000 - int(used_uah) // step_uah * step_uah
        made.append(EnergyReading(at_ns=reading.at_ns, charge_uah=charge, volts=volts, charging=False))
    return tuple(made)


def reply(readings: Readings, **changes: object) -> RunReply:
    source = EnergySource.BATTERY if readings and readings[0].charge_uah else EnergySource.RAILS
    counter = EnergyCounter(source=source, definition="two rails", channels=("a", "b"), readings=readings)
    facts = replace(EnergyFacts(blocks=BLOCKS, counter=counter), **changes)  # type: ignore[arg-type]
    return RunReply(
        cell="c", launch=0, status=ReplyStatus.OK, runner=RunnerInfo(kind="host", version="1"), energy=facts
    )


def measured(energy: EnergySummary) -> Measurement:
    return replace(measurement(cells()[0]), energy=energy)


def summary(replies: list[RunReply]) -> EnergySummary:
    made = energy_summary(replies)
    assert made is not None
    return made


@pytest.mark.parametrize("readings", [rails(), battery(rails()), rails(every=1.0)])
def test_the_energy_of_a_call_is_load_less_idle(readings: Readings) -> None:
    # 4 W less 1 W for 40 s are 120 J for 4,000 calls.
    assert joules_of_launch(reply(readings)) == pytest.approx(0.03, rel=1e-3)


def test_a_rail_that_restarts_is_not_hidden_by_the_others() -> None:
    # In the second in which rail a loses 2 J, the two take 1 and 3 J, so their sum still rises by 2 J.
    def restarted(reading: EnergyReading) -> EnergyReading:
        a, b = reading.microjoules
        lost = 2_000_000 if reading.at_ns > 60 * S else 0
        return replace(reading, microjoules=(a - lost, b))

    readings = tuple(map(restarted, rails(every=1.0)))
    totals = [sum(reading.microjoules) for reading in readings]
    assert totals == sorted(totals)
    assert "went backwards" in (summary([reply(readings)] * 6).reason or "")


def test_a_charge_in_milliampere_hours_gives_no_energy() -> None:
    readings = tuple(replace(one, charge_uah=(one.charge_uah or 0) // 1000) for one in battery(rails(load=40.0)))
    made = summary([reply(readings)] * 6)
    assert made.joules is None
    assert "2999 µAh are left" in (made.reason or "")


def test_a_coarse_counter_is_timed_at_its_steps() -> None:
    # Steps of 1 mAh at 4 V are 14.4 J: 2 or 3 in the idle block. By the readings alone, the error would be 10 %.
    assert joules_of_launch(reply(battery(rails(), step_uah=1000))) == pytest.approx(0.03, rel=0.01)


def test_the_idle_power_of_a_session_may_drift() -> None:
    # Pairs 100 s apart; the idle power rises by 0.1 W a launch, which is 0.043 W between the blocks of a pair.
    made = summary([drifting(launch) for launch in range(6)])
    assert made.joules == pytest.approx(0.03, rel=2e-3)
    assert made.pairs == 6


def drifting(launch: int) -> RunReply:
    """A launch that begins 100 s after the one before it; its power rises all the time."""
    began, readings = 100 * launch, []
    for tick in range(360):
        at = began + tick / 4
        # The integral of 1 W + 1 mW a second, and 3 W while the calls run.
        joules = at + 0.0005 * at**2 + 3 * min(max(0.0, at - began - 43), 46.0)
        readings.append(EnergyReading(at_ns=round(at * S), microjoules=(round(1e6 * joules),)))
    blocks = tuple(
        replace(block, began_ns=block.began_ns + began * S, ended_ns=block.ended_ns + began * S) for block in BLOCKS
    )
    return reply(tuple(readings), blocks=blocks)


def test_the_interval_is_that_of_student_over_pairs_and_says_how_repeatable_it_is() -> None:
    loads = [3.9, 4.1, 3.9, 4.1, 3.9, 4.1]
    made = summary([reply(rails(load=load)) for load in loads])
    # Standard deviation of the loads 0.1095 W, t(0.975, 5) = 2.5706, √6: ± 0.1150 W of 3 W.
    assert made.joules == pytest.approx(0.03, rel=1e-3)
    assert made.repeatability == pytest.approx(0.1150 / 3, rel=0.01)
    assert made.idle_watts == pytest.approx(1.0, rel=1e-3)
    assert "compare on this device only" in made.definition


def test_equal_steps_in_all_pairs_are_no_certainty() -> None:
    made = summary([reply(battery(rails(every=1.0), step_uah=1000)) for _ in range(6)])
    assert made.joules is not None
    assert made.high_joules == pytest.approx(made.joules + (made.resolution_joules or 0))
    # An idle step every 14.4 s and a load step every 3.6 s, each seen within a second.
    assert 0.01 < (made.repeatability or 0) < 0.03


def test_a_battery_gives_the_inferences_of_a_milliampere_hour() -> None:
    made = summary([reply(battery(rails(load=4 + random.Random(i).gauss(0, 0.01)))) for i in range(6)])
    # 1 mAh at 4 V is 14.4 J, and a call takes 30 mJ.
    assert made.inferences_per_mah == pytest.approx(480, rel=0.01)
    shown = ENERGY.table and ENERGY.table.under and ENERGY.table.under(measured(made), MILLIJOULES)
    assert re.fullmatch(r"29\.\d–30\.\d \(± 0\.\d+ %\); 4(\.0\d)? W, idle 1; 4[78]\d per mAh", shown or "")
    assert summary([reply(rails())] * 6).inferences_per_mah is None


def test_the_clock_of_the_counter_is_that_since_the_phone_was_switched_on() -> None:
    later = tuple(replace(reading, at_ns=reading.at_ns + 7000 * S) for reading in rails())
    assert joules_of_launch(reply(later, boot_offset_ns=7000 * S)) == pytest.approx(0.03, rel=1e-3)
    assert joules_of_launch(reply(later)) is None


def test_tokens_have_an_energy_of_their_own() -> None:
    blocks = (BLOCKS[0], replace(BLOCKS[1], tokens=40_000))
    made = summary([reply(rails(load=4 + i / 100), blocks=blocks) for i in range(6)])
    assert made.joules is not None
    assert made.token_joules == pytest.approx(made.joules / 10)
    assert token_joules_of_pair(reply(rails(), blocks=blocks)) == pytest.approx(0.003, rel=1e-3)
    assert token_joules_of_pair(reply(rails())) is None


def backwards(readings: Readings) -> Readings:
    return (*readings[:200], *(replace(r, microjoules=(0, 1)) for r in readings[200:]))


BAD: dict[str, tuple[Callable[[], RunReply], str]] = {
    "charging": (
        lambda: reply(tuple(replace(r, charging=i == 100) for i, r in enumerate(battery(rails())))),
        "the battery was charging: unplug it",
    ),
    "a charge that grows": (
        lambda: reply(tuple(replace(r, charge_uah=3_000_000 + i) for i, r in enumerate(battery(rails())))),
        "the counter went backwards",
    ),
    "a restart of the counter": (lambda: reply(backwards(rails())), "the counter went backwards"),
    "readings that end early": (lambda: reply(rails()[:250]), "does not cover the blocks"),
    "no readings": (lambda: reply(()), "does not cover the blocks"),
    "a counter that stands still": (
        lambda: reply(battery(rails(), step_uah=100_000)),
        "the counter moved 0 times in 40 s of calls: it is too coarse",
    ),
    "no voltage": (
        lambda: reply(tuple(replace(r, volts=None) for r in battery(rails()))),
        "does not report the voltage",
    ),
    "no counter": (lambda: reply((), counter=None), "no energy counter was read"),
    "no load": (lambda: reply(rails(), blocks=BLOCKS[:1]), "no idle block before its calls"),
    "what the driver says": (
        lambda: reply((), counter=EnergyCounter(source=EnergySource.RAILS, definition="", reason="no perfetto")),
        "no perfetto",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_cannot_give_energy_is_a_sentence_and_never_zero(name: str) -> None:
    make, says = BAD[name]
    made = summary([make()] * 6)
    assert made.joules is None
    assert says in made.reason
    assert made.reason.startswith("needs 5 good pairs of an idle and a load block, had 0 of 6")
    assert joules_of_launch(make()) is None


def test_a_bad_launch_costs_one_pair() -> None:
    made = summary([*[reply(rails(load=4 + i / 100)) for i in range(5)], BAD["charging"][0]()])
    assert made.joules == pytest.approx(0.03, rel=0.02)
    assert made.pairs == 5
    assert summary([reply(rails())] * 3).reason.endswith("had 3 of 3: leave out --launches")


def test_calls_that_draw_nothing_more_than_the_idle_phone_have_no_energy() -> None:
    made = summary([reply(rails(load=1 + (-1) ** i * 0.1)) for i in range(6)])
    assert made.joules is None
    assert "not told from the idle device" in made.reason


def test_a_power_sensor_adds_up_to_a_counter() -> None:
    series = tuple(StateSample(at_ns=i * S, power_w=5.0 if i >= 44 else 2.0) for i in range(90))
    states = DeviceStates(before=series[0], after=series[-1], series=series, power_definition="power of the board")
    made = replace(reply((), counter=None), state=states)
    assert joules_of_launch(made) == pytest.approx(0.03, rel=1e-3)
    assert "power of the board" in summary([made] * 6).definition


def test_a_block_outside_the_readings_has_no_slope() -> None:
    series = CounterSeries(at_s=(0.0, 1.0, 2.0), totals=(0.0, 1.0, 2.0))
    assert block_rate(series, 10, 20) is None
    assert block_rate(series, 0, 10) is None


@pytest.mark.parametrize(
    ("a", "b", "one_key", "same"),
    [("1", "1", False, True), ("1", "2", True, False), ("unknown", "1", True, True), ("unknown", "1", False, False)],
)
def test_the_unit_decides_whether_energies_may_be_compared(a: str, b: str, one_key: bool, same: bool) -> None:
    assert one_unit({"unit": a}, {"unit": b}, one_key=one_key) is same
