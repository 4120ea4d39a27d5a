"""The short form of the worlds of energy: few sessions, with fixed seeds."""

from __future__ import annotations

import pytest

from harness.stats.verdicts import Verdict
from tests.simulation.energy import EFFECT, USUAL, called, coverage, sessions

COUNT = 40
# The binomial half-width of 95 % of 40 sessions.
SLACK = 0.07


@pytest.mark.parametrize("name", USUAL)
def test_the_interval_contains_the_energy_of_a_call(name: str) -> None:
    assert coverage(name, COUNT) >= 0.93 - SLACK


@pytest.mark.parametrize("name", ["power rails", "charge counter of 1 mAh, read four times a second"])
def test_ten_minutes_find_a_difference_of_ten_per_cent(name: str) -> None:
    verdicts = called(name, COUNT, effect=EFFECT)
    assert verdicts.count(Verdict.REGRESSED) >= 0.9 * COUNT - 2
    equal = called(name, COUNT, effect=0.0)
    assert sum(verdict in (Verdict.REGRESSED, Verdict.IMPROVED) for verdict in equal) <= 4


def test_a_counter_that_is_too_coarse_has_no_energy() -> None:
    for name in ("charge counter renewed every 30 s", "iPhone: 1 mAh, renewed every 60 s, blocks of 40 s"):
        assert not [one for one in sessions(name, 10) if one.energy is not None]
