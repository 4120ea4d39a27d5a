"""The score of a detector, counted by hand."""

from __future__ import annotations

import pytest

from tests.benchmarks.changes import Alarm, Labelled, Score, score, screened


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ([], Score(changes=2, delays=(), false=0)),
        ([(60, 61), (80, 84)], Score(changes=2, delays=(2, 5), false=0)),
        # Reported twice: the second time is a false alarm.
        ([(58, 61), (62, 70)], Score(changes=2, delays=(2,), false=1)),
        # Too far from either, and before it happened.
        ([(70, 75), (57, 58)], Score(changes=2, delays=(), false=2)),
        # The nearest change that is still open.
        ([(76, 82), (64, 66)], Score(changes=2, delays=(7, 3), false=0)),
    ],
)
def test_an_alarm_near_an_open_change_finds_it_and_any_other_is_false(alarms: list[Alarm], expected: Score) -> None:
    series = Labelled(pattern="p", values=[1.0] * 100, changes=[60, 80])
    found = score([series], [alarms])
    assert (found.changes, found.false, sorted(found.delays)) == (2, expected.false, sorted(expected.delays))


def test_the_screen_finds_a_clean_step_on_its_second_night() -> None:
    series = Labelled(pattern="p", values=[100.0] * 60 + [110.0] * 10, changes=[60])
    assert screened(series) == [(60, 61)]
