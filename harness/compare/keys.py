"""What must be equal before two values may be compared, as plain text by key.

If a key differs it is named and nothing is computed: a ratio between two systems, two runtimes or two clock regimes
says nothing about the artifact.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.cells import Cell
from harness.records.device import DeviceInfo
from harness.records.measurement import Measurement
from harness.store.records import ModelFacts, RunRecord

# The key in ``DeviceInfo.details`` for how a device's clocks are set; without it the system chooses them.
CLOCK_REGIME = "clock_regime"
DEFAULT_CLOCKS = "default"
ANY_CORES = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDifference:
    """A comparison key with its value in A and in B."""

    key: str
    a: str
    b: str


def comparison_keys(run: RunRecord, cell: Cell, measurement: Measurement) -> dict[str, str]:
    """Return the comparison keys of one measurement. An unknown value is ``unknown``, which equals only ``unknown``."""
    device = next((d for d in run.head.devices if d.key == cell.device), None)
    model = next((m for m in run.head.models if m.name == cell.model), None)
    return {**_device_keys(device), **_cell_keys(cell, measurement), **_data_keys(model)}


def differing_keys(a: dict[str, str], b: dict[str, str]) -> tuple[KeyDifference, ...]:
    """Return the keys whose values differ, in order."""
    return tuple(
        KeyDifference(key=key, a=a.get(key, _UNKNOWN), b=b.get(key, _UNKNOWN))
        for key in dict.fromkeys((*a, *b))
        if a.get(key, _UNKNOWN) != b.get(key, _UNKNOWN)
    )


_UNKNOWN = "unknown"


def _device_keys(device: DeviceInfo | None) -> dict[str, str]:
    if device is None:
        return {"device model": _UNKNOWN}
    details = device.details
    return {
        "device kind": device.kind,
        "device model": device.model,
        "processor": f"{device.cpu}, {device.cores} cores, {device.abi}",
        "OS": device.os,
        "OS build": device.os_build,
        "clock regime": details.get(CLOCK_REGIME, DEFAULT_CLOCKS),
        "cores": details.get("cores", ANY_CORES),
    }


def _cell_keys(cell: Cell, measurement: Measurement) -> dict[str, str]:
    runtime, runner = measurement.runtime, measurement.runner
    return {
        "format": cell.format.value,
        "backend": cell.backend.value if cell.backend else "none",
        "delegate": cell.delegate.value,
        "delegate used": runtime.delegate_used if runtime else _UNKNOWN,
        "threads": str(runtime.threads if runtime else cell.threads),
        "profile": cell.profile.value,
        "runtime": runtime.name if runtime else _UNKNOWN,
        "runtime version": runtime.version if runtime else _UNKNOWN,
        "runner kind": f"{runner.kind}{', debuggable' if runner.debuggable else ''}" if runner else _UNKNOWN,
    }


def _data_keys(model: ModelFacts | None) -> dict[str, str]:
    if model is None:
        return {"data": _UNKNOWN}
    return {"data": model.data_sha256 or "random inputs", "weights": "random" if model.random_weights else "trained"}
