"""Intervals compared with printed tables and with values computed by hand."""

from __future__ import annotations

import pytest

from harness.stats.intervals import wilson
from harness.stats.student import t_probability, t_quantile

# Two-sided 95 % and 99 % points, as in any printed table.
TABLE_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 9: 2.262, 14: 2.145, 19: 2.093, 30: 2.042}
TABLE_99 = {1: 63.657, 2: 9.925, 4: 4.604, 10: 3.169, 120: 2.617}


@pytest.mark.parametrize(("degrees", "expected"), TABLE_95.items())
def test_t_quantiles_match_the_95_percent_table(degrees: int, expected: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(expected, abs=0.0006)


@pytest.mark.parametrize(("degrees", "expected"), TABLE_99.items())
def test_t_quantiles_match_the_99_percent_table(degrees: int, expected: float) -> None:
    assert t_quantile(0.995, degrees) == pytest.approx(expected, abs=0.0006)


@pytest.mark.parametrize("degrees", [1, 2, 7, 40])
def test_the_t_distribution_is_symmetric_about_zero(degrees: int) -> None:
    assert t_probability(0.0, degrees) == 0.5
    assert t_quantile(0.1, degrees) == pytest.approx(-t_quantile(0.9, degrees))


@pytest.mark.parametrize(("probability", "degrees"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_no_quantile_outside_the_distribution(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(probability, degrees)


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(76, 100, 0.6677, 0.8331), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilson(correct: int, count: int, low: float, high: float) -> None:
    assert list(wilson(correct, count)) == pytest.approx([low, high], abs=5e-5)


@pytest.mark.parametrize(("count", "half"), [(100, 0.083), (500, 0.037), (1000, 0.026), (5000, 0.012)])
def test_wilson_half_widths_of_the_protocol(count: int, half: float) -> None:
    low, high = wilson(round(0.76 * count), count)
    assert (high - low) / 2 == pytest.approx(half, abs=0.0006)


@pytest.mark.parametrize(("correct", "count"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_impossible_shares(correct: int, count: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson(correct, count)
