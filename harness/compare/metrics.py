"""One rule a metric: how two measurements of like cells become a verdict.

The one decision: latency and load time by launches and an interval, accuracy and scores by the same inputs, memory and
size by a tolerance, because they hardly vary. What cannot carry a claim is ``undecided`` and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.plan.cells import Cell
from harness.records.measurement import Measurement
from harness.records.metrics import METRICS, Metric
from harness.spec.profiles import PROFILES
from harness.stats.bootstrap import mean_interval
from harness.stats.pairs import Effect, group_effect
from harness.stats.proportions import bits_to_correct, compare_correct, non_inferior
from harness.stats.verdicts import Span, Verdict, by_tolerance, decide, log_margin

SIGNIFICANT = 0.05
# Memory is the highest of the launches; of fewer than this the highest says little.
MEMORY_LAUNCHES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Changes that matter: of latency, relative; of accuracy, in shares (0.01 is one point)."""

    latency: float = METRICS[Metric.LATENCY].relative_tolerance
    accuracy: float = METRICS[Metric.ACCURACY].absolute_tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric of one cell: both figures in the unit of `harness.records.metrics`, the verdict, and what it rests on.

    ``change`` and its 95 % interval are relative (0.03 = B is 3 % more), for accuracy a difference of shares; ``low``
    and ``high`` are None where a figure carries no interval. ``margin`` is on the same scale.
    """

    metric: Metric
    verdict: Verdict
    a: float
    b: float
    change: float
    margin: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    effect: Effect | None = None
    reason: str | None = None


def compare_metrics(cell: Cell, a: Measurement, b: Measurement, margins: Margins) -> tuple[MetricComparison, ...]:
    """Compare every metric that both measurements have; raises nothing for what one of them lacks."""
    found = (
        _latency(cell, a, b, margins),
        _load(cell, a, b),
        _memory(a, b),
        _size(a, b),
        _accuracy(a, b, margins),
        _scores(a, b),
    )
    return tuple(one for one in found if one is not None)


def _latency(cell: Cell, a: Measurement, b: Measurement, margins: Margins) -> MetricComparison | None:
    if a.latency is None or b.latency is None:
        return None
    sides = [[la.median_ns for la in m.launches if not la.tainted] for m in (a, b)]
    medians = a.latency.median_ns, b.latency.median_ns
    found = _by_launches(Metric.LATENCY, medians, sides, margins.latency)
    tainted = a.latency.tainted or b.latency.tainted
    return (
        _without_claim(found, "no launch was good: the device throttled on every try")
        if tainted
        else (_held_to_profile(found, cell, min(len(s) for s in sides)))
    )


def _load(cell: Cell, a: Measurement, b: Measurement) -> MetricComparison | None:
    if a.load is None or b.load is None:
        return None
    sides = [[la.load_ns for la in m.launches if not la.tainted] for m in (a, b)]
    margin = METRICS[Metric.LOAD_TIME].relative_tolerance
    found = _by_launches(Metric.LOAD_TIME, (a.load.first_ns, b.load.first_ns), sides, margin)
    return _held_to_profile(found, cell, min(len(s) for s in sides))


def _by_launches(
    metric: Metric, figures: tuple[float, float], sides: list[list[int]], margin: float
) -> MetricComparison:
    """The ratio between two groups of launches with Welch's interval on the logarithm."""
    a, b = figures
    blank = MetricComparison(
        metric=metric, verdict=Verdict.UNDECIDED, a=a, b=b, change=b / a - 1 if a else 0.0, margin=margin
    )
    if any(value <= 0 for side in sides for value in side):
        return replace(blank, reason="a launch has a time of 0 or below: its clock cannot be believed")
    effect = group_effect(*[[math.log(value) for value in side] for side in sides])
    if effect is None:
        return replace(blank, reason=f"{len(sides[0])} and {len(sides[1])} launches: an interval needs two a side")
    span = Span(estimate=effect.estimate, low=effect.low, high=effect.high)
    return replace(
        blank,
        verdict=decide(span, log_margin(margin)),
        change=math.expm1(effect.estimate),
        low=math.expm1(effect.low),
        high=math.expm1(effect.high),
        p_value=effect.p_value,
        effect=effect,
    )


def _held_to_profile(found: MetricComparison, cell: Cell, launches: int) -> MetricComparison:
    claims = PROFILES[cell.profile].claims_from
    if claims is None:
        return _without_claim(found, f"profile {cell.profile.value!r} is indicative: measure with --profile standard")
    if launches < claims:
        needed = f"profile {cell.profile.value!r} supports a claim from {claims} good launches a side on"
        return _without_claim(found, f"{needed}, there are {launches}")
    return found


