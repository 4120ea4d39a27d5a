"""The nightly screen on series that a reader can check by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.screening import (
    Direction,
    immediate_step,
    is_outlying,
    judge_night,
    scan,
    screen,
    screen_history,
    threshold,
)

# Thirty nights around 100 without a trend, ± 2.
LEVEL = [100.0 + d for d in (0, 1, -1, 2, -2, 1, -1, 0, 2, -2, 0, -1, 1, 2, -2, 0, 1, -1, -2, 2)]


def wave(nights: int, level: float = 100.0) -> list[float]:
    """Nights that alternate around ``level``: negatively correlated, without drift."""
    return [level * (1 + 0.01 * (-1) ** n + 0.002 * (n % 5)) for n in range(nights)]


@pytest.mark.parametrize(("nights", "h"), [(20, 3.23), (25, 3.265), (60, 3.37), (10, 3.18), (500, 3.37)])
def test_thresholds_are_linear_between_the_columns(nights: int, h: float) -> None:
    assert threshold(nights) == pytest.approx(h)


def test_a_moving_window_has_its_own_threshold() -> None:
    assert (threshold(60, sliding=True), threshold(60, sliding=True, arl0=5000)) == (3.51, 3.90)
    with pytest.raises(ValueError, match="the table of thresholds has 500, 1000, 2000, 5000"):
        threshold(20, arl0=7)


def test_the_statistic_by_hand() -> None:
    # Ranks 1…6: at k = 3 the first three hold 1 + 2 + 3, so U = 0 and z = 4.5 / sqrt(9 * 7 / 12).
    found = scan(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert found.split == 3
    assert found.statistic <= 4.5 / math.sqrt(9 * 7 / 12) + 1e-9


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
