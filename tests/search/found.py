"""Made-up findings of a search, from a rule for how each point ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.compare.quality import Quality, QualityBasis, QualityFacts
from harness.compare.speed import one_launch
from harness.plan.cells import make_cell
from harness.records.measurement import CellStatus
from harness.search.points import DropBasis, Findings, Point
from harness.spec import formats
from harness.spec.goal import Goal, Minimise
from harness.spec.profiles import ProfileName
from harness.spec.recipe import Precision, Prune, Recipe
from harness.wire import Format

GOAL = Goal(max_drop=0.01, minimise=Minimise.SIZE)
FORMATS = (Format.TFLITE, Format.ONNX)
SIZES = {Precision.FP32: 100_000, Precision.FP16: 50_000, Precision.INT8: 27_000, Precision.INT8_DYNAMIC: 30_000}

Rule = Callable[[Recipe, Format], Point]


def ratio_of(recipe: Recipe) -> float:
    """The share of channels that a recipe removes."""
    return sum(step.ratio for step in recipe.steps if isinstance(step, Prune))


def point(recipe: Recipe, format_: Format, **changes: object) -> Point:
    """A point that ran: the more is pruned, the smaller and faster it is, without a drop."""
    left = 1 - ratio_of(recipe)
    drop = changes.get("drop", 0.0)
    assert drop is None or isinstance(drop, float)
    plain = Point(
        cell=make_cell("m", recipe.name, format_, formats.FORMATS[format_].delegates[0], 1, "host", ProfileName.QUICK),
        recipe=recipe,
        status=CellStatus.OK,
        drop=0.0,
        quality=1.0,
        judged=judged(Quality.LOST if drop is None or drop > 0.01 else Quality.HOLDS),
        speed=one_launch(1000.0 * left),
        bytes=int(SIZES[recipe.precision] * left) + (5000 if format_ is Format.ONNX else 0),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def judged(quality: Quality, closeness_db: float = 30.0) -> QualityFacts:
    """What the inputs show about a point."""
    return QualityFacts(quality=quality, basis=QualityBasis.ACCURACY, closeness_db=closeness_db)


def breaks_at(limit: float) -> Rule:
    """A rule by which the quality is lost when more than ``limit`` of the channels are removed."""

    def rule(recipe: Recipe, format_: Format) -> Point:
        return point(recipe, format_, drop=0.2 if ratio_of(recipe) > limit else 0.0)

    return rule


def findings_of(points: Iterable[Point], goal: Goal = GOAL, basis: DropBasis = DropBasis.ACCURACY) -> Findings:
    """Findings with these points."""
    return Findings(goal=goal, points=tuple(points), basis=basis, reference=0.99)
