"""Two groups of launches: the interval by counting, its p-value, and few or tied launches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from harness.stats.groups import GROUP_LEVEL, group_span

A = [0.00, 0.01, -0.01, 0.005, -0.005]
B = [0.04, 0.055, 0.035, 0.05, 0.042]


def test_the_interval_is_from_order_statistics_of_the_differences() -> None:
    # Of the 252 orders of five and five launches, U is 0 in 1, and 0 or 1 in 2 (0.8 %), 0 to 2 in 4 (1.6 %, more than
    # the 1.5 % of the level): one difference is left out at either end.
    span = group_span(A, B)
    assert span is not None
    differences = sorted(b - a for a in A for b in B)
    assert (span.low, span.estimate, span.high) == pytest.approx((differences[1], differences[12], differences[-2]))


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02, 0.03])
def test_the_p_value_agrees_with_the_interval(shift: float) -> None:
    chance = np.random.default_rng(3)
    for _ in range(50):
        a, b = (list(chance.normal(level, 0.02, size=7)) for level in (0.0, shift))
        span = group_span(a, b)
        assert span is not None
        assert (span.p_value < 2 * (1 - GROUP_LEVEL)) == (span.low > 0 or span.high < 0)


def test_a_large_change_of_five_launches_has_a_small_p_value() -> None:
    # The rank test's own cannot be below 2 / 252, at which no change among a dozen cells is ever called.
    span = group_span(A, [b + 0.5 for b in B])
    assert span is not None
    assert scipy.stats.mannwhitneyu(A, [b + 0.5 for b in B], method="exact").pvalue == pytest.approx(2 / 252)
    assert span.p_value < 1e-6


@pytest.mark.parametrize("count", [2, 3])
def test_few_launches_have_welchs_interval(count: int) -> None:
    span = group_span(A[:count], B[:count])
    welch = scipy.stats.ttest_ind(B[:count], A[:count], equal_var=False)
    assert span is not None
    # Ours rounds the degrees of freedom down, so it is at least as wide.
    low, high = welch.confidence_interval()
    assert span.low <= low + 1e-12
    assert span.high >= high - 1e-12
    assert span.estimate == pytest.approx((low + high) / 2)


def test_one_launch_supports_nothing() -> None:
    assert group_span([0.0], B) is None


def test_the_interval_is_no_narrower_than_a_tick() -> None:
    span = group_span([0.0] * 5, [math.log(1.05)] * 5, clock_step=0.05)
    assert span is not None
    assert span.low <= 0
    assert span.p_value > 0.01


def test_equal_launches_have_a_p_value_of_one() -> None:
    span = group_span([0.0] * 5, [0.0] * 5)
    assert span is not None
    assert (span.estimate, span.low, span.high, span.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="among the values"):
        group_span([0.0, math.inf], B)
