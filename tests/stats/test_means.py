"""The interval of a mean over inputs, against scipy and against its own promise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.stats.means import LEAST_FOR_MEAN, mean_interval

SCORES = [0.91, 0.42, 0.77, 0.58, 0.99, 0.13, 0.85, 0.66, 0.71, 0.30, 0.52] * 2


def test_the_interval_is_scipys() -> None:
    expected = scipy.stats.t.interval(0.95, len(SCORES) - 1, np.mean(SCORES), scipy.stats.sem(SCORES))
    assert mean_interval(SCORES) == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, LEAST_FOR_MEAN - 1])
def test_a_few_inputs_have_no_interval(count: int) -> None:
    assert mean_interval(SCORES[:count]) is None


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_an_interval_of_nothing_or_of_nan_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean_interval(values)


@pytest.mark.parametrize("count", [LEAST_FOR_MEAN, 50])
def test_the_interval_covers_the_mean_of_scores_between_0_and_1(count: int) -> None:
    chance, hits = np.random.default_rng(count), 0
    for _ in range(1000):
        interval = mean_interval(chance.beta(4, 2, count).tolist())
        assert interval is not None
        hits += interval[0] <= 4 / 6 <= interval[1]
    assert hits >= 930


@pytest.mark.parametrize(("count", "least"), [(LEAST_FOR_MEAN, 0.90), (10, 0.0)])
def test_scores_piled_up_at_one_need_more_than_ten_inputs(count: int, least: float) -> None:
    """Overlaps of a good segmentation: many are nearly 1, a few are low. Over ten inputs Student covers about 91 %."""
    draws = np.random.default_rng(7).beta(2, 0.5, (20_000, count))
    half = scipy.stats.t.ppf(0.975, count - 1) * draws.std(axis=1, ddof=1) / np.sqrt(count)
    covered = np.mean(np.abs(draws.mean(axis=1) - 0.8) <= half)
    assert covered >= least
    assert covered < 0.92 or count >= LEAST_FOR_MEAN
