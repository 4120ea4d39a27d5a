"""What is compared on a night, in which order, and what waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history.records import Decision, HistoryEntry, Night, Series
from harness.workflows.nightly.agenda import Agenda, Before, SeriesTonight, plan_night
from harness.workflows.nightly.common import find_causes
from harness.workflows.nightly.record import (
    Baseline,
    BaselineCell,
    Carried,
    OpenSuspicion,
    Pinned,
    Trigger,
)
from tests.history.nights import PHONE, run_facts
from tests.history.test_history_story import decided
from tests.workflows.nightly.made import past, series, tonight, value

NIGHTS = 25
ONE = series(0)


def plan(given: dict[Series, SeriesTonight], before: Before = Before()) -> Agenda:  # noqa: B008  a frozen record
    """The agenda of a night."""
    one = next(iter(given.values()))
    run = run_facts(len(one.history.nights))
    histories = {of.name: each.history for of, each in given.items()}
    causes = find_causes(histories, {of.name: each.entry for of, each in given.items()}, run)
    return plan_night({of.name: each for of, each in given.items()}, causes, before, run)


def of(entry: HistoryEntry, nights: tuple[Night, ...] | None = None) -> dict[Series, SeriesTonight]:
    """One series tonight."""
    return {entry.series: tonight(entry.series, past(entry.series, NIGHTS) if nights is None else nights, entry)}


def open_suspicion(*, wait: int = 1, looks: int = 1, night: int = NIGHTS - 2) -> OpenSuspicion:
    """A suspicion of an earlier night that is undecided."""
    suspect = plan(of(value(ONE, file="bb"))).suspects[0]
    first = run_facts(night).name
    longer = replace(suspect, trigger=Trigger.SCREEN, worse=True, first_run=first, ratio=1.05)
    return OpenSuspicion(suspect=replace(longer, looks=looks, log_ratios=(0.05,) * 20), wait=wait)


def test_the_same_file_is_not_compared() -> None:
    assert plan(of(value(ONE))).suspects == ()


@pytest.mark.parametrize("nights", [1, 2, 25])
def test_a_new_file_is_compared_with_last_nights_from_the_second_night_on(nights: int) -> None:
    (suspect,) = plan(of(value(ONE, 1.1, night=nights, file="bb"), past(ONE, nights))).suspects
    assert suspect.trigger is Trigger.NEW_FILE
    assert (suspect.good_sha256, suspect.sha256) == ("aa", "bb")
    assert (suspect.good_run, suspect.first_run) == (run_facts(nights - 1).name, run_facts(nights).name)


def test_the_first_night_has_nothing_to_compare_with() -> None:
    assert plan(of(value(ONE, file="bb"), ())).suspects == ()


def test_a_new_file_on_a_new_system_is_compared_too() -> None:
    new = value(ONE, 1.1, file="bb", environment=replace(PHONE, os_build="16.0"))
    (suspect,) = plan(of(new)).suspects
    assert suspect.trigger is Trigger.NEW_FILE


def test_the_largest_slowdown_comes_first_and_speedups_last() -> None:
    given: dict[Series, SeriesTonight] = {}
    for number, factor in enumerate((1.1, 0.7, 1.4, 1.0, 1.25)):
        given |= of(value(series(number), factor, night=NIGHTS, file="bb"))
    assert [s.series for s in plan(given).suspects if s.trigger is Trigger.NEW_FILE] == [
        series(number).name for number in (2, 4, 0, 3, 1)
    ]


def test_within_a_common_shift_the_series_that_moved_further_comes_first() -> None:
    given: dict[Series, SeriesTonight] = {}
    for number in range(12):
        factor = 1.08 if number != 5 else 1.17
        given |= of(value(series(number), factor, night=NIGHTS, file="bb"))
    agenda = plan(given)
    kinds = [s.trigger for s in agenda.suspects]
    assert kinds.count(Trigger.COMMON) == 5
    new = [s for s in agenda.suspects if s.trigger is Trigger.NEW_FILE]
    assert new[0].series == series(5).name
    assert new[0].ratio == pytest.approx(1.17 / 1.08, rel=0.04)


def test_an_open_suspicion_waits_and_then_takes_the_same_two_files_again() -> None:
    before = Before(carried=Carried(open=(open_suspicion(wait=3),)))
    waits = plan(of(value(ONE)), before)
    assert waits.suspects == ()
    assert [rest.wait for rest in waits.resting] == [2]
    (due,) = plan(of(value(ONE)), Before(carried=Carried(open=(open_suspicion(wait=1),)))).suspects
    assert (due.good_sha256, due.sha256, due.looks, len(due.log_ratios)) == ("aa", "bb", 1, 20)


def test_tonights_suspicion_of_the_same_change_is_the_open_one() -> None:
    nights = past(ONE, NIGHTS, shifts=dict.fromkeys(range(NIGHTS - 6, NIGHTS), 1.05))
    before = Before(carried=Carried(open=(open_suspicion(wait=4, night=NIGHTS - 6),)))
    assert plan(of(value(ONE, 1.05), nights), before).suspects == ()


def test_a_larger_step_does_not_wait_for_the_open_suspicion() -> None:
    given = of(value(ONE, 1.4))
    (new,) = plan(of(value(ONE, 1.4, file="bb"))).suspects
    step = replace(new, trigger=Trigger.STEP, ratio=1.4)
    given[ONE] = replace(given[ONE], night=replace(given[ONE].night, suspect=step))
    agenda = plan(given, Before(carried=Carried(open=(open_suspicion(wait=4),))))
    assert [(s.trigger, s.looks) for s in agenda.suspects] == [(Trigger.STEP, 0)]
    assert agenda.resting == ()


def test_a_new_level_or_system_ends_an_open_suspicion() -> None:
    carried = Before(carried=Carried(open=(open_suspicion(wait=1, night=NIGHTS - 4),)))
    swapped = of(value(ONE, environment=replace(PHONE, os_build="16.0")))
    assert plan(swapped, carried) == Agenda(suspects=(), resting=(), pinned=())
    later = replace(decided(Decision.CONFIRMED, NIGHTS - 2, NIGHTS - 2), series=ONE.name)
    levelled = {ONE: tonight(ONE, past(ONE, NIGHTS), value(ONE), (later,))}
    assert plan(levelled, carried) == Agenda(suspects=(), resting=(), pinned=())


def test_the_suspicions_of_another_job_are_handed_through() -> None:
    other = open_suspicion()
    other = replace(other, suspect=replace(other.suspect, series="another/latency"))
    assert plan(of(value(ONE)), Before(carried=Carried(open=(other,)))).resting == (other,)


BASELINE = Baseline(name="v1", cells=(BaselineCell(cell=ONE.cell, sha256="rr", latency_ns=1e6),))


def crept(factor: float) -> dict[Series, SeriesTonight]:
    """A series whose last two weeks are at another level, with the same file for weeks."""
    nights = past(ONE, NIGHTS, shifts=dict.fromkeys(range(NIGHTS - 14, NIGHTS), factor))
    return {ONE: replace(tonight(ONE, nights, value(ONE, factor)), night=of(value(ONE))[ONE].night)}


@pytest.mark.parametrize(("factor", "compared"), [(1.0, False), (1.02, False), (1.05, True), (0.93, True)])
def test_a_level_that_left_the_baseline_is_compared_with_it(factor: float, compared: bool) -> None:
    agenda = plan(crept(factor), Before(baseline=BASELINE))
    assert [(s.trigger, s.good_sha256) for s in agenda.suspects] == ([(Trigger.BASELINE, "rr")] if compared else [])


def test_what_was_reported_about_the_baseline_is_not_reported_again() -> None:
    told = Pinned(series=ONE.name, sha256="rr", told=0.05)
    assert plan(crept(1.05), Before(carried=Carried(pinned=(told,)), baseline=BASELINE)).suspects == ()
    (more,) = plan(crept(1.10), Before(carried=Carried(pinned=(told,)), baseline=BASELINE)).suspects
    assert more.expected == 0.05
    other = replace(BASELINE, cells=(replace(BASELINE.cells[0], sha256="ss"),))
    (anew,) = plan(crept(1.05), Before(carried=Carried(pinned=(told,)), baseline=other)).suspects
    assert anew.expected == 0


def test_after_a_comparison_the_baseline_waits() -> None:
    waits = Pinned(series=ONE.name, sha256="rr", wait=3, looks=2)
    agenda = plan(crept(1.05), Before(carried=Carried(pinned=(waits,)), baseline=BASELINE))
    assert agenda.suspects == ()
    assert [pin.wait for pin in agenda.pinned] == [2]


def test_a_baseline_file_without_a_measurement_is_compared_at_once() -> None:
    file = replace(BASELINE, cells=(BaselineCell(cell=ONE.cell, sha256="rr"),))
    (suspect,) = plan(of(value(ONE), ()), Before(baseline=file)).suspects
    assert suspect.trigger is Trigger.BASELINE
