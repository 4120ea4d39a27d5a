"""FAI-PEP results: one line per cell, with its metrics keyed by type and metric. Times are microseconds."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import (
    KIB,
    US,
    Files,
    Outgoing,
    call_times,
    delegate_used,
    json_lines,
    quantile,
    said,
    scaled,
    spread,
)
from harness.report.view import CellView

_NET = "NET"
_PERCENTILES = (0, 10, 50, 90, 100)


def results(outgoing: Outgoing) -> Files:
    """Return the results of all cells that have any."""
    return {"fai_pep.jsonl": json_lines([_result(outgoing, view) for view in outgoing.ok])}


def _result(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    cell, device, runtime = view.cell, outgoing.device(view), view.runtime
    meta = {
        "backend": delegate_used(view),
        "time": outgoing.started_s,
        "framework": runtime.name if runtime else cell.format.value,
        "platform": device.model if device else None,
        "platform_hash": cell.device,
        "net_name": cell.model,
        "group": cell.variant,
        "metric": "delay",
        "identifier": cell.key,
        "commit": outgoing.head.commit,
        "run_type": "benchmark",
    }
    entries = [entry for entry in (_latency(outgoing, view), *_others(view), *_operators(view)) if entry]
    return {"meta": said(meta), "data": {f"{entry['type']} {entry['metric']}": entry for entry in entries}}


def _latency(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    """The calls of all launches in one list; without calls the figures of the summary alone."""
    calls = [call / US for launch in outgoing.calls(view) for call in launch]
    if calls:
        return _entry(_NET, "latency", "us", calls)
    latency, told = view.latency, call_times(outgoing, view)
    if told.median is None and told.mean is None:
        return None
    summary = {
        "mean": scaled(told.mean, US),
        "p0": scaled(told.least, US),
        "p50": scaled(told.median, US),
        "p90": scaled(latency.p90_ns if latency else None, US),
        "p100": scaled(told.most, US),
        "stdev": scaled(told.deviation, US),
        "cv": latency.variation if latency else None,
    }
    return {
        "type": _NET,
        "metric": "latency",
        "unit": "us",
        "values": [],
        "num_runs": told.count or 0,
        "summary": said(summary),
    }


def _others(view: CellView) -> list[dict[str, Any]]:
    load, memory, accuracy = view.load, view.memory, view.accuracy
    entries = [
        ("load_time", "us", scaled(load.first_ns if load else None, US)),
        ("peak_memory", "kB", scaled(memory.peak_bytes if memory else None, KIB)),
        ("model_size", "B", float(view.artifact.bytes) if view.artifact else None),
        ("accuracy", "1", accuracy.value if accuracy else None),
    ]
    return [_entry(_NET, name, unit, [value]) for name, unit, value in entries if value is not None]


def _operators(view: CellView) -> list[dict[str, Any]]:
    profile = view.measurement.operators if view.measurement else None
    timed = profile.operators if profile else ()
    return [
        _entry(o.name, "latency", "us", [o.mean_ns / US]) for o in timed if o.mean_ns is not None and o.name != _NET
    ]


def _entry(kind: str, metric: str, unit: str, values: list[float]) -> dict[str, Any]:
    middle = quantile(values, 50)
    mean = sum(values) / len(values)
    summary = {"mean": mean, **{f"p{percent}": quantile(values, percent) for percent in _PERCENTILES}}
    summary["stdev"] = spread(values)
    summary["MAD"] = quantile([abs(value - middle) for value in values], 50)
    summary["cv"] = summary["stdev"] / mean if mean else 0.0
    return {"type": kind, "metric": metric, "unit": unit, "values": values, "num_runs": len(values), "summary": summary}
