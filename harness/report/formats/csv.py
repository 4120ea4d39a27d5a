"""A run as CSV: one row per cell, base units, the unit in each column's name.

An empty field was not measured. Nothing is rounded, because a spreadsheet should start from what is stored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from harness.records.measurement import Measurement
from harness.records.metrics import METRICS
from harness.report.view import CellView, cell_identity, cell_views
from harness.store.records import RunRecord


def csv_text(run: RunRecord) -> str:
    """Return the cells of ``run``, holes and cells not yet run included, as CSV text with a header."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns(), lineterminator="\n")
    table.writeheader()
    table.writerows(cell_rows(run))
    return text.getvalue()


def cell_rows(run: RunRecord) -> Iterator[dict[str, Any]]:
    """Yield the values of each cell of ``run`` by the name of their column; what was not measured is None or absent."""
    return (cell_row(v) for v in cell_views(run))


_OPERATORS = (
    "cell", "name", "kind", "ran_on", "delegated", "nodes", "calls", "total_ns", "mean_ns", "share", "reason",
)  # fmt: skip


def operators_csv_text(run: RunRecord) -> str | None:
    """Return the operators of the profiled cells of ``run``, one row each, with a header; None if there are none."""
    profiled = [m for m in run.measurements if m.operators is not None and m.operators.operators]
    if not profiled:
        return None
    text = io.StringIO()
    table = csv.DictWriter(text, _OPERATORS, lineterminator="\n")
    table.writeheader()
    for measurement in profiled:
        table.writerows(_operator_rows(measurement))
    return text.getvalue()


def _operator_rows(measurement: Measurement) -> Iterator[dict[str, Any]]:
    profile = measurement.operators
    for operator in profile.operators if profile else ():
        fields = {name: getattr(operator, name) for name in _OPERATORS if hasattr(operator, name)}
        yield {"cell": measurement.cell, **fields, "share": profile.share(operator) if profile else None}


# Scripts read columns by position too, so these keep their places. Columns of later metrics follow at the end.
FIRST_COLUMNS = (
    "key", "model", "variant", "format", "backend", "delegate", "threads", "device", "profile", "status", "reason",
    "artifact_sha256", "artifact_bytes", "artifact_compressed_bytes", "size_ratio_to_fp32", "parameters", "macs",
    "latency_median_ns", "latency_low_ns", "latency_high_ns", "latency_mean_ns", "latency_min_ns", "latency_p5_ns",
    "latency_p25_ns", "latency_p75_ns", "latency_p90_ns", "latency_p95_ns", "latency_p99_ns", "latency_variation",
    "calls", "launches", "load_first_ns", "first_inference_ns",
    "memory_baseline_bytes", "memory_loaded_growth_bytes", "memory_steady_growth_bytes", "memory_peak_growth_bytes",
    "memory_retained_growth_bytes", "memory_mapped_growth_bytes",
    "memory_steady_anonymous_bytes", "memory_steady_file_bytes", "memory_steady_shared_bytes",
    "memory_steady_swap_bytes", "memory_steady_pss_bytes",
    "accuracy_metric", "accuracy", "accuracy_low", "accuracy_high", "correct", "count",
    "sqnr_db", "sqnr_worst_db", "cosine", "max_error", "agreement",
    "runtime", "runtime_version", "delegate_used", "nodes_total", "nodes_delegated", "runner", "conditions",
)  # fmt: skip


def columns() -> tuple[str, ...]:
    """Return the names of all columns, in order."""
    of_metrics = (column.name for metric in METRICS.values() for column in metric.csv)
    return tuple(dict.fromkeys((*FIRST_COLUMNS, *_WORST, *of_metrics)))


# How the worst input differs from the float model's, of the first output.
_WORST = ("sqnr_min_db", "worst_input", "differing")


def cell_row(view: CellView) -> dict[str, Any]:
    """Return the columns of a cell; what was not measured is None or missing."""
    return {**_identity(view), **_metrics(view), **_fidelity(view), **_runtime(view)}


def _identity(view: CellView) -> dict[str, Any]:
    artifact = view.artifact
    return {
        **cell_identity(view),
        "profile": view.cell.profile.value,
        "status": view.status.value,
        "reason": view.reason,
        "artifact_sha256": artifact.sha256 if artifact else None,
        "size_ratio_to_fp32": view.size_ratio,
        "parameters": artifact.parameters if artifact else None,
        "macs": artifact.macs if artifact else None,
    }


def _metrics(view: CellView) -> dict[str, Any]:
    measurement = view.measurement
    if measurement is None:
        return {}
    return {column.name: column.read(measurement) for metric in METRICS.values() for column in metric.csv}


def _fidelity(view: CellView) -> dict[str, Any]:
    facts = {name: getattr(view.fidelity, name, None) for name in ("sqnr_worst_db", "cosine", "max_error", *_WORST)}
    return {**facts, "sqnr_db": view.sqnr_db, "agreement": view.agreement}


def _runtime(view: CellView) -> dict[str, Any]:
    runtime = view.runtime
    return {
        "runtime": runtime.name if runtime else None,
        "runtime_version": runtime.version if runtime else None,
        "delegate_used": runtime.delegate_used if runtime else None,
        "nodes_total": runtime.nodes_total if runtime else None,
        "nodes_delegated": runtime.nodes_delegated if runtime else None,
        "runner": view.runner.kind if view.runner else None,
        "conditions": " ".join(c.id.value for c in view.conditions),
    }
