"""The JSON interface of `phonebench show --json`."""

from __future__ import annotations

from typing import Any

from harness.records.artifact import ArtifactFacts
from harness.report.sections.parts import parts_comparisons
from harness.report.view import SCHEMA, CellView, cell_identity, cell_views, plain
from harness.store.records import RunRecord


def show_json(run: RunRecord) -> dict[str, Any]:
    """Return the public interface of ``phonebench show --json``: plain values, what was not measured is None.

    The fields are specified in ``docs/report.md``; ``schema`` grows when one of them changes its meaning.
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
    }


def _artifact_facts(artifact: ArtifactFacts | None) -> dict[str, Any] | None:
    facts = _pick(artifact, _ARTIFACT)
    return None if artifact is None or facts is None else {**facts, "steps": plain(artifact.steps)}


def _pick(record: object | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    return None if record is None else {name: plain(getattr(record, name)) for name in names}
