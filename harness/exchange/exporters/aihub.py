"""The profile of a Qualcomm AI Hub job: one file per cell, with every call. Times are microseconds."""

from __future__ import annotations

from typing import Any

from harness.exchange.outgoing import US, Files, Outgoing, json_file, per_cell, said, scaled
from harness.records.operators import Operator
from harness.records.origin import StatedName
from harness.records.stated_metrics import stated_figure
from harness.report.view import CellView

_UNITS = {"cpu": "CPU", "xnnpack": "CPU", "gpu": "GPU", "npu": "NPU", "nnapi": "NPU", "coreml": "NPU", "qnn": "NPU"}


def profiles(outgoing: Outgoing) -> Files:
    """Return a profile per cell that has results."""
    return per_cell(outgoing.ok, ".json", lambda view: json_file(_profile(outgoing, view)))


def _profile(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    latency, load, memory = view.latency, view.load, view.memory
    calls = [scaled(call, US) for launch in outgoing.calls(view) for call in launch]
    # An imported profile has an estimate and no calls.
    stated = stated_figure(view.measurement, StatedName.LATENCY)
    told_ns = stated.value if stated else None
    summary = {
        "estimated_inference_time": scaled(latency.median_ns if latency else told_ns, US),
        "estimated_inference_peak_memory": memory.peak_bytes if memory else None,
        "first_load_time": scaled(load.first_ns if load else None, US),
        "all_inference_times": calls or None,
    }
    profile = view.measurement.operators if view.measurement else None
    operators = profile.operators if profile else ()
    return {"execution_summary": said(summary), "execution_detail": [_layer(operator) for operator in operators]}


def _layer(operator: Operator) -> dict[str, Any]:
    unit = _UNITS.get(operator.ran_on.lower())
    time = scaled(operator.mean_ns, US)
    return said({"name": operator.name, "type": operator.kind, "compute_unit": unit, "execution_time": time})
