"""The points of a search: each cell of its run with its loss of quality, the Pareto front, and the point to ship.

A point without a measurement never wins, and neither does a point of unknown quality if others were judged. Quality is
judged like that of a report (`harness.compare.quality`), with the limit of the goal; speed counts by intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.compare.choice import Candidate, preferred
from harness.compare.quality import (
    GOOD,
    LIMITS,
    Limits,
    Quality,
    QualityBasis,
    QualityFacts,
    Reference,
    is_noise,
    judge_quality,
    reference_of,
)
from harness.compare.speed import LatencyRange, is_slower, range_of
from harness.plan.cells import Cell
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus, GroupFacts, Measurement
from harness.spec.goal import Goal, Minimise
from harness.spec.recipe import Precision, Recipe
from harness.stats.pareto import pareto_front
from harness.store.records import RunRecord

# In floating point a drop of 0.01 may come out as 0.010000000000000009; it must still be within 0.01.
_SLACK = 1e-9
# Where the smallest point is asked for, sizes this close are equal, and the closer one to the float model is better.
SAME_SIZE = 1.02


class DropBasis(StrEnum):
    """What the drop of a point is measured by."""

    SCORE = "the model's own metric against the float model's"
    ACCURACY = "accuracy below fp32's"
    AGREEMENT = "inputs on which the answer is not the float model's"
    SQNR = "SQNR against the float model"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One cell of a search.

    ``drop`` is a share (0…1, negative for an improvement), None if unknown; for a model's own metric that is no share
    itself, of the float model's value. ``judged`` says what the inputs show about it; None for a cell that did not run.
    ``group``: what its classes or groups lost; None where that is not known.
    """

    cell: Cell
    recipe: Recipe
    status: CellStatus
    reason: str | None = None
    drop: float | None = None
    quality: float | None = None
    judged: QualityFacts | None = None
    group: GroupFacts | None = None
    speed: LatencyRange | None = None
    bytes: int | None = None
    conditions: frozenset[ConditionId] = field(default_factory=frozenset)

    @property
    def latency_ns(self) -> float | None:
        """The median latency; None if it was not measured."""
        return self.speed.median_ns if self.speed else None

    @property
    def on_software_gpu(self) -> bool:
        """Whether the processor imitated a GPU, so that the times are no GPU's."""
        return ConditionId.SOFTWARE_GPU in self.conditions

    def value(self, minimise: Minimise) -> float:
        """Return the value to minimise; infinite if it was not measured."""
        value = self.latency_ns if minimise is Minimise.LATENCY else self.bytes
        return float("inf") if value is None else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All points of a search so far, in the order they were tried, and the basis of their drops.

    ``reference`` is the accuracy (0…1) or the value of the metric from which the drop is counted, None without labels.
    ``in_points``: drops are percentage points, and not per cent of the float model's value.
    """

    goal: Goal
    points: tuple[Point, ...]
    basis: DropBasis
    reference: float | None
    in_points: bool = True

    def keeps(self, point: Point) -> bool:
        """Return whether ``point`` ran, and its loss of quality is within the goal, shown or likely."""
        if point.status is not CellStatus.OK or self.fails_a_group(point):
            return False
        return self.basis is DropBasis.NOTHING or (point.judged is not None and point.judged.quality in GOOD)

    def fails_a_group(self, point: Point) -> bool:
        """Return whether one class or group lost more than the goal allows, as measured."""
        limit = self.goal.max_group_drop
        drop = point.group.worst_drop if point.group is not None else None
        return limit is not None and drop is not None and drop > limit + _SLACK

    def of_quality(self, quality: Quality) -> tuple[Point, ...]:
        """Return the points that ran and have this quality, in the order they were tried."""
        return tuple(
            p for p in self.points if p.status is CellStatus.OK and p.judged is not None and p.judged.quality is quality
        )

    @property
    def kept(self) -> tuple[Point, ...]:
        """The points that keep the quality, the best by the goal first. Ties go to the smaller or faster point.

        A point on a GPU imitated in software is none of them: its times are no GPU's.
        """
        return tuple(sorted((p for p in self.points if self.keeps(p) and not p.on_software_gpu), key=self._order))

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other beats in both the minimised value and quality, the smallest or fastest first."""
        ran = [p for p in self.points if p.status is CellStatus.OK and p.quality is not None and not p.on_software_gpu]
        pairs = [(p.value(self.goal.minimise), p.quality or 0.0) for p in ran]
        return tuple(ran[index] for index in pareto_front(pairs))

    @property
    def ship(self) -> Point | None:
        """The point to ship.

        When minimising size: the smallest of `kept` that is not slower than fp32 of its format, else the smallest. When
        minimising latency: of those not slower than the fastest, one of the smallest. Of equally small ones, the
        closest to the float model.
        """
        return self.best(self.kept)

    def best(self, kept: Sequence[Point]) -> Point | None:
        """Return the one of ``kept`` (ordered like `kept`) that `ship` would choose; None if there are none."""
        if self.goal.minimise is Minimise.LATENCY and kept:
            return _preferred([p for p in kept if not _is_slower(p, kept[0])])
        return _preferred([p for p in kept if not self.is_too_slow(p)] or kept, size_class=SAME_SIZE)

    def plain(self, point: Point) -> Point | None:
        """Return the fp32 point that ``point`` is compared with: same format, delegate and threads."""
        cell = point.cell
        same = (cell.format, cell.delegate, cell.threads)
        floats = (p for p in self.points if not p.recipe.steps and p.recipe.precision is Precision.FP32)
        return next((p for p in floats if (p.cell.format, p.cell.delegate, p.cell.threads) == same), None)

    def is_slower(self, point: Point) -> bool:
        """Return whether ``point`` is slower than fp32 of its format, by intervals that are apart."""
        plain = self.plain(point)
        return plain is not None and _is_slower(point, plain)

    def is_too_slow(self, point: Point) -> bool:
        """Return whether ``point`` is passed over for its speed: slower than fp32, on a device that can show it.

        When size is minimised, the speed of fp16 and int8 on a desktop CPU does not count, because it does not predict
        their speed on a phone. When latency is minimised, it is the speed of this very computer that is asked for.
        """
        elsewhere = ConditionId.DESKTOP_CPU in point.conditions and point.recipe.precision is not Precision.FP32
        return self.is_slower(point) and not (elsewhere and self.goal.minimise is Minimise.SIZE)

    def _order(self, point: Point) -> tuple[float, float]:
        other = Minimise.SIZE if self.goal.minimise is Minimise.LATENCY else Minimise.LATENCY
        return point.value(self.goal.minimise), point.value(other)