def _without_claim(found: MetricComparison, reason: str) -> MetricComparison:
    return replace(found, verdict=Verdict.UNDECIDED, reason=found.reason or reason)


def _memory(a: Measurement, b: Measurement) -> MetricComparison | None:
    if a.memory is None or b.memory is None:
        return None
    facts = METRICS[Metric.PEAK_MEMORY]
    sides = [m.peak_bytes if m.peak_bytes is not None else m.steady_bytes for m in (a.memory, b.memory)]
    grown = [side - m.baseline_bytes for side, m in zip(sides, (a.memory, b.memory), strict=True)]
    found = _by_size(Metric.PEAK_MEMORY, grown[0], grown[1])
    if a.memory.definition != b.memory.definition or (a.memory.peak_bytes is None) != (b.memory.peak_bytes is None):
        return replace(found, verdict=Verdict.NOT_COMPARABLE, reason="memory was read by unlike definitions")
    # The tolerance is of what the process holds, not of its growth, which may be tiny.
    verdict = by_tolerance(
        sides[0], sides[0] + grown[1] - grown[0], relative=facts.relative_tolerance, absolute=facts.absolute_tolerance
    )
    few = min(len(m.launches) for m in (a, b)) < MEMORY_LAUNCHES
    if few and verdict is not Verdict.EQUIVALENT:
        return replace(found, verdict=Verdict.UNDECIDED, reason=f"memory needs {MEMORY_LAUNCHES} launches a side")
    return replace(found, verdict=verdict)


def _size(a: Measurement, b: Measurement) -> MetricComparison | None:
    if a.artifact is None or b.artifact is None:
        return None
    return _by_size(Metric.SIZE, a.artifact.bytes, b.artifact.bytes)


def _by_size(metric: Metric, a: int, b: int) -> MetricComparison:
    facts = METRICS[metric]
    return MetricComparison(
        metric=metric,
        verdict=by_tolerance(a, b, relative=facts.relative_tolerance, absolute=facts.absolute_tolerance),
        a=a,
        b=b,
        change=b / a - 1 if a else 0.0,
        margin=facts.relative_tolerance,
    )


def _accuracy(a: Measurement, b: Measurement, margins: Margins) -> MetricComparison | None:
    """Exact McNemar on the same inputs, and non-inferiority; the keys have seen to it that the inputs are the same."""
    if a.accuracy is None or b.accuracy is None or a.accuracy.count != b.accuracy.count:
        return None
    blank = MetricComparison(
        metric=Metric.ACCURACY,
        verdict=Verdict.NOT_COMPARABLE,
        a=a.accuracy.value,
        b=b.accuracy.value,
        change=b.accuracy.value - a.accuracy.value,
        margin=margins.accuracy,
    )
    try:
        right = [bits_to_correct(m.correct_bits, m.count) for m in (a.accuracy, b.accuracy)]
    except ValueError as error:
        return replace(blank, reason=str(error))
    paired = compare_correct(right[0], right[1])
    sure = paired.p_value < SIGNIFICANT
    if non_inferior(paired, margins.accuracy):
        better = sure and paired.difference > 0 and paired.high >= margins.accuracy
        verdict = Verdict.IMPROVED if better else Verdict.EQUIVALENT
    else:
        verdict = Verdict.REGRESSED if sure and paired.difference < 0 else Verdict.UNDECIDED
    return replace(
        blank,
        verdict=verdict,
        change=paired.difference,
        low=paired.low,
        high=paired.high,
        p_value=paired.p_value,
        reason=f"{paired.lost} inputs lost, {paired.won} won of {paired.count}",
    )


def _scores(a: Measurement, b: Measurement) -> MetricComparison | None:
    """The metric of the model's folder: bootstrap of the differences, input by input."""
    if a.scores is None or b.scores is None or a.scores.metric != b.scores.metric or a.scores.count != b.scores.count:
        return None
    differences = [y - x for x, y in zip(a.scores.scores, b.scores.scores, strict=True)]
    low, high = mean_interval(differences)
    mean = sum(differences) / len(differences)
    margin = METRICS[Metric.SCORE].relative_tolerance * abs(a.scores.value) or METRICS[Metric.SCORE].relative_tolerance
    return MetricComparison(
        metric=Metric.SCORE,
        verdict=decide(Span(estimate=mean, low=low, high=high), margin, higher_is_better=True),
        a=a.scores.value,
        b=b.scores.value,
        change=mean,
        margin=margin,
        low=low,
        high=high,
        reason=f"{a.scores.metric} of the model's folder, {a.scores.count} inputs",
    )
