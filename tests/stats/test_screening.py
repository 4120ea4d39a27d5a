"""The nightly screen on series that a reader can check by eye."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from harness.stats.change_points import kendall_quantile, scan, threshold
from harness.stats.rank_sums import tail_quantiles
from harness.stats.screening import (
    ChangeKind,
    Direction,
    immediate_step,
    is_outlying,
    judge_night,
    screen,
    screen_history,
)

# Thirty nights around 100 without a trend, ± 2.
LEVEL = [100.0 + d for d in (0, 1, -1, 2, -2, 1, -1, 0, 2, -2, 0, -1, 1, 2, -2, 0, 1, -1, -2, 2)]


def wave(nights: int, level: float = 100.0) -> list[float]:
    """Nights that alternate around ``level``: negatively correlated, without drift."""
    return [level * (1 + 0.01 * (-1) ** n + 0.002 * (n % 5)) for n in range(nights)]


@pytest.mark.parametrize("arl0", [500, 1000, 2000, 5000])
def test_thresholds_are_linear_between_the_columns(arl0: int) -> None:
    first, second = threshold(20, arl0=arl0), threshold(30, arl0=arl0)
    assert threshold(25, arl0=arl0) == pytest.approx((first + second) / 2)
    assert threshold(10, arl0=arl0) == first
    assert threshold(500, arl0=arl0) == threshold(60, arl0=arl0) < threshold(60, sliding=True, arl0=arl0)


def test_a_longer_run_has_a_higher_threshold() -> None:
    runs = [threshold(40, arl0=arl0) for arl0 in (500, 1000, 2000, 5000)]
    assert runs == sorted(set(runs))
    with pytest.raises(ValueError, match="the table of thresholds has 500, 1000, 2000, 5000"):
        threshold(20, arl0=7)


def test_the_best_split_by_hand() -> None:
    # Of the C(12, 5) = 792 ways to choose five of twelve ranks, one has the lowest sum.
    values = np.array([3.0, 1.0, 5.0, 2.0, 4.0, 11.0, 7.0, 12.0, 8.0, 9.0, 6.0, 10.0])
    found = scan(values)
    assert (found.split, found.trending) == (5, False)
    assert found.statistic == pytest.approx(scipy.stats.norm.isf(1 / 792))


def test_a_trend_by_hand() -> None:
    # All 66 pairs of twelve nights rise: S = 66, and its variance is 12 * 11 * 29 / 18.
    found = scan(np.arange(1.0, 13.0))
    assert found.trending
    assert found.statistic == pytest.approx(65 / math.sqrt(12 * 11 * 29 / 18))


@pytest.mark.parametrize("ties", [False, True])
def test_the_trend_is_scipys(ties: bool) -> None:
    for seed in range(20):
        chance = np.random.default_rng(seed)
        values = chance.integers(0, 6, 40).astype(float) if ties else chance.normal(size=40)
        z = kendall_quantile(values)
        # scipy's normal approximation is without the continuity correction of 1.
        s = np.triu(np.sign(values[None, :] - values[:, None]), 1).sum()
        expected = scipy.stats.kendalltau(np.arange(40), values, method="asymptotic").pvalue
        assert 2 * scipy.stats.norm.sf(z * abs(s) / max(abs(s) - 1, 1)) == pytest.approx(expected, rel=1e-6)


def test_exact_tails_are_scipys() -> None:
    chance = np.random.default_rng(1)
    for _ in range(100):
        count = int(chance.integers(4, 61))
        size = int(chance.integers(1, count))
        sample = chance.normal(size=count)
        exact = scipy.stats.mannwhitneyu(sample[:size], sample[size:], method="exact")
        z = tail_quantiles(np.array([exact.statistic]), np.array([size]), count)[0]
        assert 2 * scipy.stats.norm.sf(z) == pytest.approx(exact.pvalue, rel=1e-9) or (z == 0 and exact.pvalue > 0.9)


def test_a_level_series_has_no_candidate() -> None:
    assert screen(LEVEL) is None
    assert screen_history(wave(120)) == ()


def test_a_step_is_found_where_it_is() -> None:
    nights = [*wave(30), *wave(8, 110.0)]
    (found,) = screen_history(nights)
    assert (found.index, found.direction) == (30, Direction.UP)
    assert found.seen < 38
    assert math.exp(found.shift) == pytest.approx(1.1, abs=0.02)
    assert found.shift_low is None or found.shift_low < found.shift < (found.shift_high or 0)
    assert found.statistic > found.threshold


def test_getting_faster_is_a_candidate_too() -> None:
    (found,) = screen_history([*wave(30), *wave(10, 85.0)])
    assert (found.index, found.direction) == (30, Direction.DOWN)


def test_two_steps_are_two_candidates() -> None:
    found = screen_history([*wave(30), *wave(30, 110.0), *wave(20, 125.0)])
    assert [c.index for c in found] == [30, 60]


def test_a_swap_of_device_is_no_alarm() -> None:
    nights = [*wave(30), *wave(30, 110.0)]
    assert screen_history(nights, splits=[30]) == ()


def test_a_refuted_change_is_not_reported_again() -> None:
    nights = [*wave(30), *wave(10, 110.0)]
    assert screen(nights) is not None
    assert screen(nights, refuted=[28]) is None
    assert screen(nights, refuted=[10]) is not None
    assert screen_history(nights, refuted=[30]) == ()


def test_drifting_nights_are_held_back_by_their_autocorrelation() -> None:
    chance = np.random.default_rng(3)
    walk = 100 + np.cumsum(chance.normal(size=60)) * 0.5
    found = scan(walk)
    assert found.autocorrelation > 1 / math.sqrt(60)


@pytest.mark.parametrize("nights", [[], [100.0] * 3, [100.0] * 19, [100.0] * 80])
def test_short_and_identical_series_have_no_candidate(nights: list[float]) -> None:
    assert screen(nights) is None
    assert screen_history(nights) == ()


@pytest.mark.parametrize("bad", [0.0, -5.0, math.nan, math.inf])
def test_values_that_are_not_positive_and_finite_are_refused(bad: float) -> None:
    for call in (lambda: screen([*LEVEL, bad]), lambda: judge_night(LEVEL, [bad]), lambda: screen_history([bad])):
        with pytest.raises(ValueError, match="leave out nights without a value"):
            call()


@pytest.mark.parametrize(("value", "outlying"), [(100.0, False), (104.0, False), (105.0, True), (95.0, True)])
def test_three_scaled_mads_from_the_median_is_outlying(value: float, outlying: bool) -> None:
    # Seven of the twenty nights are off by 2, eight by 1, five by 0: the MAD is 1, the limit 4.45.
    assert is_outlying(LEVEL, value) is outlying
    assert judge_night(LEVEL, [value]).again is outlying


def test_a_few_nights_say_nothing() -> None:
    assert not is_outlying(LEVEL[:6], 200.0)
    assert immediate_step(LEVEL[:6], [200.0, 200.0, 200.0]) is None


def test_the_second_measurement_is_what_enters() -> None:
    judged = judge_night(LEVEL, [120.0, 101.0])
    assert (judged.value, judged.again, judged.step) == (101.0, False, None)


def test_a_large_step_is_measured_three_times_and_confirmed_at_once() -> None:
    assert judge_night(LEVEL, [120.0, 121.0]).again
    judged = judge_night(LEVEL, [120.0, 121.0, 119.0])
    assert (judged.value, judged.again) == (120.0, False)
    assert judged.step is not None
    assert judged.step.direction is Direction.UP
    assert judged.step.change == pytest.approx(0.2)


@pytest.mark.parametrize("measured", [[120.0, 80.0, 121.0], [120.0, 120.0, 100.0], [108.0, 108.0, 108.0]])
def test_what_does_not_repeat_or_is_small_does_not_open_the_gate(measured: list[float]) -> None:
    assert judge_night(LEVEL, measured).step is None


def test_a_night_needs_a_measurement() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        judge_night(LEVEL, [])


@pytest.mark.parametrize(("last", "index"), [((108.0, 109.0), 20), ((92.0, 91.0), 20), ((108.0, 103.0), None)])
def test_two_nights_further_out_than_any_before_are_a_candidate(last: tuple[float, ...], index: int | None) -> None:
    found = screen([*LEVEL, *last], least=0.03)
    assert (None if found is None else found.index) == index
    assert found is None or found.kind is ChangeKind.RUN


def test_what_the_phone_has_done_before_is_no_candidate() -> None:
    weekends = [value + (8 if night % 7 > 4 else 0) for night, value in enumerate((LEVEL * 2)[:40])]
    assert screen([*weekends, 108.0, 108.5], least=0.03) is None
    assert judge_night([*LEVEL, 125.0, *LEVEL], [120.0, 121.0, 119.0]).step is None


def test_few_nights_take_a_large_step_to_be_a_candidate() -> None:
    assert screen([*LEVEL[:9], 109.0, 109.0], least=0.03) is None
    found = screen([*LEVEL[:9], 125.0, 125.0], least=0.03)
    assert found is not None
    assert found.index == 9
    assert screen([*LEVEL[:6], 150.0, 150.0], least=0.03) is None


def test_a_creep_is_a_trend_and_its_oldest_night_is_good() -> None:
    chance = np.random.default_rng(2)
    nights = (100 * (1 + 0.0015 * np.arange(60)) * np.exp(chance.normal(scale=0.02, size=60))).tolist()
    found = screen(nights, least=0.03)
    assert found is not None
    assert (found.kind, found.first, found.direction) == (ChangeKind.TREND, 0, Direction.UP)


def test_a_change_that_does_not_matter_is_no_candidate() -> None:
    chance = np.random.default_rng(4)
    quiet = np.exp(chance.normal(scale=0.0005, size=60))
    quiet[30:] *= 1.003
    assert screen((100 * quiet).tolist(), least=0.03) is None
    assert screen((100 * quiet).tolist()) is not None
    quiet[30:] *= 1.05
    assert screen((100 * quiet).tolist(), least=0.03) is not None


# Series that a farm meets, or that a broken clock gives: each must be screened without an error.
ODD: tuple[Callable[[np.random.Generator, int], list[float]], ...] = (
    lambda chance, n: np.exp(chance.normal(scale=0.03, size=n)).tolist(),
    lambda _, n: [1.7e308] * n,
    lambda _, n: [5e-324] * n,
    lambda chance, n: (5e-324 * (1 + chance.integers(0, 2, n))).tolist(),
    lambda chance, n: np.exp(chance.uniform(-700, 700, n)).tolist(),
    lambda chance, n: (1 + 1e-15 * chance.integers(0, 3, n)).tolist(),
    lambda chance, n: (1e6 * (1 + chance.integers(0, 2, n))).tolist(),
    lambda _, n: [1.0 + i / n for i in range(n)],
    lambda _, n: [1.0 if i < n // 2 else 1.7e308 for i in range(n)],
    lambda _, n: [1e6 if i < n - 1 else 1e-300 for i in range(n)],
    lambda chance, n: np.exp(np.clip(chance.standard_cauchy(n), -600, 600)).tolist(),
)


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 19, 20, 21, 60, 61, 90])
def test_every_series_of_positive_values_is_screened(make: Callable[..., list[float]], count: int) -> None:
    for seed in range(3):
        values = make(np.random.default_rng(seed), count)
        for measured in (values[-1:], values[-2:], values[-3:]):
            judged = judge_night(values[:-1], measured)
            assert judged.value in measured
            assert judged.step is None or judged.step.limit >= 0
        for least in (0.0, 0.03):
            found = screen(values, least=least)
            assert found is None or (0 <= found.first < found.index < count and math.isfinite(found.shift))


@pytest.mark.parametrize("values", [[1.0] * 70, [5e-324] * 70, [1e300] * 70, [1.0, 2.0] * 35, [3.0, 3.0, 4.0] * 25])
def test_a_clock_with_few_values_has_no_change(values: list[float]) -> None:
    assert screen_history(values, least=0.03) == ()
