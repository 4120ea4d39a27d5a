"""What the comparisons of a night mean for its series, its decisions and the next night."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.history.records import Decision, Series
from harness.stats.looks import MOST_LOOKS, WAITS
from harness.workflows.nightly.agenda import Agenda, Before, SeriesTonight, plan_night
from harness.workflows.nightly.common import Cause, find_causes
from harness.workflows.nightly.outcomes import NightOutcome, settle_night
from harness.workflows.nightly.record import Carried, Confirmation, Pinned, State, Suspect, Trigger
from tests.history.nights import run_facts
from tests.workflows.nightly.made import past, series, tonight, value

NIGHTS = 25
ONE = series(0)
RUN = run_facts(NIGHTS)


def given(factor: float = 1.0, *, file: str = "bb") -> SeriesTonight:
    """One series tonight."""
    return tonight(ONE, past(ONE, NIGHTS), value(ONE, factor, night=NIGHTS, file=file))


def suspect(trigger: Trigger, **facts: object) -> Suspect:
    """A suspicion about it."""
    one = given()
    (new,) = plan_night({ONE.name: one}, (), Before(), RUN).suspects
    return replace(new, trigger=trigger, worse=True, ratio=1.1, **facts)  # type: ignore[arg-type]


def said(decision: Decision, **facts: object) -> Confirmation:
    """The outcome of a session of twenty pairs."""
    blank = Confirmation(series=ONE.name, decision=decision, worse=True, ratio=1.1, low=1.08, high=1.12, pairs=20)
    return replace(blank, log_ratios=(0.095,) * 20, reason="because", **facts)  # type: ignore[arg-type]


def settle(about: Suspect, confirmation: Confirmation) -> NightOutcome:
    """The night on which ``about`` was compared."""
    agenda = Agenda(suspects=(about,), resting=(), pinned=())
    return settle_night({ONE.name: given()}, agenda, (), (confirmation,), RUN)


@pytest.mark.parametrize("trigger", [Trigger.NEW_FILE, Trigger.SCREEN, Trigger.STEP, Trigger.BASELINE, Trigger.COMMON])
def test_what_pairs_confirm_is_a_regression_and_a_decision(trigger: Trigger) -> None:
    outcome = settle(suspect(trigger), said(Decision.CONFIRMED))
    assert [night.state for night in outcome.series] == [State.REGRESSION]
    assert [(d.decision, d.seen_run, d.ratio) for d in outcome.decided] == [(Decision.CONFIRMED, RUN.name, 1.1)]
    assert outcome.carried.open == ()


@pytest.mark.parametrize(
    ("trigger", "decisions"), [(Trigger.SCREEN, 1), (Trigger.STEP, 1), (Trigger.NEW_FILE, 0), (Trigger.BASELINE, 0)]
)
def test_equal_files_refute_a_suspicion_and_say_nothing_without_one(trigger: Trigger, decisions: int) -> None:
    outcome = settle(suspect(trigger), said(Decision.REFUTED))
    assert [night.state for night in outcome.series] == [State.NONE]
    assert len(outcome.decided) == decisions
    assert outcome.carried.open == ()


def test_an_undecided_suspicion_stays_open_with_its_pairs() -> None:
    outcome = settle(suspect(Trigger.SCREEN, good_sha256="x"), said(Decision.UNDECIDED, good_sha256="g"))
    (night,) = outcome.series
    assert night.state is State.SUSPICIOUS
    assert night.reason == "because; compared again in 1 night"
    (rest,) = outcome.carried.open
    assert (rest.wait, rest.suspect.looks, len(rest.suspect.log_ratios)) == (1, 1, 20)
    # The next look takes the file that this one was made with.
    assert rest.suspect.good_sha256 == "g"


@pytest.mark.parametrize(("looks", "wait"), list(enumerate(WAITS)))
def test_the_waits_double(looks: int, wait: int) -> None:
    (rest,) = settle(suspect(Trigger.STEP, looks=looks), said(Decision.UNDECIDED)).carried.open
    assert rest.wait == wait


def test_after_the_last_look_a_suspicion_is_closed() -> None:
    outcome = settle(suspect(Trigger.SCREEN, looks=MOST_LOOKS - 1), said(Decision.UNDECIDED))
    assert [night.state for night in outcome.series] == [State.NONE]
    assert [d.decision for d in outcome.decided] == [Decision.REFUTED]
    assert outcome.carried.open == ()


@pytest.mark.parametrize(("leaning", "state", "left"), [(True, State.SUSPICIOUS, 1), (False, State.NONE, 0)])
def test_a_new_file_that_may_be_slower_is_compared_again(leaning: bool, state: State, left: int) -> None:
    outcome = settle(suspect(Trigger.NEW_FILE), said(Decision.UNDECIDED, leaning=leaning))
    assert [night.state for night in outcome.series] == [state]
    assert len(outcome.carried.open) == left


def test_what_was_left_out_for_want_of_time_uses_up_no_look() -> None:
    late = Confirmation(series=ONE.name, decision=Decision.UNDECIDED, worse=True, reason="late", skipped=True)
    new = settle(suspect(Trigger.NEW_FILE), late)
    assert [(n.state, n.suspect, n.reason) for n in new.series] == [(State.NONE, None, "")]
    first = settle(suspect(Trigger.SCREEN), late)
    assert [n.state for n in first.series] == [State.SUSPICIOUS]
    assert (first.decided, first.carried.open) == ((), ())
    second = settle(suspect(Trigger.SCREEN, looks=2), late)
    assert [(rest.wait, rest.suspect.looks) for rest in second.carried.open] == [(1, 2)]


def test_a_report_about_the_baseline_is_remembered() -> None:
    agenda = Agenda(
        suspects=(suspect(Trigger.BASELINE),), resting=(), pinned=(Pinned(series=ONE.name, sha256="rr", looks=2),)
    )
    for decision, told, wait in ((Decision.CONFIRMED, math.log(1.1), 1), (Decision.REFUTED, 0.0, 4)):
        outcome = settle_night({ONE.name: given()}, agenda, (), (said(decision),), RUN)
        (pin,) = outcome.carried.pinned
        assert (pin.told, pin.wait) == (told, wait)


def group(file: str, shifts: dict[int, float] | None = None) -> tuple[dict[Series, SeriesTonight], tuple[Cause, ...]]:
    """Twelve series that are 20 % slower tonight but for the last one."""
    many = {
        series(i): tonight(
            series(i),
            past(series(i), NIGHTS, shifts=shifts),
            value(series(i), 1.2 if i < 11 else 1.0, night=NIGHTS, file=file),
        )
        for i in range(12)
    }
    histories = {of.name: one.history for of, one in many.items()}
    return many, find_causes(histories, {of.name: one.entry for of, one in many.items()}, RUN)


def settle_group(file: str, decision: Decision | None, shifts: dict[int, float] | None = None) -> NightOutcome:
    """The night of the group, with that outcome of its sample."""
    many, causes = group(file, shifts)
    named = {of.name: one for of, one in many.items()}
    agenda = plan_night(named, causes, Before(), RUN)
    sample = [s for s in agenda.suspects if s.trigger is Trigger.COMMON]
    answers = tuple(replace(said(decision), series=s.series, ratio=1.2) for s in sample) if decision else ()
    return settle_night(named, agenda, causes, answers, RUN)


def test_a_shift_of_the_device_is_told_and_begins_no_level_yet() -> None:
    outcome = settle_group("aa", None)
    (cause,) = outcome.causes
    assert (cause.series, cause.lasting, cause.by_files) == (12, False, False)
    assert {night.state for night in outcome.series} == {State.NONE}
    assert outcome.decided == ()


def test_a_shift_that_lasts_begins_the_level_of_all_series_together() -> None:
    outcome = settle_group("aa", None, {NIGHTS - 2: 1.2, NIGHTS - 1: 1.2})
    assert {(d.decision, d.first_run) for d in outcome.decided} == {(Decision.DRIFT, run_facts(NIGHTS - 2).name)}
    assert len(outcome.decided) == 12
    assert {night.state for night in outcome.series} == {State.NONE}


def test_a_confirmed_sample_makes_the_files_the_cause() -> None:
    outcome = settle_group("bb", Decision.CONFIRMED)
    (cause,) = outcome.causes
    assert (cause.sampled, cause.confirmed, cause.by_files) == (5, 5, True)
    states = [night.state for night in outcome.series]
    assert (states.count(State.REGRESSION), states.count(State.SUSPICIOUS)) == (5, 6)
    assert {d.decision for d in outcome.decided} == {Decision.CONFIRMED}
    # The one that did not move along keeps its level.
    assert {d.series for d in outcome.decided} == {series(i).name for i in range(11)}


def test_a_refuted_sample_leaves_the_device_as_the_cause() -> None:
    outcome = settle_group("bb", Decision.REFUTED)
    (cause,) = outcome.causes
    assert (cause.sampled, cause.confirmed, cause.by_files) == (5, 0, False)
    assert outcome.decided == ()
    assert outcome.carried == Carried()
