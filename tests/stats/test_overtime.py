"""Sustained launches, minute by minute; means by resampling."""

from __future__ import annotations

import pytest

from harness.stats.bootstrap import mean_interval
from harness.stats.overtime import MINUTE_NS, by_minute, last_over_first


def test_minutes_are_cut_by_when_a_call_began() -> None:
    found = by_minute([((0, 10, MINUTE_NS - 1, MINUTE_NS, 3 * MINUTE_NS), (1, 2, 3, 10, 20))])
    assert [(m.minute, m.median_ns, m.calls) for m in found] == [(1, 2.0, 3), (2, 10.0, 1), (4, 20.0, 1)]
    assert last_over_first(found) == 10.0


def test_one_minute_has_no_ratio() -> None:
    assert last_over_first(by_minute([((0,), (5,))])) is None
    assert by_minute([]) == ()


def test_the_mean_has_an_interval_that_is_the_same_every_time() -> None:
    low, high = mean_interval([0.0, 1.0] * 50)
    assert mean_interval([0.0, 1.0] * 50) == (low, high)
    # The standard error is 0.05.
    assert [low, high] == pytest.approx([0.4, 0.6], abs=0.02)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_scores_no_interval(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean_interval(values)
