"""A run as CSV: one row a cell, base units, the unit in each column's name.

The one decision: an empty field is what was not measured, and nothing is rounded: a spreadsheet starts from what is
stored.
"""

from __future__ import annotations

from typing import Any

from harness.report.view import CellView, cell_identity, cell_views, memory_growth
from harness.store.records import RunRecord
from harness.wire import MemoryMoment


def csv_text(run: RunRecord) -> str:
    """Return the cells of ``run``, holes and cells not yet run included, as CSV text with a header."""
    import pandas as pd

    rows = [_row(v) for v in cell_views(run)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


COLUMNS = (
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


def _row(view: CellView) -> dict[str, Any]:
    return {**_identity(view), **_times(view), **_memory(view), **_quality(view), **_runtime(view)}


def _identity(view: CellView) -> dict[str, Any]:
    artifact = view.artifact
    return {
        **cell_identity(view),
        "profile": view.cell.profile.value,
        "status": view.status.value,
        "reason": view.reason,
        "artifact_sha256": artifact.sha256 if artifact else None,
        "artifact_bytes": artifact.bytes if artifact else None,
        "artifact_compressed_bytes": artifact.compressed_bytes if artifact else None,
        "size_ratio_to_fp32": view.size_ratio,
        "parameters": artifact.parameters if artifact else None,
        "macs": artifact.macs if artifact else None,
    }


def _times(view: CellView) -> dict[str, Any]:
    latency, load = view.latency, view.load
    names = ("median_ns", "low_ns", "high_ns", "mean_ns", "min_ns", "p5_ns", "p25_ns", "p75_ns", "p90_ns", "p95_ns")
    facts: dict[str, Any] = {}
    for name in (*names, "p99_ns", "variation"):
        facts[f"latency_{name}"] = getattr(latency, name) if latency else None
    facts["calls"] = latency.calls if latency else None
    facts["launches"] = latency.launches if latency else None
    facts["load_first_ns"] = load.first_ns if load else None
    facts["first_inference_ns"] = load.first_inference_ns if load else None
    return facts


def _memory(view: CellView) -> dict[str, Any]:
    growth = memory_growth(view.memory)
    facts: dict[str, Any] = {"memory_baseline_bytes": view.memory.baseline_bytes if view.memory else None}
    for moment in ("loaded", "steady", "peak", "retained", "mapped"):
        facts[f"memory_{moment}_growth_bytes"] = getattr(growth, f"{moment}_bytes") if growth else None
    split = view.memory.split_at(MemoryMoment.STEADY) if view.memory else None
    for part in ("anonymous", "file", "shared", "swap", "pss"):
        facts[f"memory_steady_{part}_bytes"] = getattr(split, f"{part}_bytes") if split else None
    return facts


def _quality(view: CellView) -> dict[str, Any]:
    accuracy, fidelity = view.accuracy, view.fidelity
    facts: dict[str, Any] = {
        "accuracy_metric": accuracy.metric if accuracy else None,
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_low": accuracy.low if accuracy else None,
        "accuracy_high": accuracy.high if accuracy else None,
        "correct": accuracy.correct if accuracy else None,
        "count": accuracy.count if accuracy else None,
        "sqnr_db": view.sqnr_db,
        "agreement": view.agreement,
    }
    for name in ("sqnr_worst_db", "cosine", "max_error"):
        facts[name] = getattr(fidelity, name) if fidelity else None
    return facts


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
