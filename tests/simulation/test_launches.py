"""The short form of the worlds of launches and pairs: few cells and sessions, with fixed seeds."""

from __future__ import annotations

import math

import pytest

from harness.stats.verdicts import Verdict
from tests.simulation import calls, launches, pairs
from tests.simulation.tables import row

COUNT = 40
# The binomial half-width of 5 % or 95 % of 40 cells.
SLACK = 0.07
SINGLE = [
    name for name, world in launches.WORLDS.items() if world.speeds == 1 and world.independent and not world.calls
]
SEVERAL = [name for name, world in launches.WORLDS.items() if world.speeds > 1 and not world.calls]
# Launches so skewed that the interval misses its 94 %; the table says by how much.
SKEWED = ("exponential tail, 5 %", "lognormal tail, 2 %", "Pareto tail, α 1.5")


@pytest.mark.parametrize("name", SINGLE)
def test_the_interval_of_a_cell_contains_its_typical_launch(name: str) -> None:
    shown = launches.cells(name, COUNT)
    truth = launches.typical_ns(name)
    kept = [latency for latency in shown if not latency.speeds]
    covered = sum((latency.low_ns or 0) <= truth <= (latency.high_ns or math.inf) for latency in kept) / len(kept)
    assert covered >= (0.90 if name in SKEWED else 0.94) - SLACK
    assert len(shown) - len(kept) <= 3


def test_equal_runs_are_rarely_called_different() -> None:
    called = {name: launches.share(launches.compared(name, COUNT, effect=0.0), *launches.CALLED) for name in SINGLE}
    assert sum(called.values()) / len(called) <= 0.05, called


@pytest.mark.parametrize("name", SEVERAL)
def test_several_speeds_are_reported_or_the_interval_holds(name: str) -> None:
    shown = launches.figures(name, COUNT)
    assert shown.right >= 0.85
    # Equal runs that are not seen to have several speeds are called no more often than others.
    assert shown.verdicts[0] <= 0.05 + SLACK


@pytest.mark.parametrize("name", pairs.PAIR_WORLDS)
def test_equal_sides_are_rarely_called_different_in_any_world(name: str) -> None:
    called = sum(verdict in launches.CALLED for verdict in pairs.verdicts(name, COUNT, effect=0.0))
    assert called / COUNT <= 0.05 + SLACK
    equivalent = sum(v is Verdict.EQUIVALENT for v in pairs.verdicts(name, COUNT, effect=pairs.EFFECT))
    assert equivalent / COUNT <= 0.03 + SLACK


@pytest.mark.parametrize(
    "name",
    ["normal, 2 % a pair", "normal, 3 % a pair", "one bad block in ten pairs, × 1.5, 2 %", "warm-up of 8 %, 2 %"],
)
def test_three_percent_are_found_in_a_session(name: str) -> None:
    called = sum(verdict in launches.CALLED for verdict in pairs.verdicts(name, COUNT, effect=pairs.EFFECT))
    assert called / COUNT >= 0.90 - SLACK


def test_a_side_that_throttles_is_never_equivalent() -> None:
    assert set(pairs.verdicts("80 % of B's blocks throttle, 1 %", 40, effect=0.0)) == {Verdict.UNDECIDED}


@pytest.mark.parametrize("name", ["AR 0.9, 1 %", "AR 0.9, 3 %", "independent calls, 2 %, 2 % of spikes"])
def test_flat_launches_are_not_called_unsteady(name: str) -> None:
    assert calls.flagged(calls.FLAT[name], 60) <= 0.02


@pytest.mark.parametrize("name", calls.THROTTLED)
def test_launches_that_throttle_are_called_unsteady(name: str) -> None:
    assert calls.flagged(calls.THROTTLED[name], 60) >= 0.98


@pytest.mark.parametrize("slow", [0.1, 0.2, 0.5])
def test_a_tail_is_too_low_only_where_no_launch_was_slow(slow: float) -> None:
    shown, pooled = calls.tail_is_low(60, slow=slow)
    # Seven launches of which none is slow cannot show that others are.
    assert shown <= pooled <= (1 - slow) ** 7 + 0.1


def test_a_row_of_the_tables() -> None:
    assert row("a", "1.0 ± 0.5") == "| a | 1.0 ± 0.5 |"
