"""The steady part of short made-up launches whose shape is plain to see."""

from __future__ import annotations

import random

import numpy as np
import pytest

from harness.stats.steady import SteadyState, find_steady, wander
from tests.simulation.world import ar1


def calls(*levels: tuple[int, int]) -> list[int]:
    """Return (count, level) stretches of calls with ± 1 % of noise that is the same every time."""
    rng = random.Random(7)
    return [round(level * rng.uniform(0.99, 1.01)) for count, level in levels for _ in range(count)]


def test_a_level_run_is_flat() -> None:
    assert find_steady(calls((300, 1000))).state is SteadyState.FLAT


def test_warm_up_is_cut_where_it_ends() -> None:
    steady = find_steady(calls((50, 1300), (250, 1000)))
    assert (steady.start, steady.state, steady.changes) == (50, SteadyState.WARMUP, (50,))


def test_calls_that_get_slower_are_a_slowdown() -> None:
    steady = find_steady(calls((100, 1000), (200, 1200)))
    assert (steady.start, steady.state) == (100, SteadyState.SLOWDOWN)


def test_slower_after_a_warm_up_is_still_a_slowdown() -> None:
    assert find_steady(calls((40, 1400), (60, 1000), (200, 1200))).state is SteadyState.SLOWDOWN


@pytest.mark.parametrize(("before", "after"), [(1000, 1200), (1300, 1000)])
def test_steady_only_in_the_last_half_is_no_steady_state(before: int, after: int) -> None:
    steady = find_steady(calls((200, before), (100, after)))
    assert (steady.start, steady.state) == (200, SteadyState.NO_STEADY_STATE)


def test_a_change_within_two_percent_is_the_same_level() -> None:
    steady = find_steady(calls((150, 1000), (150, 1015)))
    assert steady.changes
    assert (steady.start, steady.state) == (0, SteadyState.FLAT)


@pytest.mark.parametrize("every", [30, 50])
def test_single_slow_calls_change_nothing(every: int) -> None:
    spiked = [5 * c if i % every == 0 else c for i, c in enumerate(calls((300, 1000)))]
    assert find_steady(spiked).state is SteadyState.FLAT


@pytest.mark.parametrize("samples", [[], [5], [1000] * 39, [2000] * 19 + [1000] * 20])
def test_too_few_calls_to_split_count_as_flat(samples: list[int]) -> None:
    assert find_steady(samples).start == 0


def test_long_launches_are_looked_at_in_at_most_200_batches() -> None:
    steady = find_steady(calls((5000, 1500), (45000, 1000)))
    assert (steady.start, steady.state) == (5000, SteadyState.WARMUP)


@pytest.mark.parametrize("samples", [[1000] * 300, [1000, 1001] * 150])
def test_a_coarse_clock_is_no_change(samples: list[int]) -> None:
    steady = find_steady(samples)
    assert (steady.state, steady.changes) == (SteadyState.FLAT, ())


def wandering(seed: int, *, deviation: float, calls: int = 600) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Calls around 10 ms that resemble their neighbours: an AR(1) with ρ = 0.9, which is flat by construction."""
    chance = np.random.default_rng(seed)
    return np.asarray(10e6 * np.exp(ar1(chance, calls, scale=deviation, correlation=0.9)))


UNSTEADY = (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)


@pytest.mark.parametrize("deviation", [0.01, 0.02, 0.03])
def test_calls_that_only_resemble_their_neighbours_are_steady(deviation: float) -> None:
    states = [find_steady(wandering(seed, deviation=deviation).astype(int).tolist()).state for seed in range(100)]
    assert sum(state in UNSTEADY for state in states) <= 2


@pytest.mark.parametrize("deviation", [0.01, 0.02, 0.03])
def test_throttling_shows_through_calls_that_resemble_their_neighbours(deviation: float) -> None:
    flagged = 0
    for seed in range(100):
        samples = wandering(seed, deviation=deviation)
        samples[450:] *= 1.2
        flagged += find_steady(samples.astype(int).tolist()).state in UNSTEADY
    assert flagged >= 99


def test_a_short_launch_does_not_underestimate_how_far_it_wanders() -> None:
    # Thirty batches with deviation 1 and ρ = 0.7. Without the correction of ρ for short series the median is 1.06.
    series = (10 + ar1(np.random.default_rng(seed), 30, scale=1.0, correlation=0.7) for seed in range(400))
    assert np.median([wander(values) for values in series]) > 1.13
