"""The JSON of androidx.benchmark: one file per device, one test per cell, with every call."""

from __future__ import annotations

from typing import Any

from harness.compare.keys import CLOCK_REGIME, DEFAULT_CLOCKS
from harness.exchange.outgoing import Files, Outgoing, json_file, safe_name, said
from harness.records.device import DeviceInfo
from harness.report.view import CellView

# What the library itself writes where it could not find a number.
_NOT_FOUND = -1
_UNKNOWN = "unknown"


def data(outgoing: Outgoing) -> Files:
    """Return the file of each device with results."""
    keys = dict.fromkeys(view.cell.device for view in outgoing.ok)
    return {f"{safe_name(key)}-benchmarkData.json": json_file(_data(outgoing, key)) for key in keys}


def _data(outgoing: Outgoing, key: str) -> dict[str, Any]:
    views = [view for view in outgoing.ok if view.cell.device == key]
    tests = [test for view in views if (test := _test(outgoing, view)) is not None]
    return {"context": _context(outgoing.device(views[0]), outgoing.head.id), "benchmarks": tests}


def _context(device: DeviceInfo | None, run: str) -> dict[str, Any]:
    details = device.details if device else {}
    model = device.model if device else _UNKNOWN
    regime = details.get(CLOCK_REGIME, DEFAULT_CLOCKS)
    build = {
        "brand": _UNKNOWN,
        "device": model,
        "fingerprint": device.os_build if device else _UNKNOWN,
        "id": _UNKNOWN,
        "model": model,
        "type": _UNKNOWN,
        "version": {"codename": device.os if device else _UNKNOWN, "sdk": int(details.get("sdk", _NOT_FOUND))},
    }
    return {
        "build": build,
        "cpuCoreCount": device.cores if device and device.cores else _NOT_FOUND,
        "cpuLocked": regime != DEFAULT_CLOCKS,
        "cpuMaxFreqHz": _NOT_FOUND,
        "memTotalBytes": device.memory_bytes if device and device.memory_bytes else _NOT_FOUND,
        "sustainedPerformanceModeEnabled": False,
        "artMainlineVersion": _NOT_FOUND,
        "osCodenameAbbreviated": _UNKNOWN,
        "compilationMode": _UNKNOWN,
        "payload": {"phonebench.run": run},
    }


def _test(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    cell, latency = view.cell, view.latency
    calls = [call for launch in outgoing.calls(view) for call in launch]
    if latency is None:
        return None
    launches = view.measurement.launches if view.measurement else ()
    waited = sum(launch.gate.waited_s for launch in launches if launch.gate)
    time = said(
        {
            "minimum": latency.min_ns,
            "maximum": max(calls) if calls else latency.max_ns,
            "median": latency.median_ns,
            "coefficientOfVariation": latency.variation,
            "runs": calls,
        }
    )
    return {
        "name": cell.key,
        "params": {"variant": cell.variant, "format": cell.format.value, "delegate": cell.delegate.value},
        "className": f"phonebench.{cell.model}",
        "totalRunTimeNs": sum(calls),
        "metrics": {"timeNs": time},
        "sampledMetrics": {},
        "warmupIterations": None,
        "repeatIterations": 1,
        "thermalThrottleSleepSeconds": round(waited),
        "profilerOutputs": [],
    }
