"""How two measurements of like cells become a verdict: one function per `ComparisonKind`.

Times are compared by launches and an interval, accuracy and scores input by input. Memory and size hardly vary, so a
tolerance is enough. What cannot support a claim is ``undecided``, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.plan.cells import Cell
from harness.records.measurement import Measurement
from harness.records.metric import ComparisonKind, Metric, Reading
from harness.records.metrics import METRICS, speeds_in_words
from harness.spec.profiles import PROFILES
from harness.stats.clock import clock_step
from harness.stats.groups import GROUP_LEVEL, group_span
from harness.stats.launches import typical
from harness.stats.losses import SIGNIFICANT
from harness.stats.means import LEAST_FOR_MEAN, mean_interval
from harness.stats.pairs import Effect, group_effect, shift_interval
from harness.stats.proportions import bits_to_correct, compare_correct, non_inferior
from harness.stats.resampling import LEAST_FOR_BOOTSTRAP, difference_interval
from harness.stats.speeds import at_main_speed, speeds_of
from harness.stats.verdicts import Span, Verdict, by_tolerance, decide, log_margin

# The change that matters, by metric name, on the scale of the comparison; other metrics use their row's tolerance.
Margins = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric of one cell: both values in the unit of `harness.records.metrics`, the verdict, and its basis.

    ``change`` and its 95 % interval are relative (0.03 = B is 3 % more); for accuracy and scores they are differences.
    ``low`` and ``high`` are None for a metric without an interval. ``margin`` is on the same scale.
    """

    metric: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two readings of one metric. ``margin`` is None where the metric's own tolerance applies."""

    metric: Metric
    cell: Cell
    a: Reading
    b: Reading
    margin: float | None

    def comparison(self, *, change: float, margin: float) -> MetricComparison:
        """Return a comparison that is still undecided."""
        return MetricComparison(
            metric=self.metric.name,
            verdict=Verdict.UNDECIDED,
            a=self.a.value,
            b=self.b.value,
            change=change,
            margin=margin,
        )

    @property
    def relative_change(self) -> float:
        """Return B over A less 1, 0 where A is 0."""
        return self.b.value / self.a.value - 1 if self.a.value else 0.0


def compare_metrics(
    cell: Cell, a: Measurement, b: Measurement, margins: Margins | None = None, *, one_unit: bool = True
) -> tuple[MetricComparison, ...]:
    """Compare every metric that both measurements have; without ``one_unit`` they may be of two devices."""
    compared: list[MetricComparison] = []
    for metric in METRICS.values():
        readings = metric.read(a), metric.read(b)
        if readings[0] is None or readings[1] is None:
            continue
        pair = _Pair(metric=metric, cell=cell, a=readings[0], b=readings[1], margin=(margins or {}).get(metric.name))
        comparison = _KINDS[metric.comparison](pair) if one_unit or not metric.same_unit else _two_units(pair)
        compared += [comparison] if comparison else []
    return tuple(compared)


def _two_units(pair: _Pair) -> MetricComparison:
    comparison = pair.comparison(change=pair.relative_change, margin=pair.metric.relative_tolerance)
    reason = f"{pair.metric.label} is comparable on one and the same device only, and these may be two"
    return replace(comparison, verdict=Verdict.NOT_COMPARABLE, reason=reason)


def _by_launches(pair: _Pair) -> MetricComparison:
    """The ratio between two groups of launches, as far as the launches and the profile support a claim."""
    if pair.a.definition != pair.b.definition:
        return _other_definitions(pair)
    comparison = _ratio_of_launches(pair)
    if pair.a.tainted or pair.b.tainted:
        return _without_claim(comparison, "no launch was good: the device throttled on every try")
    launches = min(len(pair.a.launches), len(pair.b.launches))
    claims_from = PROFILES[pair.cell.profile].claims_from
    profile = pair.cell.profile.value
    if claims_from is None:
        return _without_claim(comparison, f"profile {profile!r} is indicative: measure with --profile standard")
    if launches < claims_from:
        reason = f"profile {profile!r} supports a claim from {claims_from} good launches per side; there are {launches}"
        return _without_claim(comparison, reason)
    return comparison


