"""The levels of the calls of a launch, on series whose steps are known because they were put there."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.levels import levels


def calls(*parts: tuple[int, float], spread: float = 0.01, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(level, level * spread, count) for count, level in parts]).astype(np.int64)


def test_a_step_is_found_within_a_stretch_of_where_it_is() -> None:
    (first, fast), (second, slow) = levels(calls((600, 1e6), (600, 1.3e6)))
    assert first == 0
    assert abs(second - 600) <= 20
    assert [fast, slow] == pytest.approx([1e6, 1.3e6], rel=0.01)


def test_steps_down_and_up_again_are_three_levels() -> None:
    found = levels(calls((400, 1e6), (400, 1.5e6), (400, 1.1e6)))
    assert [round(level / 1e5) for _, level in found] == [10, 15, 11]


@pytest.mark.parametrize("seed", range(20))
def test_steady_calls_with_outliers_have_one_level(seed: int) -> None:
    times = calls((1000, 1e6), seed=seed)
    times[np.random.default_rng(seed).integers(0, 1000, 20)] *= 4
    assert len(levels(times)) == 1


def test_a_step_of_two_per_cent_is_no_level_of_its_own() -> None:
    assert len(levels(calls((600, 1e6), (600, 1.02e6), spread=0.001))) == 1


def test_few_calls_have_their_median() -> None:
    assert levels(np.array([5, 7, 9])) == ((0, 7.0),)
    assert levels(np.zeros(0, np.int64)) == ()
