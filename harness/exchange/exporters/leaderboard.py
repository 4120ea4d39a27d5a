"""Rows of LiteRT's leaderboard, one per cell. What a cell lacks is null, as in the board's own rows."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import (
    ACCELERATORS,
    KIB,
    MB,
    MS,
    Files,
    Outgoing,
    delegate_used,
    deviation,
    json_lines,
    platform_of,
    scaled,
)
from harness.report.view import CellView, memory_growth

_RUNNERS = {"android-app": "app", "ios-app": "app", "host": "local"}


def rows(outgoing: Outgoing) -> Files:
    """Return the rows of all cells with results."""
    return {"measurements.jsonl": json_lines([_row(outgoing, view) for view in outgoing.ok])}


def _row(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    cell, runtime, device = view.cell, view.runtime, outgoing.device(view)
    accelerator, version = ACCELERATORS.get(cell.delegate), runtime.version if runtime else None
    file = f"{cell.variant}.{cell.format.value}"
    platform = platform_of(device)
    model, measurement = device.model if device else None, view.measurement
    return {
        "row_id": "/".join(
            word or "unknown" for word in (f"{cell.model}:{file}@{version or 'unknown'}", platform, model, accelerator)
        ),
        "model": cell.model,
        "file": file,
        "task": next((facts.task for facts in outgoing.head.models if facts.name == cell.model), None),
        "model_size_mb": scaled(view.artifact.bytes if view.artifact else None, MB),
        "platform": platform,
        "device_id": cell.device,
        "device": model,
        "os": device.os if device else None,
        "accelerator": accelerator,
        "delegate": delegate_used(view),
        "nodes_delegated": runtime.nodes_delegated if runtime else None,
        "nodes_total": runtime.nodes_total if runtime else None,
        "partitions": runtime.partitions if runtime else None,
        "latency_ms": _latency(outgoing, view),
        "memory_mb": _memory(view),
        "runs": view.latency.calls if view.latency else None,
        "warmup_runs": None,
        "throughput_mb_s": None,
        "source": "phonebench",
        "runtime": runtime.name if runtime else None,
        "runtime_version": version,
        "binary": f"{view.runner.kind} {view.runner.version}" if view.runner else None,
        "runner": _RUNNERS.get(view.runner.kind, view.runner.kind) if view.runner else None,
        "session": outgoing.head.id,
        "job": cell.key,
        "status": "measured",
        "date": measurement.started_at[:10] if measurement else None,
    }


def _latency(outgoing: Outgoing, view: CellView) -> dict[str, float | None]:
    latency, load = view.latency, view.load
    calls = [call for launch in outgoing.calls(view) for call in launch]
    return {
        "median": scaled(latency.median_ns if latency else None, MS),
        "avg": scaled(latency.mean_ns if latency else None, MS),
        "p5": scaled(latency.p5_ns if latency else None, MS),
        "p95": scaled(latency.p95_ns if latency else None, MS),
        "min": scaled(latency.min_ns if latency else None, MS),
        "max": scaled(max(calls), MS) if calls else None,
        "stddev": scaled(deviation(view), MS),
        "init": scaled(load.first_ns if load else None, MS),
        "first_inference": scaled(load.first_inference_ns if load else None, MS),
        "warm_up_avg": None,
    }


def _memory(view: CellView) -> dict[str, float | None]:
    growth = memory_growth(view.memory)
    return {
        "init_footprint": scaled(growth.loaded_bytes if growth else None, KIB * KIB),
        "overall_footprint": scaled(growth.peak_bytes if growth else None, KIB * KIB),
    }
