"""Records of PyTorch's benchmark database, version 3: one per cell and metric, and one per cell that failed."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import MB, MS, Files, Outgoing, delegate_used, json_file, readings, said
from harness.records.measurement import CellStatus
from harness.report.view import CellView

_NAMES = {"ns": ("ms", MS), "bytes": ("mb", MB), "1/s": ("per_s", 1.0), "1": ("", 1.0)}
_FAILURE = "FAILURE_REPORT"


def records(outgoing: Outgoing) -> Files:
    """Return the records of all cells that were tried."""
    found = [record for view in outgoing.views for record in _records(outgoing, view)]
    return {"benchmark_results_v3.json": json_file(found)}


def _records(outgoing: Outgoing, view: CellView) -> list[dict[str, Any]]:
    if view.status is CellStatus.OK:
        return [
            _record(outgoing, view, {"name": name, "benchmark_values": values, "target_value": 0, "extra_info": extra})
            for name, values, extra in _metrics(view)
        ]
    if view.status not in (CellStatus.FAILED, CellStatus.BROKEN):
        return []
    extra = {"status": view.status.value, "reason": view.reason or ""}
    metric = {"name": _FAILURE, "benchmark_values": [0], "target_value": 0, "extra_info": extra}
    return [_record(outgoing, view, metric)]


def _metrics(view: CellView) -> list[tuple[str, list[float], dict[str, str]]]:
    metrics = []
    for metric, reading in readings(view):
        unit, size = _NAMES.get(metric.unit, (metric.unit, 1.0))
        values = reading.launches or (reading.value,)
        extra = said({"low": reading.low, "high": reading.high, "p90": reading.p90})
        words = {key: f"{value / size:.9g}" for key, value in extra.items()}
        name = f"{metric.name}({unit})" if unit else metric.name
        metrics.append(
            (
                name,
                [value / size for value in values],
                words | ({"definition": reading.definition} if reading.definition else {}),
            )
        )
    return metrics


def _record(outgoing: Outgoing, view: CellView, metric: dict[str, Any]) -> dict[str, Any]:
    cell, device, runtime = view.cell, outgoing.device(view), view.runtime
    runner = {
        "name": cell.device,
        "type": device.model if device else "unknown",
        "cpu_info": device.cpu if device else None,
        "cpu_count": device.cores if device else None,
        "total_mem_in_gb": device.memory_bytes / 1e9 if device and device.memory_bytes else None,
        "extra_info": said({"os": device.os, "os_build": device.os_build}) if device else {},
    }
    extra = {
        "run": outgoing.head.id,
        "cell": cell.key,
        "format": cell.format.value,
        "delegate_used": delegate_used(view),
        "threads": str(cell.threads) if cell.threads else "",
        "profile": cell.profile.value,
        "runner": view.runner.kind if view.runner else "",
    }
    version = {"version": runtime.version} if runtime else None
    return said(
        {
            "timestamp": round(outgoing.started_s),
            "schema_version": "v3",
            "name": "phonebench",
            "head_sha": outgoing.head.commit,
            "benchmark": {"name": "phonebench", "mode": "inference", "dtype": cell.variant, "extra_info": extra},
            "model": {"name": cell.model, "type": "custom layer", "backend": cell.delegate.value, "origins": []},
            "metric": metric,
            "runners": [said(runner)],
            "dependencies": {runtime.name: version} if runtime else {},
        }
    )
