"""The screen of one series on one night."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history.figures import make_series
from harness.history.records import TAINTED, Decided, Decision, Figures, HistoryEntry, Night, NightStatus
from harness.records.metric import Metric
from harness.records.metrics import ACCURACY, SCORE, SIZE
from harness.stats.screening import ARL0
from harness.workflows.nightly.record import State, Trigger
from harness.workflows.nightly.screening import Screened, SeriesHistory, screen_series
from tests.history.nights import CELL, PHONE, SERIES, entry, failed_entry, run_facts
from tests.history.test_history_story import LEVEL, decided, level, night


def screened(nights: list[Night], *tonight: HistoryEntry, decisions: tuple[Decided, ...] = ()) -> Screened:
    """The screen of ``tonight`` after ``nights``."""
    known = SeriesHistory(nights=tuple(nights), decisions=decisions)
    return screen_series(known, tonight, run_facts(len(nights)), ARL0)


def test_a_night_like_the_others() -> None:
    found = screened(level(30), entry(1e6))
    assert (found.again, found.night.state, found.night.nights) == (False, State.NONE, 30)
    assert [e.status for e in found.entries] == [NightStatus.OK]


@pytest.mark.parametrize("nights", [0, 3, 18])
def test_few_nights_are_not_screened(nights: int) -> None:
    found = screened(level(nights), entry(1e6))
    assert found.night.state is State.INSUFFICIENT
    assert str(nights + 1) in found.night.reason


def test_an_outlier_is_measured_again_and_the_second_value_counts() -> None:
    assert screened(level(30), entry(1.3e6)).again
    found = screened(level(30), entry(1.3e6), entry(1.01e6))
    assert not found.again
    assert [(e.attempt, e.status) for e in found.entries] == [(0, NightStatus.SUPERSEDED), (1, NightStatus.OK)]
    assert found.night.value == 1.01e6
    assert found.night.suspect is None


def test_a_large_step_of_other_bytes_is_measured_three_times_and_suspected_at_once() -> None:
    assert screened(level(30), entry(1.3e6), entry(1.31e6)).again
    found = screened(level(30), *(entry(value, artifact="bb") for value in (1.3e6, 1.32e6, 1.31e6)))
    suspect = found.night.suspect
    assert suspect is not None
    assert (suspect.trigger, suspect.worse) == (Trigger.STEP, True)
    assert suspect.ratio == pytest.approx(1.31, rel=0.01)
    assert (suspect.last_good, suspect.first_bad) == ("c29", run_facts(30).commit)
    assert [e.status.value for e in found.entries] == ["superseded", "superseded", "ok"]


def test_a_large_step_of_the_same_bytes_waits_for_a_second_night() -> None:
    steps = [entry(value) for value in (1.3e6, 1.32e6, 1.31e6)]
    assert screened(level(30), *steps).night.suspect is None
    suspect = screened([*level(30), night(30, entry(1.31e6))], *steps).night.suspect
    assert suspect is not None
    assert (suspect.trigger, suspect.first_run) == (Trigger.SCREEN, run_facts(30).name)


def test_a_creep_is_compared_with_the_oldest_night_in_sight() -> None:
    nights = [night(i, entry(1e6 * (1 + 0.002 * i) * LEVEL[i % 12])) for i in range(59)]
    suspect = screened(nights, entry(1.12e6)).night.suspect
    assert suspect is not None
    assert suspect.good_run == run_facts(0).name
    assert suspect.first_run != run_facts(0).name


def test_a_difference_too_small_to_matter_is_not_measured_again() -> None:
    constant = [night(i, entry(1e6)) for i in range(30)]
    assert not screened(constant, entry(1.02e6)).again
    assert screened(constant, entry(1.05e6)).again


def test_a_small_step_is_suspected_after_some_nights_from_its_first_night_on() -> None:
    nights = level(30) + level(8, start=30, factor=1.06)
    suspect = screened(nights, entry(1.06e6)).night.suspect
    assert suspect is not None
    assert suspect.trigger is Trigger.SCREEN
    assert suspect.first_run == run_facts(30).name
    # The estimate may be late, and the level before may creep, so the good artifact is from the middle of that level.
    assert suspect.good_run == run_facts(15).name
    assert suspect.last_good == "c29"


def test_a_refuted_change_is_not_suspected_again_and_begins_a_level() -> None:
    nights = level(30) + level(8, start=30, factor=1.06)
    found = screened(nights, entry(1.06e6), decisions=(decided(Decision.REFUTED, 30, 37),))
    assert found.night.suspect is None
    assert (found.night.nights, found.night.state) == (8, State.INSUFFICIENT)


def test_a_refuted_step_that_lasts_is_suspected_again_so_that_it_begins_a_level() -> None:
    nights = level(30) + [night(i, entry(1.3e6 * LEVEL[i % 12], artifact=f"b{i}")) for i in (30, 31)]
    refuted = (decided(Decision.REFUTED, 30, 30),)
    suspect = screened(nights[:-1], *[entry(1.3e6, artifact="b31")] * 3, decisions=refuted).night.suspect
    assert suspect is not None
    after = screened(nights, entry(1.3e6, artifact="b32"), decisions=(*refuted, decided(Decision.REFUTED, 30, 31)))
    assert (after.night.suspect, after.night.nights) == (None, 2)


@pytest.mark.parametrize("decision", [Decision.CONFIRMED, Decision.DRIFT])
def test_after_a_confirmed_change_the_new_level_counts(decision: Decision) -> None:
    nights = level(30) + level(8, start=30, factor=1.3)
    found = screened(nights, entry(1.3e6), decisions=(decided(decision, 30, 30),))
    assert not found.again
    assert found.night.nights == 8
    assert found.night.state is State.INSUFFICIENT


def test_a_new_system_starts_a_new_segment() -> None:
    found = screened(level(30), entry(1.5e6, environment=replace(PHONE, os_build="16.0")))
    assert (found.again, found.night.nights, found.night.suspect) == (False, 0, None)


def test_a_failed_cell_has_no_value() -> None:
    found = screened(level(30), failed_entry())
    assert found.night.state is State.FAILED
    assert found.entries == (failed_entry(),)


def test_outputs_that_were_right_and_are_garbage_are_suspected() -> None:
    broken = replace(failed_entry(), status=NightStatus.BROKEN)
    suspect = screened(level(3), broken).night.suspect
    assert suspect is not None
    assert suspect.trigger is Trigger.GARBAGE
    assert screened([], broken).night.state is State.FAILED


@pytest.mark.parametrize(
    ("metric", "before", "now", "worse"),
    [
        (SIZE, 1000.0, 1000.5, None),
        (SIZE, 1000.0, 1010.0, True),
        (SIZE, 1000.0, 900.0, False),
        (ACCURACY, 0.99, 0.985, None),
        (ACCURACY, 0.99, 0.97, True),
        (ACCURACY, 0.97, 0.99, False),
    ],
)
def test_an_exact_metric_is_suspected_beyond_its_tolerance(
    metric: Metric, before: float, now: float, worse: bool | None
) -> None:
    def one(value: float) -> HistoryEntry:
        return replace(entry(1.0), series=make_series(CELL, metric), figures=Figures(value=value))

    suspect = screened([night(0, one(before))], one(now)).night.suspect
    assert (None if suspect is None else suspect.worse) is worse


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_a_value_without_a_logarithm_is_kept_and_not_screened(value: float) -> None:
    found = screened([night(i, entry(1e6 * LEVEL[i % 12])) for i in range(30)], entry(value))
    assert (found.again, found.night.suspect) == (False, None)
    assert found.night.series == SERIES.name


def hot(value: float) -> HistoryEntry:
    """A night whose launches throttled."""
    return replace(entry(value), conditions=(TAINTED,))


def test_a_tainted_night_is_kept_and_not_judged() -> None:
    found = screened(level(30), hot(1.5e6))
    assert (found.again, found.night.suspect, found.night.state) == (False, None, State.INSUFFICIENT)
    assert [e.status for e in found.entries] == [NightStatus.OK]
    assert found.night.value == 1.5e6
    assert "not judged" in found.night.reason


def test_tainted_nights_are_no_reference() -> None:
    nights = level(20) + [night(i, hot(2e6)) for i in range(20, 26)] + level(10, start=26)
    found = screened(nights, *[entry(1.3e6, artifact="bb")] * 3)
    assert found.night.nights == 30
    assert found.night.level == pytest.approx(1e6, rel=0.01)
    assert found.night.suspect is not None


def test_a_model_that_always_heats_the_phone_is_judged() -> None:
    nights = [night(i, hot(1e6 * LEVEL[i % 12])) for i in range(30)]
    found = screened(nights, *[replace(hot(1.3e6), artifact_sha256="bb")] * 3)
    assert found.night.suspect is not None


@pytest.mark.parametrize("metric", [ACCURACY, SCORE])
def test_a_score_on_other_test_data_is_no_change(metric: Metric) -> None:
    def one(value: float, data: str) -> HistoryEntry:
        made = replace(entry(1.0, environment=replace(PHONE, data_sha256=data)), figures=Figures(value=value))
        return replace(made, series=make_series(CELL, metric))

    assert screened([night(0, one(0.9, "aa"))], one(0.5, "aa")).night.suspect is not None
    assert screened([night(0, one(0.9, "aa"))], one(0.5, "bb")).night.suspect is None
