"""Confirms suspected changes: the suspect artifact against the last good one, in interleaved pairs on one device.

Both are measured now, so the state of the device when the good artifact was first measured does not matter, and a
suspicion that came from the device alone is refuted. Values that do not vary (a size, the answers to the same inputs)
are taken from the stored measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from harness.compare.keys import comparison_keys, differing_keys
from harness.compare.metrics import compare_metrics
from harness.history.records import Decision
from harness.measure.job import Job, Launched
from harness.measure.pairs import PairPlan, PairSession, RanPairs, Sides, summarise_pairs, why_lopsided
from harness.plan.cells import Cell
from harness.records.measurement import Measurement
from harness.records.metric import ComparisonKind, ConfirmationKind, Metric
from harness.records.metrics import metric_named
from harness.stats.clock import clock_step, log_step
from harness.stats.looks import spent, sure_span
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.pairs import group_effect
from harness.stats.sessions import paired_span
from harness.stats.verdicts import Verdict, by_tolerance, decide, log_margin
from harness.store.records import RunRecord
from harness.workflows.nightly.attempt import attempt
from harness.workflows.nightly.record import UNPROMPTED, Confirmation, Suspect, Trigger

GOOD_SUFFIX = "-good"


def pair_of(good: Job, new: Job) -> tuple[Job, Job]:
    """Return both jobs as the sides A and B of a session. Both are the same cell with two files."""
    # A different key keeps a late reply of one side from being taken for the other's.
    return replace(good, cell=replace(good.cell, key=f"{good.cell.key}{GOOD_SUFFIX}")), new


def confirm_by_pairs(suspects: Sequence[Suspect], ran: RanPairs, plan: PairPlan) -> tuple[Confirmation, ...]:
    """Confirm ``suspects``, which all belong to one cell, by a session of the jobs of `pair_of`."""
    if ran.failed:
        which = "the last good" if ran.failed == "A" else "tonight's"
        return tuple(unconfirmed(suspect, f"{which} artifact failed on the device") for suspect in suspects)
    session = summarise_pairs(list(ran.pairs), plan)
    return tuple(_judged(suspect, session, ran.sides) for suspect in suspects)


def _judged(suspect: Suspect, session: PairSession, seen: Sides) -> Confirmation:
    said, why = attempt(lambda: judge(suspect, session, seen))
    return said or unconfirmed(suspect, f"the pairs are kept, but their statistics failed ({why}): please report this")


def judge(suspect: Suspect, session: PairSession, seen: Sides) -> Confirmation:
    """Confirm one suspect from a session: by its pairs, or by the launches of both sides."""
    metric = metric_named(suspect.metric)
    match metric.confirmation:
        case ConfirmationKind.PAIRS:
            confirmation = _by_pairs(suspect, session)
        case ConfirmationKind.LAUNCHES:
            confirmation = _by_launches(suspect, metric, seen)
        case ConfirmationKind.MEDIANS:
            confirmation = _by_medians(suspect, metric, seen)
        case ConfirmationKind.RECORD:
            confirmation = unconfirmed(suspect, f"{metric.label} is confirmed from stored measurements, not from pairs")
    pairs = sum(pair.log_ratio is not None for pair in session.pairs)
    return replace(confirmation, pairs=max(pairs, len(confirmation.log_ratios)))


def confirm_by_record(suspect: Suspect, cell: Cell, good: Measurement | None, tonight: Measurement) -> Confirmation:
    """Confirm a value that does not vary from two stored measurements; ``good`` is None if it no longer exists."""
    if suspect.trigger is Trigger.GARBAGE:
        return _confirmation(
            suspect, Verdict.REGRESSED, f"the outputs were right before and are garbage now: {tonight.reason}"
        )
    if good is None:
        # A size is known from the history alone; answers and scores need the inputs they belong to.
        if metric_named(suspect.metric).comparison is ComparisonKind.TOLERANCE:
            verdict = Verdict.REGRESSED if suspect.worse else Verdict.IMPROVED
            return replace(_confirmation(suspect, verdict), ratio=suspect.ratio)
        return unconfirmed(
            suspect, f"run {suspect.good_run!r} no longer exists, so there are no answers to compare with"
        )
    compared = compare_metrics(cell, good, tonight)
    comparison = next((c for c in compared if c.metric == suspect.metric), None)
    if comparison is None:
        return unconfirmed(suspect, "the two nights have no answers to the same inputs")
    confirmation = _confirmation(suspect, comparison.verdict, comparison.reason or "")
    ratio = comparison.b / comparison.a if comparison.a else None
    return replace(confirmation, ratio=ratio, p_value=comparison.p_value)


def differing_data(
    suspect: Suspect, cell: Cell, good: tuple[RunRecord, Measurement], tonight: tuple[RunRecord, Measurement]
) -> str | None:
    """Return why two stored values that depend on the test data cannot be compared; None if they can, or do not."""
    if not metric_named(suspect.metric).same_data:
        return None
    keys = [comparison_keys(run, cell, measurement) for run, measurement in (good, tonight)]
    words = "; ".join(f"{d.key}: {d.a} before, {d.b} tonight" for d in differing_keys(*keys))
    return f"the two nights cannot be compared ({words})" if words else None


def same_file(suspect: Suspect) -> Confirmation:
    """Return the confirmation of a change with a byte-identical artifact: the device has changed."""
    return replace(
        unconfirmed(suspect, "the artifact is the same file as before, so the device has changed, not what it runs"),
        decision=Decision.DRIFT,
        ratio=suspect.ratio,
    )


def unconfirmed(suspect: Suspect, reason: str, *, skipped: bool = False) -> Confirmation:
    """Return a confirmation that neither confirms nor refutes; ``skipped``: for want of time, not of an answer."""
    return Confirmation(
        series=suspect.series, decision=Decision.UNDECIDED, worse=suspect.worse, reason=reason, skipped=skipped
    )


def correct_for_many(confirmations: Sequence[Confirmation]) -> tuple[Confirmation, ...]:
    """Withdraw confirmations that do not hold once all of the night are one family (Benjamini and Hochberg 1995).

    Confirmations without a p-value are exact (a size, outputs that are garbage), so they hold.
    """
    tests = [c.p_value for c in confirmations if c.p_value is not None]
    rejected = iter(benjamini_hochberg(tests))
    corrected: list[Confirmation] = []
    for confirmation in confirmations:
        holds = confirmation.p_value is None or next(rejected)
        if holds or confirmation.decision is not Decision.CONFIRMED:
            corrected.append(confirmation)
            continue
        reason = f"among the night's {len(tests)} confirmations, a difference like this one is likely to be chance"
        corrected.append(replace(confirmation, decision=Decision.UNDECIDED, reason=reason))
    return tuple(corrected)


def _confirmation(suspect: Suspect, verdict: Verdict, reason: str = "") -> Confirmation:
    """A confirmation from a verdict; a change in the other direction refutes the suspicion."""
    blank = Confirmation(series=suspect.series, decision=Decision.UNDECIDED, worse=suspect.worse, reason=reason)
    match verdict:
        case Verdict.REGRESSED | Verdict.IMPROVED:
            if (verdict is Verdict.REGRESSED) is suspect.worse:
                return replace(blank, decision=Decision.CONFIRMED)
            return replace(
                blank, decision=Decision.REFUTED, reason="measured side by side, the change goes the other way"
            )
        case Verdict.EQUIVALENT:
            return replace(
                blank, decision=Decision.REFUTED, reason="measured side by side, any difference is too small to matter"
            )
        case _:
            return replace(blank, reason=reason or "measured side by side, the interval is too wide to decide")


def _by_pairs(suspect: Suspect, session: PairSession) -> Confirmation:
    """By all pairs of the two files, those of earlier nights included.

    Equal files are recognised as in any session; a difference must be sure enough for a job that looks every night
    (`harness.stats.looks`).
    """
    fresh = [pair for pair in session.pairs if pair.log_ratio is not None]
    step = clock_step([ns for pair in fresh for ns in (pair.a_ns, pair.b_ns) if ns is not None])
    pooled = (*suspect.log_ratios, *(pair.log_ratio for pair in fresh if pair.log_ratio is not None))
    span = paired_span([x - suspect.expected for x in pooled], clock_step=step)
    if span is None:
        few = unconfirmed(suspect, session.reason or f"{len(pooled)} good pairs are too few to decide")
        return replace(few, log_ratios=pooled)
    margin = log_margin(session.margin)
    usual = decide(span, margin)
    sure = sure_span([x - suspect.expected for x in pooled], suspect.looks + 1, step=log_step(step))
    verdict = usual if usual is Verdict.EQUIVALENT else decide(sure, margin) if sure else Verdict.UNDECIDED
    if why_lopsided(session.pairs):
        verdict = Verdict.UNDECIDED
    # Without a suspicion either direction is news.
    asked = replace(suspect, worse=span.estimate > 0) if suspect.trigger in UNPROMPTED else suspect
    ratio, low, high = (math.exp(x + suspect.expected) for x in (span.estimate, span.low, span.high))
    return replace(
        _confirmation(asked, verdict, session.reason or ""),
        ratio=ratio,
        low=low,
        high=high,
        p_value=span.p_value,
        log_ratios=pooled,
        leaning=usual in (Verdict.REGRESSED, Verdict.IMPROVED) and asked.worse is (usual is Verdict.REGRESSED),
    )


def _by_launches(suspect: Suspect, metric: Metric, seen: Sides) -> Confirmation:
    good, new = (_values(side.good, metric) for side in (seen.a, seen.b))
    if any(value <= 0 for value in (*good, *new)):
        return unconfirmed(suspect, f"a launch has a {metric.label} of 0 or below: its clock cannot be trusted")
    # Welch and not `harness.stats.groups.group_span`: that interval is of ranks at 97 %, and its p-value is scaled from
    # it. So few launches have no ranks as far out as the error that a look may spend.
    effect = group_effect([math.log(value) for value in good], [math.log(value) for value in new])
    if not good or not new:
        return unconfirmed(suspect, f"no launch of a pair reported its {metric.label}")
    if effect is None:
        return unconfirmed(suspect, "there are fewer than two good launches on a side")
    verdict = decide(effect, log_margin(metric.relative_tolerance), higher_is_better=metric.higher_is_better)
    if verdict in (Verdict.REGRESSED, Verdict.IMPROVED) and effect.p_value > spent(suspect.looks + 1):
        verdict = Verdict.UNDECIDED
    ratio, low, high = (math.exp(x) for x in (effect.estimate, effect.low, effect.high))
    return replace(_confirmation(suspect, verdict), ratio=ratio, low=low, high=high, p_value=effect.p_value)


def _by_medians(suspect: Suspect, metric: Metric, seen: Sides) -> Confirmation:
    good, new = (_values(side.good, metric) for side in (seen.a, seen.b))
    if not good or not new:
        return unconfirmed(suspect, f"no launch reported its {metric.label}")
    before, after = median(good), median(new)
    verdict = by_tolerance(
        before,
        after,
        relative=metric.relative_tolerance,
        absolute=metric.absolute_tolerance,
        higher_is_better=metric.higher_is_better,
    )
    return replace(_confirmation(suspect, verdict), ratio=after / before if before else None)


def _values(launched: Sequence[Launched], metric: Metric) -> list[float]:
    """The metric of each launch that reported it."""
    if metric.read_launch is None:
        return []
    values = [metric.read_launch(launch.reply) for launch in launched]
    return [value for value in values if value is not None]