def findings(run: RunRecord, goal: Goal) -> Findings:
    """Return the findings of a search's run so far; cells that have not run yet are not points."""
    measured = {m.cell: m for m in run.measurements}
    recipes = run.head.spec.recipes()
    cells = [*run.head.plan.cells, *(hole.cell for hole in run.head.plan.holes)]
    tried = [(cell, measured[cell.key]) for cell in cells if cell.key in measured]
    ran = [(cell, m) for cell, m in tried if m.status is CellStatus.OK]
    reference = reference_of(ran, run.head.models[0] if run.head.models else None)
    if not any(m.accuracy or m.scores for _, m in ran):
        reference = Reference()
    basis = _basis(reference, tried)
    # Without labels the limit is on the answers that differ from the float model's, which are at least those lost.
    disagreement = goal.max_drop if basis is DropBasis.AGREEMENT else LIMITS.disagreement
    judge = _Judge(basis=basis, reference=reference, limits=Limits(loss=goal.max_drop, disagreement=disagreement))
    points = tuple(judge.point(cell, recipes[cell.variant], m) for cell, m in tried)
    in_points = basis is not DropBasis.SCORE or reference.share
    return Findings(goal=goal, points=points, basis=basis, reference=reference.value, in_points=in_points)


def _basis(reference: Reference, tried: Sequence[tuple[Cell, Measurement]]) -> DropBasis:
    match reference.basis:
        case QualityBasis.SCORE:
            return DropBasis.SCORE
        case QualityBasis.ACCURACY:
            return DropBasis.ACCURACY
        case _:
            if any(_agreement(m) is not None for _, m in tried):
                return DropBasis.AGREEMENT
            return DropBasis.SQNR if any(not is_noise(m) and m.fidelity for _, m in tried) else DropBasis.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """What the points of one search are judged by."""

    basis: DropBasis
    reference: Reference
    limits: Limits

    def point(self, cell: Cell, recipe: Recipe, measurement: Measurement) -> Point:
        """Return the point of ``cell``."""
        ran = measurement.status is CellStatus.OK
        judged = judge_quality(measurement, self.reference, self.limits) if ran else None
        quality = self._quality(measurement)
        return Point(
            cell=cell,
            recipe=recipe,
            status=measurement.status,
            reason=measurement.reason,
            drop=None if quality is None else self._drop(quality, judged),
            quality=quality,
            judged=judged,
            group=measurement.groups if ran else None,
            speed=range_of(measurement.latency) if measurement.latency else None,
            bytes=measurement.artifact.bytes if measurement.artifact else None,
            conditions=frozenset(condition.id for condition in measurement.conditions),
        )

    def _quality(self, measurement: Measurement) -> float | None:
        match self.basis:
            case DropBasis.SCORE:
                return self._sign * measurement.scores.value if measurement.scores else None
            case DropBasis.ACCURACY:
                return measurement.accuracy.value if measurement.accuracy else None
            case _:
                return _agreement(measurement)

    def _drop(self, quality: float, judged: QualityFacts | None) -> float:
        if judged is not None and judged.loss is not None:
            # The limit of a metric is a share of the float model's value, and so is its drop.
            return judged.loss.loss * (self.limits.loss / judged.loss.limit if judged.loss.limit else 1.0)
        return (self._sign * self.reference.value if self.reference.value is not None else 1.0) - quality

    @property
    def _sign(self) -> float:
        """Turns a metric around of which lower values are better."""
        return 1.0 if self.reference.higher_is_better else -1.0


def _agreement(measurement: Measurement) -> float | None:
    """Agreement with the float model, on the device or else at export; None if it means nothing (noise)."""
    if is_noise(measurement):
        return None
    if measurement.fidelity is not None:
        return measurement.fidelity.agreement
    return measurement.artifact.agreement if measurement.artifact else None


def _preferred(points: Sequence[Point], **options: float) -> Point | None:
    by_key = {point.cell.key: point for point in points}
    chosen = preferred([_candidate(point) for point in points], **options)
    return by_key[chosen.key] if chosen else None


def _candidate(point: Point) -> Candidate:
    return Candidate(
        key=point.cell.key,
        bytes=point.value(Minimise.SIZE),
        closeness_db=point.judged.closeness_db if point.judged else None,
        latency_ns=point.value(Minimise.LATENCY),
    )


def _is_slower(one: Point, other: Point) -> bool:
    return one.speed is not None and other.speed is not None and is_slower(one.speed, other.speed)
