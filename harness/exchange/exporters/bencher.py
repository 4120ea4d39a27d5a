"""Bencher Metric Format: one benchmark per cell, one measure per metric, with the 95 % interval as its bounds."""

from __future__ import annotations

from harness.exchange.outgoing import Files, Outgoing, json_file, readings
from harness.report.view import CellView

# Measures that Bencher has from the start; its latency is in nanoseconds.
_BUILT_IN = {"size": "file-size"}


def metrics(outgoing: Outgoing) -> Files:
    """Return the measures of all cells with results."""
    return {"bmf.json": json_file({view.cell.key: _measures(view) for view in outgoing.ok})}


def _measures(view: CellView) -> dict[str, dict[str, float]]:
    measures: dict[str, dict[str, float]] = {}
    for metric, reading in readings(view):
        name = _BUILT_IN.get(metric.name, metric.name.replace("_", "-"))
        value = {"value": reading.value}
        if reading.low is not None and reading.high is not None:
            value |= {"lower_value": reading.low, "upper_value": reading.high}
        measures[name] = value
        if reading.p90 is not None:
            measures[f"{name}-p90"] = {"value": reading.p90}
    return measures
