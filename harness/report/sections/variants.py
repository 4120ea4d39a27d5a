"""How each variant was made: its steps, the size of its network and packed files, and what doing without data cost.

One row per variant and not per cell, because every format of a variant starts from the same network. What differs by
format is in columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.records import units
from harness.records.artifact import ArtifactFacts, CalibrationSource
from harness.records.measurement import CellStatus
from harness.records.steps import LayerReport
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.step_words import count, step_words
from harness.report.type_words import is_quantised, type_words, value_words
from harness.report.view import CellView
from harness.spec.formats import FORMATS
from harness.spec.profiles import ProfileName
from harness.spec.recipe import CalibrationFrom, CorrectBias, Equalise, Precision, Recipe, step_name
from harness.wire import Format

_DATA_FREE = (CalibrationSource.BATCH_NORM.value, CalibrationSource.RANGE.value)
_CALIBRATIONS = {
    CalibrationSource.DATA.value: "calibrated on data",
    CalibrationSource.RANDOM.value: "calibrated on noise",
    CalibrationSource.BATCH_NORM.value: "calibrated without data, from the statistics of the batch norms",
    CalibrationSource.RANGE.value: "calibrated without data, over the declared range",
}

_PAGE = """\
<h2>How the variants were made</h2>
<details{{ " open" if rows | length <= few }}><summary>{{ rows | length }} variant
  {{- "s" if rows | length > 1 }}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="How the variants were made">
