"""A model of several parts beside its parts run one by one: what merging them saved.

Only cells that differ in the model alone are compared, and a sum is given only where every part has its figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.plan.cells import Build, Cell
from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.sections.section import Fragment, Line, Report
from harness.report.view import CellView, plain
from harness.store.records import ModelFacts

_PAGE = """\
<h2>The merged model and its parts</h2>
<ul class="notes">{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsComparison:
    """One cell of a merged model beside the cells of its parts; a figure is None where it was not measured.

    ``cell`` is the merged model's key. ``parts`` are the names of the parts; the figures named ``apart`` are in the
    same order, and None unless every part has one. Latencies are medians of a call in ns, sizes are files in bytes.
    """

    cell: str
    label: str
    parts: tuple[str, ...]
    merged_bytes: int | None
    apart_bytes: tuple[int, ...] | None
    merged_latency_ns: float | None
    apart_latency_ns: tuple[float, ...] | None


def lines(report: Report) -> Iterator[Line]:
    """Yield a sentence per comparison."""
    return (Line(text=comparison_text(c)) for c in parts_comparisons(report.head.models, report.views))


def html(report: Report) -> Fragment | None:
    """Return the sentences as a list."""
    sentences = [comparison_text(c) for c in parts_comparisons(report.head.models, report.views)]
    return Fragment(template=_PAGE, values={"sentences": sentences}) if sentences else None


def json(report: Report) -> dict[str, Any]:
    """Return the comparisons."""
    return {"parts": plain(parts_comparisons(report.head.models, report.views))}


def parts_comparisons(models: Sequence[ModelFacts], views: Sequence[CellView]) -> tuple[PartsComparison, ...]:
    """Return a comparison for each cell of a model whose parts are in the same run, in the order of ``views``."""
    parts: dict[str, list[str]] = {}
    for model in models:
        if model.whole is not None:
            parts.setdefault(model.whole, []).append(model.name)
    by_place = {(_place(view.cell), view.cell.model): view for view in views}
    return tuple(
        _compare(view, parts[model], [by_place.get((place, name)) for name in parts[model]])
        for (place, model), view in by_place.items()
        if model in parts and view.status is CellStatus.OK
    )


def comparison_text(comparison: PartsComparison) -> str:
    """Return the comparison as a sentence: the merged figures, then those of the parts and their sum."""
    latency = units.time_unit((comparison.merged_latency_ns, *(comparison.apart_latency_ns or ())))
    size = units.size_unit((comparison.merged_bytes, *(comparison.apart_bytes or ())))
    figures = (
        f"{latency.full(comparison.merged_latency_ns)} merged, {_sum(comparison.apart_latency_ns, latency)} apart",
        f"{size.full(comparison.merged_bytes)} merged, {_sum(comparison.apart_bytes, size)} apart",
    )
    return f"{comparison.label}: {'; '.join(figures)} ({' + '.join(comparison.parts)})"


def _place(cell: Cell) -> tuple[Build, str, int | None, str]:
    """Everything about a cell except its model."""
    return replace(cell.build, model=""), cell.delegate.value, cell.threads, cell.device


def _compare(view: CellView, names: list[str], parts: list[CellView | None]) -> PartsComparison:
    cell = view.cell
    # Lists shorter than the names mean that a part has no figure, and a sum without it would flatter the parts.
    sizes = [part.artifact.bytes for part in parts if part and part.artifact and part.artifact.bytes is not None]
    medians = [part.latency.median_ns for part in parts if part and part.latency]
    words = (cell.model, cell.variant, cell.format.value, cell.delegate.value, f"t{cell.threads}", "on", cell.device)
    return PartsComparison(
        cell=cell.key,
        label=" ".join(words),
        parts=tuple(names),
        merged_bytes=view.artifact.bytes if view.artifact else None,
        apart_bytes=tuple(sizes) if len(sizes) == len(names) else None,
        merged_latency_ns=view.latency.median_ns if view.latency else None,
        apart_latency_ns=tuple(medians) if len(medians) == len(names) else None,
    )


def _sum(values: tuple[float, ...] | None, unit: units.Unit) -> str:
    if values is None:
        return units.NONE
    return f"{' + '.join(unit.show(value) for value in values)} = {unit.full(sum(values))}"
