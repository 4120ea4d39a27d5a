"""The report of react-native-executorch's benchmark app, schema version 3: one per device, one case per launch."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import (
    MB,
    MS,
    Files,
    Outgoing,
    call_times,
    delegate_used,
    json_file,
    platform_of,
    quantile,
    safe_name,
    said,
    scaled,
    spread,
)
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus, LaunchSummary
from harness.report.view import CellView

_VERSION = 3


def reports(outgoing: Outgoing) -> Files:
    """Return a report per device."""
    keys = dict.fromkeys(view.cell.device for view in outgoing.views)
    return {f"{safe_name(key)}.json": json_file(_report(outgoing, key)) for key in keys}


def _report(outgoing: Outgoing, key: str) -> dict[str, Any]:
    views = [view for view in outgoing.views if view.cell.device == key]
    device = outgoing.device(views[0])
    cases = [case for view in views if view.status is not CellStatus.UNSUPPORTED for case in _cases(outgoing, view)]
    skipped = [
        {"id": view.cell.key, "reason": view.reason or ""} for view in views if view.status is CellStatus.UNSUPPORTED
    ]
    return said(
        {
            "schemaVersion": _VERSION,
            "label": outgoing.head.id,
            "startedAt": outgoing.head.created_at,
            "finishedAt": outgoing.head.finished_at,
            "platform": platform_of(device) or "unknown",
            "device": _device(device),
            "settings": {"suite": outgoing.head.spec.profile.value},
            "skipped": skipped,
            "cases": cases,
        }
    )


def _device(device: DeviceInfo | None) -> dict[str, Any]:
    if device is None:
        return {}
    version = device.os.rpartition(" ")[2]
    return said(
        {
            "model": device.model,
            "osVersion": version,
            "soc": device.cpu,
            "cpuCores": device.cores,
            "totalMemoryBytes": device.memory_bytes,
        }
    )


def _cases(outgoing: Outgoing, view: CellView) -> list[dict[str, Any]]:
    case = {
        "id": view.cell.key,
        "task": next((facts.task for facts in outgoing.head.models if facts.name == view.cell.model), None),
        "model": view.cell.model,
        "backend": delegate_used(view),
        "precision": view.cell.variant,
        "bytes": view.artifact.bytes if view.artifact else None,
    }
    if view.status is not CellStatus.OK:
        return [said({**case, "status": "error", "error": view.reason or view.status.value})]
    launches, calls = outgoing.launches(view), outgoing.calls(view)
    if not calls:
        # Without the calls there are only the figures of all launches together.
        return [
            said(
                {
                    **case,
                    "status": "ok",
                    "native": _native(view, _summary(outgoing, view), None),
                    "memory": _memory(view),
                }
            )
        ]
    repeated = []
    for index, (launch, times) in enumerate(zip(launches, calls, strict=True), 1):
        progress = {"repeat": index, "repeats": len(launches)}
        parts = {"progress": progress, "native": _native(view, _stats(times), launch), "memory": _memory(view)}
        repeated.append(said({**case, "status": "ok", **parts}))
    return repeated


def _native(view: CellView, stats: dict[str, Any], launch: LaunchSummary | None) -> dict[str, Any]:
    load_ns = launch.load_ns if launch else (view.load.first_ns if view.load else None)
    methods = [{"method": "forward", "status": "ok", "stats": stats}] if stats else []
    return said({"loadMs": scaled(load_ns, MS), "methods": methods})


def _stats(times_ns: list[int]) -> dict[str, Any]:
    times = [time / MS for time in times_ns]
    return {
        "count": len(times),
        "min": min(times),
        "max": max(times),
        "mean": sum(times) / len(times),
        "median": quantile(times, 50),
        "p90": quantile(times, 90),
        "iqr": quantile(times, 75) - quantile(times, 25),
        "stdev": spread(times),
    }


def _summary(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    latency, told = view.latency, call_times(outgoing, view)
    between = None
    if latency is not None and latency.p25_ns is not None and latency.p75_ns is not None:
        between = latency.p75_ns - latency.p25_ns
    return said(
        {
            "count": told.count,
            "min": scaled(told.least, MS),
            "max": scaled(told.most, MS),
            "mean": scaled(told.mean, MS),
            "median": scaled(told.median, MS),
            "p90": scaled(latency.p90_ns if latency else None, MS),
            "iqr": scaled(between, MS),
            "stdev": scaled(told.deviation, MS),
        }
    )


def _memory(view: CellView) -> dict[str, Any] | None:
    memory = view.memory
    if memory is None:
        return None
    return said(
        {
            "baselineMb": scaled(memory.baseline_bytes, MB),
            "loadedMb": scaled(memory.loaded_bytes, MB),
            "peakMb": scaled(memory.peak_bytes, MB),
            "disposedMb": scaled(memory.retained_bytes, MB),
        }
    )
