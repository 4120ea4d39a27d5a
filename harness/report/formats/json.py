"""The JSON interface of `phonebench show --json`."""

from __future__ import annotations

from typing import Any

from harness.records.artifact import ArtifactFacts
from harness.records.metrics import METRICS, Metric
from harness.report.sections.parts import parts_comparisons
from harness.report.view import SCHEMA, CellView, cell_identity, cell_views, plain
from harness.store.records import RunRecord


def show_json(run: RunRecord) -> dict[str, Any]:
    """Return the public interface of ``phonebench show --json``: plain values, what was not measured is None.

    The fields are specified in ``docs/report.md``; ``schema`` grows when one of them changes its meaning. A metric
    whose row names no field of its own appears under ``metrics``; cells have that key only if there is such a metric.
    """
    views = cell_views(run)
    return {
        "schema": SCHEMA,
        "run": _run_facts(run),
        "cells": [_cell_facts(v) for v in views],
        "parts": plain(parts_comparisons(run.head.models, views)),
    }


def _run_facts(run: RunRecord) -> dict[str, Any]:
    names = ("id", "created_at", "finished_at", "spec", "models", "devices", "host", "versions", "commit", "goal")
    return {name: plain(getattr(run.head, name)) for name in names}


_ARTIFACT = (
    "sha256", "bytes", "sqnr_db", "agreement",
    "own_sqnr_db", "compressed_bytes", "parameters", "macs", "kept_float", "calibration",
)  # fmt: skip
_LATENCY = ("median_ns", "low_ns", "high_ns", "p90_ns", "calls", "launches", "p90_mlperf_ns", "tainted", "over_time")
_ACCURACY = ("metric", "value", "low", "high", "correct", "count", "top5", "classes")
_SCORES = ("metric", "value", "low", "high", "count")
_RUNTIME = ("name", "version", "delegate_used", "nodes_total", "nodes_delegated")


def _cell_facts(view: CellView) -> dict[str, Any]:
    return {
        **cell_identity(view),
        "status": view.status.value,
        "reason": view.reason,
        "artifact": _artifact_facts(view.artifact),
        "latency": _pick(view.latency, _LATENCY),
        "load": _pick(view.load, ("first_ns",)),
        "memory": plain(view.memory),
        "accuracy": _pick(view.accuracy, _ACCURACY),
        "runtime": _pick(view.runtime, _RUNTIME),
        "runner": plain(view.runner),
        "conditions": plain(view.conditions),
        "scores": _pick(view.measurement.scores if view.measurement else None, _SCORES),
        "target": plain(view.measurement.target if view.measurement else None),
        "fidelity": plain(view.fidelity),
        **_other_metrics(view),
    }


def _other_metrics(view: CellView) -> dict[str, Any]:
    """The metrics that have no field of their own, under one key; nothing if there are none."""
    others = [metric for metric in METRICS.values() if metric.json_key is None]
    return {"metrics": {metric.name: _reading(metric, view) for metric in others}} if others else {}


def _reading(metric: Metric, view: CellView) -> dict[str, Any] | None:
    reading = metric.shown(view.measurement)
    return None if reading is None else {"unit": metric.unit, **_fields(reading, ("value", "low", "high", "count"))}


def _artifact_facts(artifact: ArtifactFacts | None) -> dict[str, Any] | None:
    facts = _pick(artifact, _ARTIFACT)
    return None if artifact is None or facts is None else {**facts, "steps": plain(artifact.steps)}


def _pick(record: object | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    return None if record is None else _fields(record, names)


def _fields(record: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: plain(getattr(record, name)) for name in names}