def _ratio_of_launches(pair: _Pair) -> MetricComparison:
    """The ratio of typical launches, with the interval of the rank test (`harness.stats.groups`)."""
    pair = _with_typical_launches(pair)
    margin = pair.metric.relative_tolerance if pair.margin is None else pair.margin
    undecided = pair.comparison(change=pair.relative_change, margin=margin)
    sides = pair.a.launches, pair.b.launches
    if any(value <= 0 for side in sides for value in side):
        return replace(undecided, reason="a launch has a time of 0 or below: its clock cannot be trusted")
    if reason := _why_no_ratio(pair):
        return replace(undecided, reason=reason)
    logs = [[math.log(value) for value in side] for side in sides]
    step = max(pair.a.clock_step, pair.b.clock_step, clock_step([*sides[0], *sides[1]]))
    effect, span = group_effect(*logs), group_span(*logs, clock_step=step)
    if effect is None or span is None:
        counts = f"{len(sides[0])} and {len(sides[1])} launches"
        return replace(undecided, reason=f"{counts}: an interval needs at least two per side")
    comparison = replace(
        undecided,
        verdict=decide(span, log_margin(margin), higher_is_better=pair.metric.higher_is_better),
        low=math.expm1(span.low),
        high=math.expm1(span.high),
        p_value=span.p_value,
        effect=effect,
    )
    if span.low <= math.log1p(pair.relative_change) <= span.high:
        return comparison
    return _without_claim(comparison, "the launches of A and B are spread too differently for one ratio between them")


def _with_typical_launches(pair: _Pair) -> _Pair:
    """``pair`` with the figures that the interval is about; earlier versions stored the plain median of launches."""
    readings = []
    for reading in (pair.a, pair.b):
        alike = at_main_speed(reading.launches, speeds_of(reading.launches))
        launches = [reading.launches[index] for index in alike]
        readings.append(replace(reading, value=typical(launches)) if launches else reading)
    return replace(pair, a=readings[0], b=readings[1])


def _why_no_ratio(pair: _Pair) -> str | None:
    """Why the launches of a side have no typical time, or None if they have."""
    for name, reading in (("A", pair.a), ("B", pair.b)):
        if speeds := speeds_of(reading.launches):
            levels = speeds_in_words(pair.metric, speeds)
            return f"{name} ran at {len(speeds)} speeds ({levels}): measure more launches, or find out what differs"
    return None


def _without_claim(comparison: MetricComparison, reason: str) -> MetricComparison:
    return replace(comparison, verdict=Verdict.UNDECIDED, reason=comparison.reason or reason)


def _by_tolerance(pair: _Pair) -> MetricComparison:
    metric, a, b = pair.metric, pair.a, pair.b
    if a.definition != b.definition or a.stand_in is not b.stand_in:
        return _other_definitions(pair)
    pair = _with_equal_counts(pair)
    comparison = pair.comparison(change=pair.relative_change, margin=metric.relative_tolerance)
    verdict = _tolerance_verdict(pair)
    if verdict is Verdict.EQUIVALENT:
        return replace(comparison, verdict=verdict)
    if no_claim := _why_no_claim(pair):
        return replace(comparison, reason=no_claim)
    return replace(comparison, verdict=verdict)


def _other_definitions(pair: _Pair) -> MetricComparison:
    comparison = pair.comparison(change=pair.relative_change, margin=pair.metric.relative_tolerance)
    reason = f"the two runs define {pair.metric.label} differently"
    return replace(comparison, verdict=Verdict.NOT_COMPARABLE, reason=reason)


def _tolerance_verdict(pair: _Pair) -> Verdict:
    metric, before, after = pair.metric, pair.a.value, pair.b.value
    # Compare what is held in all, so that the relative tolerance does not shrink with a small growth. The baseline of A
    # serves both sides, because baselines differ between processes.
    if pair.a.held is not None:
        before, after = pair.a.held, pair.a.held + (after - before)
    return by_tolerance(
        before,
        after,
        relative=metric.relative_tolerance,
        absolute=metric.absolute_tolerance,
        higher_is_better=metric.higher_is_better,
    )


def _with_equal_counts(pair: _Pair) -> _Pair:
    """``pair`` with figures that may be compared, where one run stored the middle launch and the other the highest.

    Earlier versions stored the highest of all launches. It is compared with the highest of as many launches.
    """
    sides = {"a": pair.a, "b": pair.b}
    for name, other in (("a", pair.b), ("b", pair.a)):
        one = sides[name]
        if one.launches and not other.launches and len(one.launches) >= other.count:
            sides[name] = replace(one, value=max(one.launches[: other.count]), launches=(), count=other.count)
    return replace(pair, a=sides["a"], b=sides["b"])


def _why_no_claim(pair: _Pair) -> str | None:
    """Why a difference beyond the tolerance says nothing, or None if it does."""
    metric, a, b = pair.metric, pair.a, pair.b
    if min(a.count, b.count) < metric.least_launches:
        return f"{metric.label} needs {metric.least_launches} launches per side"
    if a.launches and b.launches:
        return None if _are_apart(a.launches, b.launches) else f"{metric.label} varies as much from launch to launch"
    if metric.least_launches and a.count != b.count:
        return f"a run stores only the highest of its launches, {a.count} in A and {b.count} in B: more are higher"
    return None


