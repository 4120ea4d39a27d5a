"""What must be equal before two values may be compared, as plain text by key.

If a key differs it is named and nothing is computed: a ratio between two systems, two runtimes or two clock regimes
says nothing about the artifact.

Two units of one phone model differ too, by their chips, batteries and what else they run. They are compared only on
request. Runs of earlier versions do not hold every key: what they lack cannot differ, but is noted.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.cells import Cell
from harness.records.device import DeviceInfo
from harness.records.measurement import Measurement
from harness.store.records import ModelFacts, RunRecord
from harness.wire import Format, input_text

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


UNIT = "unit"
INPUTS = "inputs"
# Keys that a run may lack: runs of earlier versions have no inputs, and some kinds of devices have no serial number.
_MAY_BE_UNKNOWN = (UNIT, INPUTS)


def comparison_keys(run: RunRecord, cell: Cell, measurement: Measurement) -> dict[str, str]:
    """Return the comparison keys of one measurement. An unknown value is ``unknown``, which equals only ``unknown``."""
    device = next((d for d in run.head.devices if d.key == cell.device), None)
    model = next((m for m in run.head.models if m.name == cell.model), None)
    return {
        **_device_keys(device),
        **_cell_keys(cell, measurement),
        INPUTS: _inputs(run, model),
        **_data_keys(model),
        **_origin_keys(measurement),
    }


def differing_keys(a: dict[str, str], b: dict[str, str], *, across_units: bool = False) -> tuple[KeyDifference, ...]:
    """Return the keys whose values differ, in order; with ``across_units`` the unit may."""
    return tuple(
        difference
        for difference in _differences(a, b)
        if not (difference.key in _MAY_BE_UNKNOWN and _UNKNOWN in (difference.a, difference.b))
        and not (across_units and difference.key == UNIT)
    )


def key_notes(a: dict[str, str], b: dict[str, str]) -> tuple[str, ...]:
    """Return what a reader must know about two values that were compared all the same, as sentences."""
    notes = []
    for difference in _differences(a, b):
        lacking = [run for run, value in (("A", difference.a), ("B", difference.b)) if value == _UNKNOWN]
        if lacking and difference.key in _MAY_BE_UNKNOWN:
            notes.append(f"run {lacking[0]} does not record the {difference.key}, which may differ")
        elif difference.key == UNIT:
            notes.append(f"two units of one model: A ran on {difference.a}, B on {difference.b}")
    if a.get(INPUTS, _UNKNOWN) == b.get(INPUTS, _UNKNOWN) == _UNKNOWN:
        notes.append(f"neither run records the {INPUTS}, which may differ")
    return tuple(notes)


def one_unit(a: dict[str, str], b: dict[str, str], *, one_key: bool) -> bool:
    """Whether two values are of one and the same device: by its serial number, or else by its key."""
    units = a.get(UNIT, _UNKNOWN), b.get(UNIT, _UNKNOWN)
    return one_key if _UNKNOWN in units else units[0] == units[1]


_UNKNOWN = "unknown"


def _differences(a: dict[str, str], b: dict[str, str]) -> list[KeyDifference]:
    pairs = {key: (a.get(key, _UNKNOWN), b.get(key, _UNKNOWN)) for key in (*a, *b)}
    return [KeyDifference(key=key, a=first, b=second) for key, (first, second) in pairs.items() if first != second]


def _inputs(run: RunRecord, model: ModelFacts | None) -> str:
    """The tensors of one call. Earlier versions stored them only where the command line gave them."""
    stored = [input_text(spec) for spec in model.inputs] if model else []
    return ", ".join(stored or run.head.spec.input) or _UNKNOWN


def _device_keys(device: DeviceInfo | None) -> dict[str, str]:
    if device is None:
        return {"device model": _UNKNOWN}
    details = device.details
    return {
        "device kind": device.kind,
        "device model": device.model,
        UNIT: _unit(details.get("unit") or details.get("serial", "")),
        "processor": _processor(device),
        "OS": device.os,
        "OS build": device.os_build,
        "clock regime": details.get(CLOCK_REGIME, DEFAULT_CLOCKS),
        "cores": details.get("cores", ANY_CORES),
    }


def _unit(serial: str) -> str:
    # A phone on the network has an address in place of a serial number, and tomorrow perhaps another one.
    return _UNKNOWN if not serial or ":" in serial else serial


def _cell_keys(cell: Cell, measurement: Measurement) -> dict[str, str]:
    runtime, runner = measurement.runtime, measurement.runner
    return {
        "format": _format_of(cell, measurement),
        "backend": cell.backend.value if cell.backend else "none",
        "delegate": cell.delegate.value,
        "delegate used": runtime.delegate_used if runtime else _UNKNOWN,
        "threads": str((runtime.threads if runtime else cell.threads) or _UNKNOWN),
        "profile": cell.profile.value,
        **({"tokens": f"{lengths.prompt_tokens} + {lengths.new_tokens}"} if (lengths := cell.lengths) else {}),
        "runtime": runtime.name if runtime else _UNKNOWN,
        "runtime version": runtime.version if runtime else _UNKNOWN,
        "runner kind": f"{runner.kind}{', debuggable' if runner.debuggable else ''}" if runner else _UNKNOWN,
    }


def _processor(device: DeviceInfo) -> str:
    cores = "" if device.cores is None else f"{device.cores} cores"
    return ", ".join(filter(None, (device.cpu, cores, device.abi))) or _UNKNOWN


def _format_of(cell: Cell, measurement: Measurement) -> str:
    """The format; of imported results the file's own word, unknown if it says none."""
    if cell.format is not Format.OTHER:
        return cell.format.value
    return (measurement.origin.format if measurement.origin else "") or _UNKNOWN


def _origin_keys(measurement: Measurement) -> dict[str, str]:
    """How another program measured, in the words of its file; nothing for cells of phonebench."""
    origin = measurement.origin
    return {} if origin is None else {"measured by": origin.program, **origin.settings}


def _data_keys(model: ModelFacts | None) -> dict[str, str]:
    if model is None:
        return {"data": _UNKNOWN}
    return {"data": model.data_sha256 or "random inputs", "weights": "random" if model.random_weights else "trained"}
