"""Entries of github-action-benchmark: metrics of which less is better, and in a second file those of which more is."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import Files, Outgoing, json_file, readings
from harness.records.metric import Metric, Reading
from harness.report.view import CellView, full_labels, thread_words

_UNITS = {"1": ("%", 0.01), "1/s": ("1/s", 1.0)}


def entries(outgoing: Outgoing) -> Files:
    """Return the entries; a file without entries is left out."""
    names = full_labels(outgoing.views)
    sides: dict[str, list[dict[str, Any]]] = {"smaller-is-better.json": [], "bigger-is-better.json": []}
    for view in outgoing.ok:
        for metric, reading in readings(view):
            file = "bigger-is-better.json" if metric.higher_is_better else "smaller-is-better.json"
            sides[file].append(_entry(outgoing, view, (metric, reading), names[view.cell.key]))
    return {file: json_file(listed) for file, listed in sides.items() if listed}


def _entry(outgoing: Outgoing, view: CellView, figure: tuple[Metric, Reading], name: str) -> dict[str, Any]:
    metric, reading = figure
    unit, size = _UNITS.get(metric.unit, (metric.unit, 1.0))
    extra = [
        f"run {outgoing.head.id}",
        f"device {view.cell.device}",
        thread_words(view.cell.threads),
        f"n = {reading.count}",
    ]
    extra += [reading.definition] if reading.definition else []
    entry: dict[str, Any] = {
        "name": f"{name} {metric.label}",
        "unit": reading.unit or unit,
        "value": reading.value / size,
        "extra": "\n".join(extra),
    }
    if reading.low is not None and reading.high is not None:
        entry["range"] = f"{reading.low / size:.6g} to {reading.high / size:.6g}"
    return entry