<table id="variants">
<thead><tr>
  <th class="name" scope="col">variant</th><th class="word" scope="col">steps and precision</th>
  <th scope="col" title="trainable parameters of the network, and their ratio to fp32">parameters</th>
  <th scope="col" title="multiply-accumulates of one call, and their ratio to fp32">MACs</th>
  {% for format in formats %}
  <th scope="col" title="size of the file deflated, as an app store transfers it">
    <span class="dot {{ format.value }}"></span>{{ format.value }}<span class="unit">packed {{ unit.name }}</span></th>
  {% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>
  <td class="name">{{ row.variant }}{% if several_models %}<span class="under">{{ row.model }}</span>{% endif %}</td>
  <td class="word steps">
    {% for words in row.words %}<div>{{ words }}</div>{% endfor %}
    {% for note in row.notes %}<div class="under">{{ note }}</div>{% endfor %}
    {% for step, layers in row.layers.items() %}
    <details><summary>{{ step }}, layer by layer ({{ layers | length }})</summary>
      <ul>
      {% for layer in layers %}
        <li><code>{{ layer.layer }}</code> {{ layer.outcome }}</li>
      {% endfor %}
      </ul></details>
    {% endfor %}
  </td>
  <td>{{ row.parameters }}</td><td>{{ row.macs }}</td>
  {% for format in formats %}<td>{{ unit.show(row.packed_bytes.get(format)) }}</td>{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
</details>
"""
# More rows are folded.
_FEW_ROWS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One variant of one model. ``words`` has a line per step and one for the precision; ``notes`` qualify them.

    ``parameters`` and ``macs`` carry their ratio to the fp32 network. ``packed_bytes`` is the size of the file, by
    format, as an app store transfers it. ``layers`` is what each step did to single layers.
    """

    model: str
    variant: str
    words: tuple[str, ...]
    notes: tuple[str, ...]
    parameters: str
    macs: str
    packed_bytes: dict[Format, int | None]
    layers: dict[str, tuple[LayerReport, ...]]


def lines(report: Report) -> Iterator[Line]:
    """Yield a line per variant that has steps or notes; the name of a plain precision says everything about it."""
    for row in variant_rows(report.views, report.head.spec.recipes()):
        steps = row.words[:-1]
        if steps or row.notes:
            yield Line(text=f"{row.variant}: {'; '.join((*steps, *row.notes))}", tone=Tone.ASIDE)


def html(report: Report) -> Fragment | None:
    """Return the table of variants."""
    rows = variant_rows(report.views, report.head.spec.recipes())
    if not rows:
        return None
    return Fragment(
        template=_PAGE,
        values={
            "rows": rows,
            "few": _FEW_ROWS,
            "formats": [format_ for format_ in FORMATS if any(format_ in row.packed_bytes for row in rows)],
            "unit": units.size_unit(size for row in rows for size in row.packed_bytes.values()),
            "several_models": len(report.head.models) > 1,
        },
    )


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its artifact with the steps that led to it."""
    return {}


def variant_rows(views: Iterable[CellView], recipes: dict[str, Recipe]) -> tuple[VariantRow, ...]:
    """Return the variants of ``views`` that were built; ``recipes`` are those of the run, by name.

    Nobody knows how the files of imported cells were made.
    """
    built = [v for v in views if v.artifact is not None and v.cell.profile is not ProfileName.IMPORTED]
    by_variant: dict[tuple[str, str], list[CellView]] = {}
    for view in built:
        by_variant.setdefault((view.cell.model, view.cell.variant), []).append(view)
    return tuple(_row(members, built, recipes) for members in by_variant.values())


def _row(members: Sequence[CellView], built: Sequence[CellView], recipes: dict[str, Recipe]) -> VariantRow:
    cell, facts = members[0].cell, _artifact(members[0])
    plain = next((_artifact(v) for v in built if v.cell.model == cell.model and v.cell.variant == Precision.FP32), None)
    recipe = recipes.get(cell.variant)
    words = [step_words(step) for step in facts.steps]
    # A ready-made file has no recipe.
    words.append(_precision_words(facts, recipe) if recipe else _supplied_words(facts))
    notes = [f"{step.step}: {note}" for step in facts.steps for note in step.notes]
    return VariantRow(
        model=cell.model,
        variant=cell.variant,
        words=tuple(words),
        notes=(
            *notes,
            *_interface_notes(members),
            *_training_notes(facts, recipe),
            *_kept_notes(members),
            *_data_notes(members, built, recipes),
        ),
        parameters=_with_ratio(facts.parameters, plain.parameters if plain else None),
        macs=_with_ratio(facts.macs, plain.macs if plain else None),
        packed_bytes={v.cell.format: _artifact(v).compressed_bytes for v in members},
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


def _with_ratio(value: int | None, plain: int | None) -> str:
    if value is None or not plain or value == plain:
        return count(value)
    return f"{count(value)} ({units.ratio(value / plain)})"


def _supplied_words(facts: ArtifactFacts) -> str:
    types = type_words(facts.types)
    return f"as supplied: {types}" if types else "as supplied"


def _training_notes(facts: ArtifactFacts, recipe: Recipe | None) -> list[str]:
    """The steps after which the recipe asks for no training."""
    # Not every step has the option: fusing changes no function, so there is nothing to train.
    untrained = [step for step in recipe.steps if getattr(step, "fine_tune", None) is False] if recipe else []
    names = ", ".join(step_name(step) for step in untrained)
    return [f"fine_tune = false: not fine-tuned after {names}"] if names and facts.steps else []


def _interface_notes(members: Sequence[CellView]) -> list[str]:
    """The formats whose files take or return integers that stand for real numbers, which an app has to convert."""
    notes = {}
    for view in members:
        types = _artifact(view).types
        if types is not None and is_quantised(types):
            notes[view.cell.format] = f"{value_words(types.inputs)} input and {value_words(types.outputs)} output"
    return [f"the .{format_.value} file has {words}: an app must quantise them" for format_, words in notes.items()]


def _kept_notes(members: Sequence[CellView]) -> list[str]:
    """The layers left in float, once where they are the same in every format."""
    kept = {v.cell.format: _artifact(v).kept_float for v in members if _artifact(v).kept_float}
    if not kept:
        return []
    if len(set(kept.values())) == 1:
        return [f"in float: {', '.join(next(iter(kept.values())))}"]
    return [f"in float as {format_.value}: {', '.join(layers)}" for format_, layers in kept.items()]


def _data_notes(members: Sequence[CellView], built: Sequence[CellView], recipes: dict[str, Recipe]) -> list[str]:
    """What doing without data cost, by format, or a hint where the same recipe with data is not in the run."""
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
        return ["the same recipe calibrated on data is not in this run; add it to see what doing without data costs"]
    return [f"compared with the same recipe calibrated on data: {'; '.join(costs)}"]


def _is_twin(view: CellView, free: CellView, recipe: Recipe, recipes: dict[str, Recipe]) -> bool:
    """Whether ``view`` differs from ``free`` only in where its calibration inputs come from."""
    other = recipes.get(view.cell.variant)
    if other is None or view.status is not CellStatus.OK:
        return False
    with_data = msgspec.structs.replace(recipe.quantisation, calibration=CalibrationFrom.DATA)
    steps = tuple(
        msgspec.structs.replace(step, calibration=CalibrationFrom.DATA)
        if isinstance(step, Equalise | CorrectBias)
        else step
        for step in recipe.steps
    )
    expected = msgspec.structs.replace(recipe, name=other.name, steps=steps, quantisation=with_data)
    return other == expected and _place(view) == _place(free)


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
