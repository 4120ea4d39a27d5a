"""Percentiles: the definition, and the minimum counts of LoadGen's early stopping."""

from __future__ import annotations

import math

import pytest

from harness.stats.percentiles import (
    early_stopping_estimate,
    median,
    minimum_samples,
    percentile,
    percentile_if_enough,
    percentiles,
)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 10.0), (50, 30.0), (90, 46.0), (100, 50.0), (25, 20.0), (12.5, 15.0)]
)
def test_percentile_interpolates_between_order_statistics(percent: float, expected: float) -> None:
    assert percentile([50, 10, 40, 20, 30], percent) == pytest.approx(expected)


def test_several_percentiles_are_those_of_each() -> None:
    assert percentiles([50, 10, 40, 20, 30], (90, 12.5, 0)) == pytest.approx((46.0, 15.0, 10.0))


def test_median_of_an_even_count_is_the_mean_of_the_middle_two() -> None:
    assert median([1, 100, 3, 5]) == 4.0


@pytest.mark.parametrize(("percent", "expected"), [(90, 64), (95, 130), (99, 662)])
def test_minimum_counts_are_those_of_early_stopping(percent: float, expected: int) -> None:
    assert minimum_samples(percent) == expected


@pytest.mark.parametrize("percent", [50, 75, 90, 95, 99, 99.9])
def test_minimum_count_is_where_the_binomial_tail_reaches_one_percent(percent: float) -> None:
    def tail(n: int) -> float:
        return sum(math.comb(n, k) * (1 - percent / 100) ** k * (percent / 100) ** (n - k) for k in (0, 1))

    least = minimum_samples(percent)
    assert tail(least) <= 0.01 < tail(least - 1)


@pytest.mark.parametrize(("percent", "least"), [(90, 64), (95, 130), (99, 662)])
def test_a_percentile_from_too_few_samples_is_none(percent: float, least: int) -> None:
    assert percentile_if_enough(range(least - 1), percent) is None
    assert percentile_if_enough(range(least), percent) == pytest.approx((least - 1) * percent / 100)


@pytest.mark.parametrize("percent", [0, 100, -1, 250])
def test_no_minimum_count_outside_0_to_100(percent: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        minimum_samples(percent)


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
    with pytest.raises(ValueError, match="no samples"):
        percentiles([], (5, 95))
    with pytest.raises(ValueError, match="no samples"):
        median([])


@pytest.mark.parametrize(("count", "percentile_shown"), [(64, 100), (128, 96.9), (1024, 92.3), (24_576, 90.45)])
def test_loadgens_estimate_is_higher_on_small_runs(count: int, percentile_shown: float) -> None:
    found = early_stopping_estimate(list(range(1, count + 1)), 90)
    assert found is not None
    assert 100 * found / count == pytest.approx(percentile_shown, abs=0.1)


def test_loadgens_estimate_is_none_for_too_few() -> None:
    assert early_stopping_estimate(list(range(63)), 90) is None
