"""A model of several parts beside its parts run one by one: what merging them saved.

The one decision: only cells that differ in nothing but the model are put beside each other, and a sum is given only
where every part has its figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.plan.cells import Build, Cell
from harness.records import units
from harness.records.measurement import CellStatus
from harness.store.records import ModelFacts

if TYPE_CHECKING:
    from harness.report.view import CellView


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsComparison:
    """One cell of a merged model beside the cells of its parts; a figure is None where a part, or all, has none.

    ``cell`` is the merged model's key, ``parts`` are the names of the parts, in whose order the figures apart stand.
    Latencies are medians of a call, in ns; sizes are those of the files, in bytes.
    """

    cell: str
    label: str
    parts: tuple[str, ...]
    merged_bytes: int | None
    apart_bytes: tuple[int, ...] | None
    merged_latency_ns: float | None
    apart_latency_ns: tuple[float, ...] | None


def parts_comparisons(models: Sequence[ModelFacts], views: Sequence[CellView]) -> tuple[PartsComparison, ...]:
    """Return a comparison for each cell of a model whose parts are in the same run, in the order of ``views``."""
    parts: dict[str, list[str]] = {}
    for model in models:
        if model.whole is not None:
            parts.setdefault(model.whole, []).append(model.name)
    known = {(_place(view.cell), view.cell.model): view for view in views}
    return tuple(
        _compared(view, parts[model], [known.get((place, name)) for name in parts[model]])
        for (place, model), view in known.items()
        if model in parts and view.status is CellStatus.OK
    )


def told(found: PartsComparison) -> str:
    """Return the comparison as a sentence: the merged figures, then those of the parts and their sum."""
    latency = units.time_unit((found.merged_latency_ns, *(found.apart_latency_ns or ())))
    size = units.size_unit((found.merged_bytes, *(found.apart_bytes or ())))
    figures = (
        f"{latency.full(found.merged_latency_ns)} merged, {_sum(found.apart_latency_ns, latency)} apart",
        f"{size.full(found.merged_bytes)} merged, {_sum(found.apart_bytes, size)} apart",
    )
    return f"{found.label}: {'; '.join(figures)} ({' + '.join(found.parts)})"


def _place(cell: Cell) -> tuple[Build, str, int, str]:
    """What a cell is beside its model."""
    return replace(cell.build, model=""), cell.delegate.value, cell.threads, cell.device


def _compared(view: CellView, names: list[str], parts: list[CellView | None]) -> PartsComparison:
    cell = view.cell
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
