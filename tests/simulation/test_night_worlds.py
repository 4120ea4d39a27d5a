"""The drawn worlds are what their rows say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.simulation.night_worlds import (
    CHANGE_WORLDS,
    LEVEL_NS,
    NULL_WORLDS,
    Drawn,
    NightWorld,
    draw,
)
from tests.simulation.world import CHANGE_NIGHT, Floats

NIGHTS, SERIES = 100, 300


def logs(drawn: Drawn) -> Floats:
    """One measurement of every night, as ln of its ratio to the level, in an array of (series, nights)."""
    return np.log(np.array([drawn.measure(night) for night in range(NIGHTS)]).T / LEVEL_NS)


@pytest.mark.parametrize("name", [*NULL_WORLDS, *CHANGE_WORLDS])
def test_the_same_seed_is_the_same_world(name: str) -> None:
    world = (NULL_WORLDS | CHANGE_WORLDS)[name]
    assert world.null is (name in NULL_WORLDS)
    first, second = (draw(world, 4, series=20, nights=NIGHTS) for _ in range(2))
    assert np.array_equal(first.measure(70), second.measure(70))
    assert not np.array_equal(first.measure(70), draw(world, 5, series=20, nights=NIGHTS).measure(70))


def test_a_second_measurement_shares_the_night_and_not_its_own_noise() -> None:
    bad = draw(NightWorld(own=0.001, bad_nights=0.5), 1, series=SERIES, nights=NIGHTS)
    first, second = bad.measure(10) > 1.05 * LEVEL_NS, bad.measure(10) > 1.05 * LEVEL_NS
    assert np.array_equal(first, second)
    assert 0.4 < first.mean() < 0.6
    own = draw(NightWorld(own=0.001, bad=0.5), 1, series=SERIES, nights=NIGHTS)
    assert not np.array_equal(own.measure(10) > 1.05 * LEVEL_NS, own.measure(10) > 1.05 * LEVEL_NS)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_nights_are_correlated_as_asked(correlation: float) -> None:
    values = logs(draw(NightWorld(own=0.0, shared=0.03, correlation=correlation), 1, series=SERIES, nights=NIGHTS))
    assert np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1] == pytest.approx(correlation, abs=0.03)
    assert values.std() == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5])
def test_heavy_tails_have_the_quartiles_of_a_normal(degrees: int) -> None:
    values = logs(draw(NightWorld(own=0.03, tails=degrees), 1, series=SERIES, nights=NIGHTS))
    assert np.quantile(values, 0.75) == pytest.approx(0.03 * 0.6745, rel=0.05)
    assert np.abs(values).max() > 0.2


def test_a_step_that_recovers_is_the_files() -> None:
    drawn = draw(CHANGE_WORLDS["step-10-recovers"], 1, series=2, nights=NIGHTS)
    assert drawn.costs[0, CHANGE_NIGHT - 1 : CHANGE_NIGHT + 1].tolist() == [1.0, 1.1]
    assert drawn.costs[0, -1] == 1.0
    assert drawn.files[0, 5] != drawn.files[0, 6]


def test_a_file_that_changes_once_and_a_system_that_is_swapped() -> None:
    once = draw(CHANGE_WORLDS["step-10-once"], 1, series=2, nights=NIGHTS)
    assert (once.files[0, :CHANGE_NIGHT].max(), once.files[0, CHANGE_NIGHT:].min()) == (0, 1)
    swap = draw(NULL_WORLDS["swap"], 1, series=2, nights=NIGHTS)
    assert np.all(swap.costs == 1)
    assert swap.systems[CHANGE_NIGHT] != swap.systems[CHANGE_NIGHT - 1]
    assert swap.levels_ns[0, -1] == pytest.approx(1.1 * swap.levels_ns[0, 0])


def test_a_coarse_clock_counts_in_its_steps() -> None:
    ticks = draw(replace(NightWorld(), tick=0.25), 1, series=SERIES, nights=2).measure(0) / (0.25 * LEVEL_NS)
    assert np.array_equal(ticks, np.round(ticks))
