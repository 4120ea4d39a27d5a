"""Suspicions confirmed or refuted by a session of pairs, or by stored measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.history.records import Decision
from harness.measure.pairs import PairPlan, PairResult, Sides, summarise_pairs
from harness.records.metric import Metric
from harness.records.metrics import ACCURACY, SCORE, SIZE
from harness.workflows.nightly.confirm import confirm_by_record, correct_for_many, differing_data, judge, same_file
from harness.workflows.nightly.record import Confirmation, Trigger
from tests.report.builders import accuracy_of, phone_run
from tests.workflows.nightly.test_night_files import SUSPECT


def session_of(ratio: float, noise: float, pairs: int = 20) -> tuple[PairResult, ...]:
    """Pairs around ``ratio``, ``noise`` up and down in turn."""
    return pairs_of([math.log(ratio) + noise * (1 if i % 2 else -1) for i in range(pairs)])


def pairs_of(logs: Sequence[float]) -> tuple[PairResult, ...]:
    """Pairs of which B takes exp of these times as long as A."""
    return tuple(PairResult(order="AB", a_ns=1e6, b_ns=1e6 * math.exp(x), log_ratio=x) for x in logs)


@pytest.mark.parametrize(
    ("ratio", "noise", "decision"),
    [
        (1.10, 0.01, Decision.CONFIRMED),
        (1.00, 0.01, Decision.REFUTED),
        (0.90, 0.01, Decision.REFUTED),
        (1.05, 0.20, Decision.UNDECIDED),
    ],
)
def test_a_suspicion_of_worse_latency(ratio: float, noise: float, decision: Decision) -> None:
    found = judge(SUSPECT, summarise_pairs(list(session_of(ratio, noise)), PairPlan()), Sides())
    assert found.decision is decision
    assert found.ratio == pytest.approx(ratio)
    assert found.pairs == 20
    assert found.p_value is not None


def test_a_suspicion_of_better_latency_is_confirmed_by_a_better_one() -> None:
    better = replace(SUSPECT, worse=False)
    found = judge(better, summarise_pairs(list(session_of(0.9, 0.01)), PairPlan()), Sides())
    assert found.decision is Decision.CONFIRMED


def test_a_difference_that_is_not_sure_enough_for_a_nightly_job_stays_open() -> None:
    # Two of twenty pairs go the other way. Their 95 % interval excludes the margin; that of the first look, at 1 in
    # 20,000, reaches down to them.
    logs = [0.05 + 0.001 * i for i in range(18)] + [-0.05, -0.06]
    pairs = pairs_of(logs)
    found = judge(SUSPECT, summarise_pairs(list(pairs), PairPlan()), Sides())
    assert found.low is not None
    assert found.low > 1.03
    assert (found.decision, found.leaning) == (Decision.UNDECIDED, True)
    other_way = judge(replace(SUSPECT, worse=False), summarise_pairs(list(pairs), PairPlan()), Sides())
    assert (other_way.decision, other_way.leaning) == (Decision.UNDECIDED, False)


def test_pairs_of_earlier_nights_count() -> None:
    few = list(session_of(1.10, 0.01, 10))
    alone = judge(SUSPECT, summarise_pairs(few, PairPlan()), Sides())
    # Ten pairs are too few for an interval at 1 in 20,000.
    assert (alone.decision, alone.leaning) == (Decision.UNDECIDED, True)
    again = replace(SUSPECT, looks=1, log_ratios=alone.log_ratios)
    pooled = judge(again, summarise_pairs(few, PairPlan()), Sides())
    assert (pooled.decision, pooled.pairs) == (Decision.CONFIRMED, 20)


def test_one_weak_confirmation_among_many_is_withdrawn() -> None:
    strong = Confirmation(series="s", decision=Decision.CONFIRMED, worse=True, p_value=1e-6)
    weak = replace(strong, series="w", p_value=0.04)
    none = replace(strong, series="n", decision=Decision.UNDECIDED, p_value=0.5)
    exact = replace(strong, series="e", p_value=None)
    found = correct_for_many([strong, weak, none, none, exact])
    assert [c.decision for c in found] == [
        Decision.CONFIRMED,
        Decision.UNDECIDED,
        Decision.UNDECIDED,
        Decision.UNDECIDED,
        Decision.CONFIRMED,
    ]
    assert "among the night's 4 confirmations" in found[1].reason
    assert correct_for_many([weak])[0].decision is Decision.CONFIRMED


def test_the_same_file_is_drift() -> None:
    assert same_file(SUSPECT).decision is Decision.DRIFT


@pytest.mark.parametrize(
    ("correct", "worse", "decision"), [(300, True, Decision.CONFIRMED), (356, True, Decision.REFUTED)]
)
def test_accuracy_is_confirmed_by_the_answers_to_the_same_inputs(correct: int, worse: bool, decision: Decision) -> None:
    run = phone_run()
    before = run.measurements[0]
    now = replace(before, accuracy=accuracy_of(correct))
    suspect = replace(SUSPECT, metric=ACCURACY.name, trigger=Trigger.TOLERANCE, worse=worse)
    found = confirm_by_record(suspect, run.head.plan.cells[0], before, now)
    assert found.decision is decision
    assert found.p_value is not None


@pytest.mark.parametrize("metric", [ACCURACY, SCORE])
def test_a_score_on_other_test_data_cannot_be_confirmed(metric: Metric) -> None:
    run = phone_run()
    cell, measured = run.head.plan.cells[0], run.measurements[0]
    suspect = replace(SUSPECT, metric=metric.name, trigger=Trigger.TOLERANCE)
    others = tuple(replace(model, data_sha256="0" * 64) for model in run.head.models)
    other = replace(run, head=replace(run.head, models=others))
    assert differing_data(suspect, cell, (run, measured), (run, measured)) is None
    words = differing_data(suspect, cell, (other, measured), (run, measured))
    assert words is not None
    assert "data: 0000" in words
    # The size of a file depends on no data.
    assert differing_data(replace(suspect, metric=SIZE.name), cell, (other, measured), (run, measured)) is None


def test_without_the_earlier_answers_accuracy_stays_undecided() -> None:
    run = phone_run()
    suspect = replace(SUSPECT, metric=ACCURACY.name)
    found = confirm_by_record(suspect, run.head.plan.cells[0], None, run.measurements[0])
    assert found.decision is Decision.UNDECIDED
    assert "'r0' no longer exists" in found.reason


def test_a_size_needs_no_second_measurement() -> None:
    run = phone_run()
    suspect = replace(SUSPECT, metric=SIZE.name)
    found = confirm_by_record(suspect, run.head.plan.cells[0], None, run.measurements[0])
    assert found.decision is Decision.CONFIRMED


def test_garbage_outputs_need_no_second_measurement() -> None:
    run = phone_run()
    suspect = replace(SUSPECT, trigger=Trigger.GARBAGE)
    assert confirm_by_record(suspect, run.head.plan.cells[0], None, run.measurements[0]).decision is Decision.CONFIRMED
