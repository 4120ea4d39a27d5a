"""Segments, changes and swaps of short series that a reader can check by eye."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history.figures import make_series
from harness.history.records import TAINTED, Decided, Decision, HistoryEntry, Night, NightStatus
from harness.history.story import Segment, SwapKind, comparable, open_segment, tell
from harness.records.metric import Metric
from harness.records.metrics import ACCURACY, SCORE
from harness.workflows.nightly.screening import as_night
from tests.history.nights import CELL, PHONE, SERIES, entry, failed_entry, run_facts

# Twelve values around 1 ms that repeat: a level series without a change.
LEVEL = [1.00, 1.02, 0.99, 1.01, 0.98, 1.00, 1.03, 0.97, 1.01, 0.99, 1.02, 0.98]


def night(index: int, given: HistoryEntry) -> Night:
    """A night as the history would return it."""
    return replace(as_night(given, run_facts(index)), commit=f"c{index}", status=given.status)


def level(count: int, start: int = 0, factor: float = 1.0) -> list[Night]:
    """``count`` nights, starting with the ``start``-th."""
    return [night(i, entry(1e6 * factor * LEVEL[i % 12])) for i in range(start, start + count)]


def decided(decision: Decision, first: int, seen: int) -> Decided:
    """The outcome of confirming a change at ``first``."""
    return Decided(
        series=SERIES.name,
        first_run=run_facts(first).name,
        seen_run=run_facts(seen).name,
        decision=decision,
        ratio=1.2,
        low=1.15,
        high=1.25,
    )


def test_a_level_series_is_one_segment() -> None:
    story = tell(SERIES, level(40))
    assert story.segments == (Segment(first=0, last=39, median=1e6),)
    assert story.changes == ()
    assert story.swaps == ()


def test_a_step_is_found_with_its_commits() -> None:
    story = tell(SERIES, level(30) + level(20, start=30, factor=1.2))
    (change,) = story.changes
    assert (change.index, change.worse, change.decision) == (30, True, None)
    assert (change.last_good, change.first_bad) == ("c29", "c30")
    assert change.ratio == pytest.approx(1.2, rel=0.02)
    assert change.seen > 30
    assert [(s.first, s.last) for s in story.segments] == [(0, 29), (30, 49)]


def test_a_refuted_change_over_several_nights_is_a_level_of_the_phone() -> None:
    nights = level(30) + level(20, start=30, factor=1.2)
    story = tell(SERIES, nights, [decided(Decision.REFUTED, 30, 35)])
    assert [(c.index, c.decision) for c in story.changes] == [(30, Decision.REFUTED)]
    assert [(s.first, s.last) for s in story.segments] == [(0, 29), (30, 49)]
    assert open_segment(SERIES, nights, [decided(Decision.REFUTED, 30, 35)]) == 30


def test_a_refuted_step_of_one_night_splits_nothing() -> None:
    nights = level(30) + level(1, start=30, factor=1.3) + level(19, start=31)
    story = tell(SERIES, nights, [decided(Decision.REFUTED, 30, 30)])
    assert [(c.index, c.decision) for c in story.changes] == [(30, Decision.REFUTED)]
    assert len(story.segments) == 1


def test_a_confirmed_change_always_splits() -> None:
    nights = level(40)
    story = tell(SERIES, nights, [decided(Decision.CONFIRMED, 38, 38)])
    assert [(s.first, s.last) for s in story.segments] == [(0, 37), (38, 39)]
    assert open_segment(SERIES, nights, [decided(Decision.CONFIRMED, 38, 38)]) == 38


@pytest.mark.parametrize(
    ("kind", "changed", "after"),
    [
        (SwapKind.SYSTEM, {"os_build": "16.0"}, "16.0"),
        (SwapKind.RUNTIME, {"runtime_version": "1.32"}, "onnxruntime 1.32"),
        (SwapKind.RUNTIME, {"delegate_used": "xnnpack"}, "onnxruntime xnnpack"),
        (SwapKind.DEVICE, {"serial_hash": "ef" * 8}, f"scripted phone {'ef' * 8}"),
        (SwapKind.RUNNER, {"runner": "android-app"}, "android-app"),
    ],
)
def test_a_swap_splits_without_an_alarm(kind: SwapKind, changed: dict[str, str], after: str) -> None:
    other = replace(PHONE, **changed)
    nights = level(30) + [night(i, entry(1.2e6 * LEVEL[i % 12], environment=other)) for i in range(30, 50)]
    story = tell(SERIES, nights)
    assert [(s.index, s.kind, s.after) for s in story.swaps] == [(30, kind, after)]
    assert story.changes == ()
    assert [(s.first, s.last) for s in story.segments] == [(0, 29), (30, 49)]


@pytest.mark.parametrize("metric", [ACCURACY, SCORE])
def test_other_test_data_matters_only_to_what_is_computed_from_it(metric: Metric) -> None:
    nights = level(2) + [night(2, entry(1e6, environment=replace(PHONE, data_sha256="00")))]
    assert [s.kind for s in tell(make_series(CELL, metric), nights).swaps] == [SwapKind.DATA]
    assert tell(SERIES, nights).swaps == ()


FINGERPRINTS = [f"Android 15 (maker/phone/phone:15/AP3A.{n}/{n}:user/release-keys)" for n in (1, 2)]


def on(index: int, build: str, value: float = 1e6) -> Night:
    """A night on that system."""
    return night(index, entry(value, environment=replace(PHONE, os_build=build)))


def test_an_update_over_the_air_is_another_system() -> None:
    story = tell(SERIES, [on(0, FINGERPRINTS[0]), on(1, FINGERPRINTS[0]), on(2, FINGERPRINTS[1])])
    assert [(s.index, s.kind, s.before, s.after) for s in story.swaps] == [(2, SwapKind.SYSTEM, "AP3A.1 1", "AP3A.2 2")]


@pytest.mark.parametrize(
    ("builds", "swaps"),
    [
        # Nights of an older version hold no build; the first that does is no new system.
        (["Android 15", "Android 15", FINGERPRINTS[0], FINGERPRINTS[0]], []),
        (["Android 15", FINGERPRINTS[0], FINGERPRINTS[1]], [2]),
        # An older version ran in between: the build before and after it still differ.
        ([FINGERPRINTS[0], "Android 15", FINGERPRINTS[1]], [2]),
        ([FINGERPRINTS[0], "Android 15", FINGERPRINTS[0]], []),
        (["Android 14", FINGERPRINTS[0]], [1]),
        (["Android 1", FINGERPRINTS[0]], [1]),
        ([FINGERPRINTS[0], "Android 16", FINGERPRINTS[0]], [1, 2]),
    ],
)
def test_a_night_without_a_build_is_no_swap(builds: list[str], swaps: list[int]) -> None:
    assert [s.index for s in tell(SERIES, [on(i, build) for i, build in enumerate(builds)]).swaps] == swaps


def hot(index: int, factor: float) -> Night:
    """A night whose launches throttled."""
    return night(index, replace(entry(1e6 * factor), conditions=("THROTTLED", TAINTED)))


def test_tainted_nights_are_shown_and_make_no_level_and_no_change() -> None:
    nights = [hot(i, 1.5) if i % 3 == 2 else night(i, entry(1e6 * LEVEL[i % 12])) for i in range(60)]
    story = tell(SERIES, nights)
    assert len(story.nights) == 60
    assert story.changes == ()
    assert [s.median for s in story.segments] == [pytest.approx(1e6, rel=0.01)]


def test_a_change_after_tainted_nights_is_where_it_is_among_all_nights() -> None:
    nights = [hot(i, 1.5) if i % 10 == 2 else night(i, entry(1e6 * LEVEL[i % 12])) for i in range(40)]
    (change,) = tell(SERIES, nights + level(20, start=40, factor=1.2)).changes
    assert (change.index, change.last_good, change.first_bad) == (40, "c39", "c40")


def test_a_series_that_is_always_tainted_is_compared_with_itself() -> None:
    nights = [hot(i, LEVEL[i % 12]) for i in range(30)] + [hot(i, 1.2 * LEVEL[i % 12]) for i in range(30, 50)]
    assert comparable(nights) == tuple(nights)
    assert [change.index for change in tell(SERIES, nights).changes] == [30]


def test_a_tainted_night_on_which_a_level_begins_stays() -> None:
    nights = [*level(30), hot(30, 1.5), *level(10, start=31)]
    assert len(comparable(nights)) == 40
    assert comparable(nights, [decided(Decision.DRIFT, 30, 31)]) == tuple(nights)


def test_a_night_without_a_value_is_a_gap_and_superseded_ones_are_left_out() -> None:
    again = replace(entry(9e6), status=NightStatus.SUPERSEDED)
    story = tell(SERIES, [*level(3), night(3, failed_entry()), night(4, again)])
    assert len(story.nights) == 3
    assert [n.night for n in story.gaps] == ["2026-01-04"]


@pytest.mark.parametrize("values", [[], [1e6], [1e6] * 3, [1e6] * 60, [0.0] * 60, [-1.0] * 60])
def test_odd_series_have_no_change(values: list[float]) -> None:
    story = tell(SERIES, [night(i, entry(v)) for i, v in enumerate(values)])
    assert story.changes == ()
    assert len(story.segments) == (1 if values else 0)
