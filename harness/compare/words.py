"""A comparison for people and for scripts: rows of a table, and the JSON of ``--json``."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.compare.metrics import MetricComparison
from harness.compare.runs import CellComparison, Comparison
from harness.records.metrics import MIB, Metric

# 1 (2026-11): the first.
SCHEMA = 1

COLUMNS = ("cell", "metric", "A", "B", "change", "95 % interval", "verdict", "")


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return one row a metric of each cell, one for a cell that is not comparable, and one for each left over."""
    rows = [row for cell in comparison.cells for row in _cell_rows(cell)]
    for run, keys in (("A", comparison.only_a), ("B", comparison.only_b)):
        rows += [(key, "", "", "", "", "", "", f"only in {run}") for key in keys]
    return rows


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return plain values: shares and relative changes as fractions, times in ns, sizes in bytes."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(comparison))
    return {"schema": SCHEMA, "verdict": comparison.verdict.value, **plain}


def _cell_rows(cell: CellComparison) -> list[tuple[str, ...]]:
    if not cell.metrics:
        differs = "; ".join(f"{d.key}: {d.a!r} and {d.b!r}" for d in cell.differing)
        return [(cell.key, "", "", "", "", "", cell.verdict.value, differs or cell.reason or "")]
    return [(cell.key if i == 0 else "", *_metric_row(m)) for i, m in enumerate(cell.metrics)]


def _metric_row(found: MetricComparison) -> tuple[str, ...]:
    absolute = found.metric in (Metric.ACCURACY, Metric.SCORE)
    show = _points if found.metric is Metric.ACCURACY else _plain if absolute else _percent
    interval = "" if found.low is None or found.high is None else f"{show(found.low)} to {show(found.high)}"
    figures = _figure(found.metric, found.a), _figure(found.metric, found.b)
    metric = found.metric.value.replace("_", " ")
    return (metric, *figures, show(found.change), interval, found.verdict.value, found.reason or "")


def _figure(metric: Metric, value: float) -> str:
    match metric:
        case Metric.LATENCY | Metric.LOAD_TIME:
            return f"{value / 1e6:.4g} ms"
        case Metric.PEAK_MEMORY:
            return f"+{value / MIB:.2f} MiB"
        case Metric.SIZE:
            return f"{value:,.0f} B"
        case Metric.ACCURACY:
            return f"{100 * value:.2f} %"
        case _:
            return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:+.2f} pts"


def _plain(value: float) -> str:
    return f"{value:+.4g}"
