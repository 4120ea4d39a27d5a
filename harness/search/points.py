"""The points of a search: each cell of its run with its loss of quality, the Pareto front, and the point to ship.

A point without a measurement never wins, and neither does a point of unknown quality if others were judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.plan.cells import Cell
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus, Measurement
from harness.records.metrics import LATENCY
from harness.spec.goal import Goal, Minimise
from harness.spec.recipe import Precision, Recipe
from harness.stats.pareto import pareto_front
from harness.store.records import RunRecord

# In floating point a drop of 0.01 may come out as 0.010000000000000009; it must still be within 0.01.
_SLACK = 1e-9
_NO_FIDELITY = (ConditionId.RANDOM_WEIGHTS, ConditionId.RANDOM_INPUTS)


class DropBasis(StrEnum):
    """What the drop of a point is measured by."""

    ACCURACY = "accuracy below fp32's"
    AGREEMENT = "inputs on which the answer is not the float model's"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One cell of a search. ``drop`` is a share (0…1, negative for an improvement), None if unknown."""

    cell: Cell
    recipe: Recipe
    status: CellStatus
    reason: str | None = None
    drop: float | None = None
    quality: float | None = None
    latency_ns: float | None = None
    bytes: int | None = None
    conditions: frozenset[ConditionId] = field(default_factory=frozenset)

    def value(self, minimise: Minimise) -> float:
        """Return the value to minimise; infinite if it was not measured."""
        value = self.latency_ns if minimise is Minimise.LATENCY else self.bytes
        return float("inf") if value is None else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All points of a search so far, in the order they were tried, and the basis of their drops.

    ``reference`` is the accuracy (0…1) from which the drop is counted, None without labels.
    """

    goal: Goal
    points: tuple[Point, ...]
    basis: DropBasis
    reference: float | None

    def keeps(self, point: Point) -> bool:
        """Return whether ``point`` ran and lost no more quality than the goal allows."""
        if point.status is not CellStatus.OK:
            return False
        return self.basis is DropBasis.NOTHING or (point.drop is not None and point.drop <= self.goal.max_drop + _SLACK)

    @property
    def kept(self) -> tuple[Point, ...]:
        """The points that keep the quality, the best by the goal first. Ties go to the smaller or faster point."""
        return tuple(sorted((p for p in self.points if self.keeps(p)), key=self._order))

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other beats in both the minimised value and quality, the smallest or fastest first."""
        ran = [p for p in self.points if p.status is CellStatus.OK and p.quality is not None]
        pairs = [(p.value(self.goal.minimise), p.quality or 0.0) for p in ran]
        return tuple(ran[index] for index in pareto_front(pairs))

    @property
    def ship(self) -> Point | None:
        """The point to ship.

        When minimising size: the first of `kept` that is no slower than fp32 of its format, else the first. When
        minimising latency: the smallest of those about as fast as the fastest.
        """
        return self.best(self.kept)

    def best(self, kept: Sequence[Point]) -> Point | None:
        """Return the one of ``kept`` (ordered like `kept`) that `ship` would choose; None if there are none."""
        if self.goal.minimise is Minimise.LATENCY and kept:
            limit = _slower(kept[0].value(Minimise.LATENCY))
            return min((p for p in kept if p.value(Minimise.LATENCY) <= limit), key=lambda p: p.value(Minimise.SIZE))
        return next((p for p in kept if not self.is_slower(p)), kept[0] if kept else None)

    def plain(self, point: Point) -> Point | None:
        """Return the fp32 point that ``point`` is compared with: same format, delegate and threads."""
        cell = point.cell
        same = (cell.format, cell.delegate, cell.threads)
        floats = (p for p in self.points if not p.recipe.steps and p.recipe.precision is Precision.FP32)
        return next((p for p in floats if (p.cell.format, p.cell.delegate, p.cell.threads) == same), None)

    def is_slower(self, point: Point) -> bool:
        """Return whether ``point`` is slower than fp32 of its format by more than the latency tolerance."""
        plain = self.plain(point)
        if plain is None or plain.latency_ns is None or point.latency_ns is None:
            return False
        return point.latency_ns > _slower(plain.latency_ns)

    def _order(self, point: Point) -> tuple[float, float]:
        other = Minimise.SIZE if self.goal.minimise is Minimise.LATENCY else Minimise.LATENCY
        return point.value(self.goal.minimise), point.value(other)


def findings(run: RunRecord, goal: Goal) -> Findings:
    """Return the findings of a search's run so far; cells that have not run yet are not points."""
    measured = {m.cell: m for m in run.measurements}
    recipes = run.head.spec.recipes()
    cells = [*run.head.plan.cells, *(hole.cell for hole in run.head.plan.holes)]
    tried = [(cell, measured[cell.key]) for cell in cells if cell.key in measured]
    reference = _reference(run, [(cell, m) for cell, m in tried if m.status is CellStatus.OK])
    basis = DropBasis.NOTHING
    if reference is not None:
        basis = DropBasis.ACCURACY
    elif any(_agreement(m) is not None for _, m in tried):
        basis = DropBasis.AGREEMENT
    points = tuple(_point(cell, recipes[cell.variant], m, (basis, reference)) for cell, m in tried)
    return Findings(goal=goal, points=points, basis=basis, reference=reference)


def _point(cell: Cell, recipe: Recipe, measurement: Measurement, judged: tuple[DropBasis, float | None]) -> Point:
    basis, reference = judged
    quality, whole = _agreement(measurement), 1.0
    if basis is DropBasis.ACCURACY:
        quality = measurement.accuracy.value if measurement.accuracy else None
        whole = reference or 0.0
    return Point(
        cell=cell,
        recipe=recipe,
        status=measurement.status,
        reason=measurement.reason,
        drop=None if quality is None else whole - quality,
        quality=quality,
        latency_ns=measurement.latency.median_ns if measurement.latency else None,
        bytes=measurement.artifact.bytes if measurement.artifact else None,
        conditions=frozenset(condition.id for condition in measurement.conditions),
    )


def _reference(run: RunRecord, ran: Sequence[tuple[Cell, Measurement]]) -> float | None:
    """The best fp32 accuracy on the device, else the float network's own if accuracies were measured at all."""
    fp32 = [m.accuracy.value for cell, m in ran if m.accuracy and cell.variant == Precision.FP32]
    if fp32:
        return max(fp32)
    facts = run.head.models[0] if run.head.models else None
    if facts is None or not any(m.accuracy for _, m in ran):
        return None
    return facts.float_accuracy


def _agreement(measurement: Measurement) -> float | None:
    """Agreement with the float model, on the device or else at export; None if it means nothing (noise)."""
    if any(condition.id in _NO_FIDELITY for condition in measurement.conditions):
        return None
    if measurement.fidelity is not None:
        return measurement.fidelity.agreement
    return measurement.artifact.agreement if measurement.artifact else None


def _slower(latency_ns: float) -> float:
    return latency_ns * (1 + LATENCY.relative_tolerance)
