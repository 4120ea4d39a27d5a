"""Sustained launches, minute by minute."""

from __future__ import annotations

from harness.stats.overtime import MINUTE_NS, by_minute, last_over_first


def test_minutes_are_cut_by_when_a_call_began() -> None:
    moments = (0, 10, MINUTE_NS - 1, MINUTE_NS, 3 * MINUTE_NS)
    assert by_minute([(moments, (1, 2, 3, 10, 20))]) == {1: [1, 2, 3], 2: [10], 4: [20]}
    assert by_minute([]) == {}


def test_the_ratio_is_of_the_last_minute_to_the_first() -> None:
    assert last_over_first([2.0, 10.0, 20.0]) == 10.0


def test_one_minute_has_no_ratio() -> None:
    assert last_over_first([5.0]) is None
