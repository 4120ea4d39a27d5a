"""A cell as plain values: the JSON interface of one cell."""

from __future__ import annotations

from typing import Any

from harness.records.artifact import ArtifactFacts
from harness.records.measurement import LatencySummary
from harness.records.metric import Metric
from harness.records.metrics import METRICS
from harness.report.view import CellView, cell_identity, plain

_ARTIFACT = (
    "sha256", "bytes", "sqnr_db", "agreement",
    "own_sqnr_db", "compressed_bytes", "parameters", "macs", "kept_float", "calibration", "types",
)  # fmt: skip
_LATENCY = ("median_ns", "low_ns", "high_ns", "p90_ns", "calls", "launches", "p90_mlperf_ns", "tainted", "over_time")
_ACCURACY = ("metric", "value", "low", "high", "correct", "count", "top5", "classes")
_SCORES = ("metric", "value", "low", "high", "count", "higher_is_better", "unit", "tolerance", "corpus", "float_value")
_RUNTIME = ("name", "version", "delegate_used", "nodes_total", "nodes_delegated", "accelerator", "nodes_left")


def cell_json(view: CellView) -> dict[str, Any]:
    """Return the public fields of ``view``: ns, bytes, shares 0…1; None for what was not measured.

    A latency has ``speeds`` only if its launches ran at several. A metric whose row names no field of its own appears
    under ``metrics``; cells have that key only if there is such a metric.
    """
    return {
        **cell_identity(view),
        **_lengths(view),
        "status": view.status.value,
        "reason": view.reason,
        "artifact": _artifact_json(view.artifact),
        "latency": _latency_json(view.latency),
        "load": _pick(view.load, ("first_ns",)),
        "memory": plain(view.memory),
        "accuracy": _pick(view.accuracy, _ACCURACY),
        "runtime": _pick(view.runtime, _RUNTIME),
        "runner": plain(view.runner),
        "conditions": plain(view.conditions),
        "scores": _pick(view.measurement.scores if view.measurement else None, _SCORES),
        "groups": plain(view.measurement.groups if view.measurement else None),
        "target": plain(view.measurement.target if view.measurement else None),
        "fidelity": plain(view.fidelity),
        **_energy(view),
        **_language(view),
        **_other_metrics(view),
        **_imported(view),
    }


def _energy(view: CellView) -> dict[str, Any]:
    """The energy per inference, or why there is none; nothing for cells of a device without a power sensor."""
    energy = view.measurement.energy if view.measurement else None
    if energy is None:
        return {}
    derived = {"repeatability": energy.repeatability, "inferences_per_mah": energy.inferences_per_mah}
    return {"energy": plain(energy) | {name: value for name, value in derived.items() if value is not None}}


def _language(view: CellView) -> dict[str, Any]:
    """How a language model generated and how good it is; nothing for other networks."""
    measurement = view.measurement
    if measurement is None or view.cell.lengths is None:
        return {}
    stated = {"stated": plain(measurement.stated)} if measurement.stated else {}
    return {"generation": plain(measurement.generation), "language": plain(measurement.language), **stated}


def _lengths(view: CellView) -> dict[str, Any]:
    """The tokens of the prompt and the new ones of a language model; nothing for other networks."""
    return {} if view.cell.lengths is None else {"lengths": plain(view.cell.lengths)}


def _imported(view: CellView) -> dict[str, Any]:
    """Where an imported cell comes from, and what only its program states; nothing for cells of phonebench."""
    measurement = view.measurement
    if measurement is None or measurement.origin is None:
        return {}
    return {"origin": plain(measurement.origin), "stated": plain(measurement.stated)}


def _other_metrics(view: CellView) -> dict[str, Any]:
    others = [metric for metric in METRICS.values() if metric.json_key is None]
    return {"metrics": {metric.name: _reading(metric, view) for metric in others}} if others else {}


def _reading(metric: Metric, view: CellView) -> dict[str, Any] | None:
    reading = metric.shown(view.measurement)
    return None if reading is None else {"unit": metric.unit, **_fields(reading, ("value", "low", "high", "count"))}


def _artifact_json(artifact: ArtifactFacts | None) -> dict[str, Any] | None:
    facts = _pick(artifact, _ARTIFACT)
    return None if artifact is None or facts is None else {**facts, "steps": plain(artifact.steps)}


def _latency_json(latency: LatencySummary | None) -> dict[str, Any] | None:
    fields = _pick(latency, _LATENCY)
    if latency is None or fields is None or not latency.speeds:
        return fields
    return {**fields, "speeds": plain(latency.speeds)}


def _pick(record: object | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    return None if record is None else _fields(record, names)


def _fields(record: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: plain(getattr(record, name)) for name in names}
