"""Sessions of pairs in worlds with a known truth, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.clock import clock_step
from harness.stats.pairs import hodges_lehmann_interval
from harness.stats.sessions import LEAST_PAIRS, LOOK_LEVEL, is_lopsided, paired_span
from harness.stats.verdicts import Verdict
from tests.simulation.claims import Pair, session

CALLED = (Verdict.REGRESSED, Verdict.IMPROVED)


def normal(effect: float, noise: float) -> Pair:
    """Pairs with normal noise."""
    return lambda chance, _: math.log1p(effect) + float(chance.normal(0, noise))


def one_bad_block(effect: float) -> Pair:
    """Pairs with 2 % of noise, in which one block of ten takes half as long again."""
    return lambda chance, number: normal(effect, 0.02)(chance, number) + (math.log(1.5) if number % 10 == 4 else 0.0)


def share(pair: Pair, verdicts: tuple[Verdict, ...], sessions: int = 400) -> float:
    """The share of sessions that end with one of ``verdicts``."""
    return sum(session(np.random.default_rng(seed), pair) in verdicts for seed in range(sessions)) / sessions


@pytest.mark.parametrize("noise", [0.02, 0.03, 0.06, 0.12])
def test_equal_sides_are_rarely_called_different(noise: float) -> None:
    # 5 %, and the half-width of a binomial interval over 400 sessions.
    assert share(normal(0.0, noise), CALLED) <= 0.05 + 0.021


@pytest.mark.parametrize("noise", [0.02, 0.03])
def test_three_percent_are_found(noise: float) -> None:
    assert share(normal(0.03, noise), CALLED) >= 0.9
    assert share(normal(0.03, noise), (Verdict.EQUIVALENT,)) <= 0.03 + 0.017


def test_one_bad_block_in_ten_does_not_hide_the_answer() -> None:
    assert share(one_bad_block(0.03), CALLED) >= 0.9
    assert share(one_bad_block(0.0), (Verdict.EQUIVALENT,)) >= 0.75


def test_the_interval_is_from_order_statistics_at_the_level_of_two_looks() -> None:
    ratios = [0.01 * value for value in (1, -2, 3, 4, -1, 2, 5, 0, 1.5, 2.5)]
    paired = paired_span(ratios)
    assert paired is not None
    # P(W <= 6) = 14 / 1024 = 1.37 %, P(W <= 7) = 1.86 %: the seventh average from either end.
    averages = sorted((x + y) / 2 for i, x in enumerate(ratios) for y in ratios[i:])
    assert (paired.low, paired.high) == pytest.approx((averages[6], averages[-7]))
    assert (paired.low, paired.high) == hodges_lehmann_interval(ratios, level=LOOK_LEVEL)
    assert (paired.p_value < 2 * (1 - LOOK_LEVEL)) == (paired.low > 0)


def test_fewer_than_seven_pairs_support_nothing() -> None:
    assert paired_span([0.05] * (LEAST_PAIRS - 1)) is None


def test_pairs_that_differ_by_one_tick_are_not_a_difference() -> None:
    # A clock of 1 ms on a call of 20 ms: every pair reads 20 and 21, which may be 20.4 and 20.6.
    step = clock_step([20e6, 21e6] * 10)
    paired = paired_span([math.log(21 / 20)] * 10, clock_step=step)
    assert step == pytest.approx(1 / 20)
    assert paired is not None
    assert paired.low == pytest.approx(0.0, abs=1e-9)
    assert paired.p_value > 0.01


def test_a_fine_clock_has_no_step() -> None:
    assert clock_step([20e6 + 137 * i for i in range(20)]) == 0.0


@pytest.mark.parametrize(
    ("a", "b", "lopsided"), [(0, 5, False), (0, 6, True), (12, 0, True), (6, 8, False), (0, 0, False)]
)
def test_a_side_that_is_disturbed_much_more_often_is_noticed(a: int, b: int, lopsided: bool) -> None:
    assert is_lopsided(a, b) is lopsided


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        paired_span([0.0] * 9 + [math.inf])
