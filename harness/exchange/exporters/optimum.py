"""Reports of huggingface/optimum-benchmark: one file per cell, with the load and the call as targets. Seconds."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import (
    MB,
    SECOND,
    Files,
    Outgoing,
    call_times,
    delegate_used,
    json_file,
    per_cell,
    quantile,
    said,
    scaled,
    spread,
)
from harness.report.view import CellView


def reports(outgoing: Outgoing) -> Files:
    """Return a report per cell with results."""
    return per_cell(
        outgoing.ok,
        ".json",
        lambda view: json_file({"config": _config(outgoing, view), "report": _report(outgoing, view)}),
    )


def _config(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    cell, device = view.cell, outgoing.device(view)
    environment = (
        {"cpu": device.cpu, "cpu_count": device.cores, "machine": device.model, "system": device.os} if device else {}
    )
    backend = {
        "name": view.runtime.name if view.runtime else cell.format.value,
        "version": view.runtime.version if view.runtime else None,
        "model": cell.model,
        "device": delegate_used(view),
        "variant": cell.variant,
        "threads": cell.threads,
    }
    return {
        "name": cell.key,
        "backend": said(backend),
        "scenario": {"name": "inference", "profile": cell.profile.value},
        "launcher": {"name": view.runner.kind} if view.runner else {},
        "environment": said(
            {**environment, "phonebench_run": outgoing.head.id, "phonebench_commit": outgoing.head.commit}
        ),
    }


def _report(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    calls = [call / SECOND for launch in outgoing.calls(view) for call in launch]
    load_ns = view.load.first_ns if view.load else None
    memory = view.memory
    peak = scaled(memory.peak_bytes if memory else None, MB)
    held = (
        None
        if peak is None
        else {
            "unit": "MB",
            "max_ram": peak,
            "max_global_vram": None,
            "max_process_vram": None,
            "max_reserved": None,
            "max_allocated": None,
        }
    )
    forward = _latency(calls) if calls else _summary(outgoing, view)
    speed = 1 / forward["mean"] if forward and forward.get("mean") else None
    throughput = None if speed is None else {"unit": "samples/s", "value": speed}
    report = {
        "load_model": None if load_ns is None else _target(_latency([load_ns / SECOND]), None, None),
        "forward": _target(forward, held, throughput),
    }
    return said(report)


def _target(
    latency: dict[str, Any] | None, memory: dict[str, Any] | None, throughput: dict[str, Any] | None
) -> dict[str, Any]:
    return {"memory": memory, "latency": latency, "throughput": throughput, "energy": None, "efficiency": None}


def _latency(values: list[float]) -> dict[str, Any]:
    mean, deviation = sum(values) / len(values), spread(values)
    return {
        "unit": "s",
        "values": values,
        "count": len(values),
        "total": sum(values),
        "mean": mean,
        "p50": quantile(values, 50),
        "p90": quantile(values, 90),
        "p95": quantile(values, 95),
        "p99": quantile(values, 99),
        "stdev": deviation,
        "stdev_": 100 * deviation / mean if mean else 0.0,
    }


def _summary(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    """The figures of a program that reported no single calls."""
    latency, told = view.latency, call_times(outgoing, view)
    if told.median is None and told.mean is None:
        return None
    times = {
        "mean": told.mean,
        "p50": told.median,
        "p90": latency.p90_ns if latency else None,
        "p95": latency.p95_ns if latency else None,
        "p99": latency.p99_ns if latency else None,
        "stdev": told.deviation,
    }
    share = {"stdev_": 100 * told.deviation / told.mean} if told.mean and told.deviation is not None else {}
    known = {name: scaled(time, SECOND) for name, time in times.items() if time is not None}
    return {"unit": "s", "values": [], "count": told.count, **known, **share}
