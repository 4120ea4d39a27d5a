"""A comparison for people and for scripts: rows of a table, and the JSON of ``--json``."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.compare.metrics import ABSOLUTE_KINDS, MetricComparison
from harness.compare.runs import CellComparison, Comparison
from harness.records.metrics import metric_named

# 1 (2026-11): the first.
SCHEMA = 1

COLUMNS = ("cell", "metric", "A", "B", "change", "95 % interval", "verdict", "")


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return one row per metric of each cell, and one for each cell that is not comparable or in one run only."""
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
        differences = "; ".join(f"{d.key}: {d.a!r} and {d.b!r}" for d in cell.differing)
        return [(cell.key, "", "", "", "", "", cell.verdict.value, "; ".join(filter(None, (differences, cell.reason))))]
    return [(cell.key if i == 0 else "", *metric_row(m)) for i, m in enumerate(cell.metrics)]


def metric_row(comparison: MetricComparison) -> tuple[str, ...]:
    """Return one metric: its name, A, B, the change, its interval, the verdict and the reason, as in `COLUMNS`."""
    metric = metric_named(comparison.metric)
    change = metric.formatter.difference if metric.comparison in ABSOLUTE_KINDS else _percent
    interval = ""
    if comparison.low is not None and comparison.high is not None:
        interval = f"{change(comparison.low)} to {change(comparison.high)}"
    return (
        metric.label,
        metric.formatter.exact(comparison.a),
        metric.formatter.exact(comparison.b),
        change(comparison.change),
        interval,
        comparison.verdict.value,
        comparison.reason or "",
    )


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %"
