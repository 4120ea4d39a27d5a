"""Effects of pairs and groups on series that a reader can check by eye, and compared with printed tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.pairs import (
    group_effect,
    hodges_lehmann,
    hodges_lehmann_interval,
    mann_whitney_p,
    mean_ranks,
    paired_effect,
    pairs_for_half_width,
    shift,
    shift_interval,
    signed_rank_p,
)


@pytest.mark.parametrize(
    ("spread", "half_width", "pairs"), [(0.01, 0.02, 4), (0.02, 0.02, 7), (0.05, 0.02, 27), (0.0, 0.01, 2)]
)
def test_pairs_needed_for_a_half_width(spread: float, half_width: float, pairs: int) -> None:
    assert pairs_for_half_width(spread, half_width) == pairs


def test_walsh_averages_by_eye() -> None:
    # 1, 2, 9 have the averages 1, 1.5, 2, 5, 5.5, 9; their middle is 3.5.
    assert hodges_lehmann([1, 2, 9]) == 3.5


def test_an_outlying_pair_hardly_moves_the_rank_estimate() -> None:
    assert hodges_lehmann([0.03] * 9 + [5.0]) == pytest.approx(0.03)


def test_the_interval_of_ten_pairs_is_from_the_ninth_walsh_average() -> None:
    # Table A.4 of Hollander and Wolfe: P(W <= 8) = 0.0244 for ten pairs.
    values = [float(v) for v in range(1, 11)]
    averages = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    assert hodges_lehmann_interval(values) == (averages[8], averages[-9])


def test_five_pairs_cannot_reach_95_percent() -> None:
    assert hodges_lehmann_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == (None, None)
    assert hodges_lehmann_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (1.0, 6.0)


@pytest.mark.parametrize(
    ("values", "p"),
    [([1, 2, 3, 4, 5], 2 / 32), ([1, 2, 3, 4, 5, 6], 2 / 64), ([-1, 2, 3, 4], 4 / 16), ([0, 0], 1.0), ([], 1.0)],
)
def test_signed_ranks_by_counting_signs(values: list[float], p: float) -> None:
    assert signed_rank_p(values) == pytest.approx(p)


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [([1, 2, 3], [4, 5, 6], 2 / 20), ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2 / 252), ([1, 4], [2, 3], 1.0)],
)
def test_mann_whitney_by_counting_orders(a: list[float], b: list[float], p: float) -> None:
    assert mann_whitney_p(a, b) == pytest.approx(p)
    assert mann_whitney_p(b, a) == pytest.approx(p)


def test_mann_whitney_beyond_the_exact_table_is_close_to_it() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.normal(size=50), chance.normal(0.4, size=50)
    exact = mann_whitney_p(a.tolist(), b.tolist())
    assert mann_whitney_p([*a, 0.2], [*b, 0.21]) == pytest.approx(exact, rel=0.1)


def test_ties_share_their_rank() -> None:
    assert mean_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_a_pair_effect_is_the_t_interval_on_the_ratio() -> None:
    found = paired_effect([0.02, 0.03, 0.04])
    assert found is not None
    # s = 0.01, t(0.975, 2) = 4.3027.
    assert found.count == 3
    assert [found.estimate, found.spread] == pytest.approx([0.03, 0.01])
    assert found.high - found.estimate == pytest.approx(4.3027 * 0.01 / math.sqrt(3), rel=1e-4)
    assert found.p_value == pytest.approx(0.0351, abs=1e-4)


def test_a_group_effect_is_welch() -> None:
    found = group_effect([0.0, 0.02, 0.04], [0.10, 0.12, 0.14])
    assert found is not None
    assert [found.estimate, found.hodges_lehmann] == pytest.approx([0.10, 0.10])
    # The two variances are equal, so there are 4 degrees of freedom, t = 2.7764.
    assert found.high - 0.10 == pytest.approx(2.7764 * math.sqrt(2 * 0.0004 / 3), rel=1e-4)


def test_shift_and_its_interval() -> None:
    assert shift([1.0, 2.0], [4.0, 6.0]) == 3.5
    assert shift_interval([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) == (None, None)
    assert shift_interval([1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0]) == (7.0, 13.0)


@pytest.mark.parametrize("values", [[], [0.1]])
def test_one_pair_has_no_interval(values: list[float]) -> None:
    assert paired_effect(values) is None
    assert group_effect(values, [0.1, 0.2]) is None


def test_equal_pairs_are_certain() -> None:
    found = paired_effect([0.0, 0.0, 0.0])
    assert found is not None
    assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        paired_effect([0.1, bad])
