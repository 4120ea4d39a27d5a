"""Launches at several speeds, and launches that only vary."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.speeds import Speed, at_main_speed, main_speed, speeds_of

FAST = [1000.0, 1004.0, 996.0, 1002.0, 998.0]
SLOW = [1300.0, 1306.0]


def test_two_speeds_have_a_level_and_a_number_of_launches_each() -> None:
    speeds = speeds_of([FAST[0], SLOW[0], *FAST[1:], SLOW[1]])
    assert [(round(speed.level_ns), speed.launches) for speed in speeds] == [(1000, 5), (1303, 2)]


def test_three_speeds_are_told_apart() -> None:
    speeds = speeds_of([*FAST, *SLOW, 1700.0, 1690.0, 1305.0, 1695.0])
    assert [speed.launches for speed in speeds] == [5, 3, 3]


@pytest.mark.parametrize(
    "launches",
    [
        [],
        FAST,
        # One slow launch is an outlier; two that differ from each other as much as from the rest are a tail.
        [*FAST, 1300.0],
        [*FAST, 1100.0, 1300.0],
        # Too few, not apart enough to matter, without a logarithm.
        [1000.0, 1001.0, 2000.0, 2001.0],
        [1000.0, 1000.1, 1000.2, 1020.0, 1020.1],
        [0.0, 0.0, 1000.0, 1001.0, 1002.0],
        # One tick of a coarse clock.
        [20.0, 20.0, 21.0, 21.0, 20.0],
    ],
)
def test_one_speed(launches: list[float]) -> None:
    assert speeds_of(launches) == ()


def test_the_main_speed_is_that_of_most_launches_and_the_slower_one_of_equals() -> None:
    fast, slow = Speed(level_ns=1.0, launches=4), Speed(level_ns=2.0, launches=4)
    assert main_speed((fast, slow)) is slow
    assert main_speed((Speed(level_ns=1.0, launches=5), slow)).level_ns == 1.0


def test_launches_at_the_main_speed_keep_their_positions() -> None:
    launches = [SLOW[0], *FAST, SLOW[1]]
    assert at_main_speed(launches, speeds_of(launches)) == [1, 2, 3, 4, 5]
    assert at_main_speed(FAST, ()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("launches", [5, 7, 10, 20])
@pytest.mark.parametrize("name", ["normal", "uniform", "exponential", "lognormal", "pareto", "standard_t"])
def test_launches_that_only_vary_are_rarely_split(name: str, launches: int) -> None:
    chance = np.random.default_rng(launches)
    shape = {"pareto": (2.0,), "standard_t": (3.0,)}.get(name, ())
    drawn = getattr(chance, name)(*shape, size=(300, launches))
    split = sum(bool(speeds_of(list(np.exp(0.05 * row)))) for row in drawn)
    assert split <= 0.02 * 300 + 5
