"""A comparison of two runs as a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.api.frames import need_pandas
from harness.compare.runs import CellComparison, Comparison
from harness.records.metrics import metric_named
from harness.stats.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "key", "metric", "unit", "baseline", "current", "change", "low", "high", "margin", "p_value", "verdict", "reason",
)  # fmt: skip


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """Return one row per metric of each cell, and one for each cell that cannot be compared.

    ``baseline`` and ``current`` are in ``unit``; ``change``, ``low``, ``high`` and ``margin`` are relative, or
    differences for accuracy and scores. Missing values were not measured.
    """
    pandas = need_pandas()
    rows = [row for cell in comparison.cells for row in _rows(cell)]
    for where, keys in (("baseline", comparison.only_a), ("current", comparison.only_b)):
        rows += [
            {"key": key, "verdict": Verdict.NOT_COMPARABLE.value, "reason": f"only in the {where} run"} for key in keys
        ]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def _rows(cell: CellComparison) -> Iterator[dict[str, Any]]:
    if not cell.metrics:
        differences = [f"{d.key}: {d.a!r} and {d.b!r}" for d in cell.differing]
        reason = "; ".join([*differences, *([cell.reason] if cell.reason else [])])
        yield {"key": cell.key, "verdict": cell.verdict.value, "reason": reason}
    for compared in cell.metrics:
        yield {
            "key": cell.key,
            "metric": compared.metric,
            "unit": metric_named(compared.metric).unit,
            "baseline": compared.a,
            "current": compared.b,
            "change": compared.change,
            "low": compared.low,
            "high": compared.high,
            "margin": compared.margin,
            "p_value": compared.p_value,
            "verdict": compared.verdict.value,
            "reason": compared.reason or "",
        }