def _are_apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two groups of launches differ by more than launches of one group do."""
    low, high = shift_interval(a, b, level=GROUP_LEVEL)
    if low is not None and high is not None:
        return low > 0 or high < 0
    # Three launches have no interval: they must be further apart than either group is wide.
    below, above = sorted((a, b), key=min)
    return min(above) - max(below) > max(max(a) - min(a), max(b) - min(b))


def _by_answers(pair: _Pair) -> MetricComparison | None:
    """Exact McNemar on the same inputs, and non-inferiority. The comparison keys ensure that the inputs are the same.

    Where inputs have several answers, which depend on each other, their scores are compared instead. Returns None for
    different counts of answers.
    """
    a, b = pair.a, pair.b
    if a.count != b.count or bool(a.scores) is not bool(b.scores):
        return None
    if a.scores:
        return _by_scores(pair)
    margin = pair.metric.absolute_tolerance if pair.margin is None else pair.margin
    comparison = pair.comparison(change=b.value - a.value, margin=margin)
    try:
        right = [bits_to_correct(reading.correct_bits, reading.count) for reading in (a, b)]
    except ValueError as error:
        return replace(comparison, verdict=Verdict.NOT_COMPARABLE, reason=str(error))
    paired = compare_correct(right[0], right[1])
    significant = paired.p_value < SIGNIFICANT
    if non_inferior(paired, margin):
        better = significant and paired.difference > 0 and paired.high >= margin
        verdict = Verdict.IMPROVED if better else Verdict.EQUIVALENT
    else:
        verdict = Verdict.REGRESSED if significant and paired.difference < 0 else Verdict.UNDECIDED
    return replace(
        comparison,
        verdict=verdict,
        change=paired.difference,
        low=paired.low,
        high=paired.high,
        p_value=paired.p_value,
        reason=f"{paired.lost} {'input' if paired.lost == 1 else 'inputs'} lost, {paired.won} won of {paired.count}",
    )


def _by_scores(pair: _Pair) -> MetricComparison | None:
    """The interval of the difference over inputs; None for different counts of inputs or different scales.

    Scores of inputs have a t interval of their differences, a score of all inputs at once a paired bootstrap.
    """
    metric, a, b = pair.metric, pair.a, pair.b
    if a.scale != b.scale or len(a.scores) != len(b.scores):
        return None
    margin = pair.margin or a.tolerance or metric.absolute_tolerance or metric.relative_tolerance * abs(a.value)
    compared = paired_difference(a, b)
    # A score of 0 has no relative margin; the tolerance itself then serves as an absolute one.
    comparison = pair.comparison(change=compared.estimate, margin=margin or metric.relative_tolerance)
    if compared.interval is None:
        return replace(comparison, reason=f"{compared.count} inputs: a claim needs at least {compared.least_inputs}")
    low, high = compared.interval
    span = Span(estimate=compared.estimate, low=low, high=high)
    return replace(
        comparison,
        verdict=decide(span, comparison.margin, higher_is_better=metric.higher_is_better),
        low=low,
        high=high,
        reason=f"{a.scale or metric.label}, {compared.count} inputs",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """B less A on the same inputs, with the 95 % interval over inputs; None for fewer than ``least_inputs``."""

    estimate: float
    interval: tuple[float, float] | None
    count: int
    least_inputs: int


def paired_difference(a: Reading, b: Reading) -> PairedDifference:
    """Compare two readings of one metric on the same inputs, by their scores or by the replicates of their draws."""
    if a.scores:
        differences = [y - x for x, y in zip(a.scores, b.scores, strict=True)]
        # Equal scores on every input need no statistics, however few inputs there are.
        interval = mean_interval(differences) if any(differences) else (0.0, 0.0)
        mean = sum(differences) / len(differences)
        return PairedDifference(estimate=mean, interval=interval, count=len(differences), least_inputs=LEAST_FOR_MEAN)
    difference = b.value - a.value
    same = difference == 0 and a.replicates == b.replicates
    interval = (0.0, 0.0) if same else difference_interval(difference, a.replicates, b.replicates, a.count)
    return PairedDifference(estimate=difference, interval=interval, count=a.count, least_inputs=LEAST_FOR_BOOTSTRAP)


_KINDS: dict[ComparisonKind, Callable[[_Pair], MetricComparison | None]] = {
    ComparisonKind.LAUNCHES: _by_launches,
    ComparisonKind.TOLERANCE: _by_tolerance,
    ComparisonKind.ANSWERS: _by_answers,
    ComparisonKind.SCORES: _by_scores,
}

# Kinds whose change is a difference on the metric's own scale; that of the others is relative.
ABSOLUTE_KINDS = frozenset({ComparisonKind.ANSWERS, ComparisonKind.SCORES})
