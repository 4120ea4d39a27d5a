"""Sustained launches, minute by minute; means by resampling."""

from __future__ import annotations

import pytest

from harness.stats.bootstrap import mean_interval
from harness.stats.overtime import MINUTE_NS, by_minute, last_over_first


def test_minutes_are_cut_by_when_a_call_began() -> None:
    moments = (0, 10, MINUTE_NS - 1, MINUTE_NS, 3 * MINUTE_NS)
    assert by_minute([(moments, (1, 2, 3, 10, 20))]) == {1: [1, 2, 3], 2: [10], 4: [20]}
    assert by_minute([]) == {}


def test_the_ratio_is_of_the_last_minute_to_the_first() -> None:
    assert last_over_first([2.0, 10.0, 20.0]) == 10.0


def test_one_minute_has_no_ratio() -> None:
    assert last_over_first([5.0]) is None


def test_the_mean_has_an_interval_that_is_the_same_every_time() -> None:
    low, high = mean_interval([0.0, 1.0] * 50)
    assert mean_interval([0.0, 1.0] * 50) == (low, high)
    # The standard error is 0.05.
    assert [low, high] == pytest.approx([0.4, 0.6], abs=0.02)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_scores_no_interval(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean_interval(values)
