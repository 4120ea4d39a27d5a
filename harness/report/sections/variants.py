"""What was done to each variant: its steps, sizes of the network, packed files, and what its quality cost against data.

The one decision: a row a variant and not a row a cell, since every format of a variant starts from the same network;
what differs by format stands in columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from harness.records import units
from harness.records.artifact import ArtifactFacts, CalibrationSource
from harness.records.measurement import CellStatus
from harness.records.steps import LayerReport
from harness.report.sections.steps import count, step_words
from harness.report.view import CellView
from harness.spec.formats import FORMATS
from harness.spec.recipe import CalibrationFrom, Precision, Recipe
from harness.wire import Format

_DATA_FREE = (CalibrationSource.BATCH_NORM.value, CalibrationSource.RANGE.value)
_CALIBRATIONS = {
    CalibrationSource.DATA.value: "calibrated on data",
    CalibrationSource.RANDOM.value: "calibrated on noise",
    CalibrationSource.BATCH_NORM.value: "calibrated without data, by the batch norms' statistics",
    CalibrationSource.RANGE.value: "calibrated without data, over the declared range",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One variant of one model. ``words`` is what was done, a line each; ``notes`` is what to know of it.

    ``parameters`` and ``macs`` carry their share of the fp32 network's. ``packed`` is the size of the file as an app
    store transfers it, by format. ``layers`` is what became of single layers, by step.
    """

    model: str
    variant: str
    words: tuple[str, ...]
    notes: tuple[str, ...]
    parameters: str
    macs: str
    packed: dict[Format, str]
    layers: dict[str, tuple[LayerReport, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneTable:
    """All variants, the formats that have a column, and the unit of the packed sizes."""

    formats: tuple[Format, ...]
    unit: str
    rows: tuple[Done, ...]


def done_table(views: Iterable[CellView], recipes: dict[str, Recipe]) -> DoneTable:
    """Return what was done to the variants of ``views`` that were built; ``recipes`` are those of the run by name."""
    built = [v for v in views if v.artifact is not None]
    unit = units.size_unit(v.artifact.compressed_bytes for v in built if v.artifact)
    groups: dict[tuple[str, str], list[CellView]] = {}
    for view in built:
        groups.setdefault((view.cell.model, view.cell.variant), []).append(view)
    formats = tuple(f for f in FORMATS if any(v.cell.format is f for v in built))
    rows = tuple(_done(members, built, recipes, unit) for members in groups.values())
    return DoneTable(formats=formats, unit=unit.name, rows=rows)


def _done(members: Sequence[CellView], built: Sequence[CellView], recipes: dict[str, Recipe], unit: units.Unit) -> Done:
    cell, facts = members[0].cell, _artifact(members[0])
    plain = next((_artifact(v) for v in built if v.cell.model == cell.model and v.cell.variant == Precision.FP32), None)
    recipe = recipes.get(cell.variant)
    words = [step_words(step) for step in facts.steps]
    words += [_precision_words(facts, recipe)] if recipe else ["as it came"]
    notes = [f"{step.step}: {note}" for step in facts.steps for note in step.notes]
    return Done(
        model=cell.model,
        variant=cell.variant,
        words=tuple(words),
        notes=(*notes, *_training_notes(facts, recipe), *_kept_notes(members), *_data_notes(members, built, recipes)),
        parameters=_against(facts.parameters, plain.parameters if plain else None),
        macs=_against(facts.macs, plain.macs if plain else None),
        packed={v.cell.format: unit.show(_artifact(v).compressed_bytes) for v in members},
        layers={step.step: step.layers for step in facts.steps if step.layers},
    )


def _artifact(view: CellView) -> ArtifactFacts:
    assert view.artifact is not None
    return view.artifact


def _precision_words(facts: ArtifactFacts, recipe: Recipe) -> str:
    words = recipe.precision.value
    if recipe.calibrated:
        knobs = recipe.quantisation
        words += f", {'per channel' if knobs.per_channel else 'per tensor'}, {knobs.observer.value} observer"
    calibration = _CALIBRATIONS.get(facts.calibration)
    return f"{words}, {calibration}" if calibration else words


def _against(value: int | None, plain: int | None) -> str:
    if value is None or not plain or value == plain:
        return count(value)
    return f"{count(value)} ({units.ratio(value / plain)})"


def _training_notes(facts: ArtifactFacts, recipe: Recipe | None) -> list[str]:
    """Steps that the recipe says not to train after."""
    untrained = [step for step in recipe.steps if getattr(step, "fine_tune", None) is False] if recipe else []
    names = ", ".join(str(step.__struct_config__.tag) for step in untrained)
    return [f"fine_tune = false: not trained again after {names}"] if names and facts.steps else []


def _kept_notes(members: Sequence[CellView]) -> list[str]:
    """The layers left in float, once where they are the same in every format."""
    kept = {v.cell.format: _artifact(v).kept_float for v in members if _artifact(v).kept_float}
    if not kept:
        return []
    if len(set(kept.values())) == 1:
        return [f"in float: {', '.join(next(iter(kept.values())))}"]
    return [f"in float as {format_.value}: {', '.join(layers)}" for format_, layers in kept.items()]


def _data_notes(members: Sequence[CellView], built: Sequence[CellView], recipes: dict[str, Recipe]) -> list[str]:
    """What doing without data cost against the same recipe with data, by format; a hint where that did not run."""
    free = [v for v in members if _artifact(v).calibration in _DATA_FREE]
    recipe = recipes.get(members[0].cell.variant)
    if not free or recipe is None:
        return []
    costs = []
    for view in free:
        twin = next((v for v in built if _is_twin(v, view, recipe, recipes)), None)
        if twin is not None:
            costs.append(f"{view.cell.format.value} {_cost(view, twin)}")
    if not costs:
        return ["the same recipe calibrated on data is not in this run: add it to see what doing without data costs"]
    return [f"against the same recipe calibrated on data: {'; '.join(costs)}"]


def _is_twin(view: CellView, free: CellView, recipe: Recipe, recipes: dict[str, Recipe]) -> bool:
    """Whether ``view`` is ``free`` but for where its calibration inputs come from."""
    other = recipes.get(view.cell.variant)
    if other is None or view.status is not CellStatus.OK:
        return False
    with_data = msgspec.structs.replace(recipe.quantisation, calibration=CalibrationFrom.DATA)
    wanted = msgspec.structs.replace(recipe, name=other.name, quantisation=with_data)
    return other == wanted and _place(view) == _place(free)


def _place(view: CellView) -> tuple[object, ...]:
    cell = view.cell
    return cell.model, cell.format, cell.backend, cell.delegate, cell.threads, cell.device


def _cost(view: CellView, twin: CellView) -> str:
    parts = []
    if view.sqnr_db is not None and twin.sqnr_db is not None:
        parts.append(f"{view.sqnr_db - twin.sqnr_db:+.1f} dB SQNR")
    if view.accuracy is not None and twin.accuracy is not None:
        parts.append(f"{100 * (view.accuracy.value - twin.accuracy.value):+.1f} pp accuracy")
    return ", ".join(parts) or "not measured"
