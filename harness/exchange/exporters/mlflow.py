"""A local MLflow folder (``mlruns``): one experiment per run, one MLflow run per cell, every call as a step.

The layout is that of MLflow's file store: a ``meta.yaml`` per experiment and run, and one file per metric, parameter
and tag. So nothing but text has to be written, and MLflow need not be installed.
"""

from __future__ import annotations

import hashlib
import json
import re

from harness.exchange.outgoing import MS, Files, Outgoing, delegate_used, readings
from harness.records.measurement import CellStatus
from harness.report.view import CellView, full_labels

# MLflow's numbers for the state of a run and the kind of its source.
_FINISHED, _FAILED, _LOCAL = 3, 4, 4
# MLflow refuses longer values.
_LONGEST_PARAMETER, _LONGEST_TAG = 6000, 8000
MOST_STEPS = 10_000


def store(outgoing: Outgoing) -> Files:
    """Return the files of the store."""
    experiment = str(int(hashlib.sha256(outgoing.head.id.encode()).hexdigest()[:15], 16))
    at_ms = round(outgoing.started_s * 1000)
    files = {
        f"{experiment}/meta.yaml": _yaml(
            {
                "artifact_location": f"./{experiment}",
                "creation_time": at_ms,
                "experiment_id": experiment,
                "last_update_time": at_ms,
                "lifecycle_stage": "active",
                "name": f"phonebench {outgoing.head.id}",
            }
        )
    }
    names = full_labels(outgoing.views)
    for view in outgoing.views:
        if view.status not in (CellStatus.UNSUPPORTED, CellStatus.PENDING):
            files |= _run(outgoing, view, (experiment, names[view.cell.key], at_ms))
    return files


def _run(outgoing: Outgoing, view: CellView, facts: tuple[str, str, int]) -> Files:
    experiment, name, at_ms = facts
    run_id = hashlib.sha256(f"{outgoing.head.id}/{view.cell.key}".encode("utf-8", "replace")).hexdigest()[:32]
    folder = f"{experiment}/{run_id}"
    files = {
        f"{folder}/meta.yaml": _yaml(
            {
                "artifact_uri": f"./{folder}/artifacts",
                "end_time": at_ms,
                "entry_point_name": "",
                "experiment_id": experiment,
                "lifecycle_stage": "active",
                "run_id": run_id,
                "run_name": name,
                "run_uuid": run_id,
                "source_name": "",
                "source_type": _LOCAL,
                "source_version": outgoing.head.commit or "",
                "start_time": at_ms,
                "status": _FINISHED if view.status is CellStatus.OK else _FAILED,
                "tags": [],
                "user_id": "phonebench",
            }
        )
    }
    files |= {
        f"{folder}/params/{key}": _text(value, _LONGEST_PARAMETER) for key, value in _parameters(outgoing, view).items()
    }
    files |= {f"{folder}/tags/{key}": _text(value, _LONGEST_TAG) for key, value in _tags(outgoing, view, name).items()}
    # MLflow takes a folder for a run only if it has all three of metrics, params and artifacts.
    files[f"{folder}/artifacts/recipe.json"] = outgoing.recipe(view).encode("utf-8", "replace")
    return files | {f"{folder}/metrics/{key}": data for key, data in _metrics(outgoing, view, at_ms).items()}


def _parameters(outgoing: Outgoing, view: CellView) -> dict[str, str]:
    cell, device = view.cell, outgoing.device(view)
    values = {
        "model": cell.model,
        "variant": cell.variant,
        "format": cell.format.value,
        "delegate": cell.delegate.value,
        "delegate_used": delegate_used(view),
        "threads": "" if cell.threads is None else str(cell.threads),
        "profile": cell.profile.value,
        "device": cell.device,
        "device_model": device.model if device else "",
        "runtime": f"{view.runtime.name} {view.runtime.version}" if view.runtime else "",
        "recipe": outgoing.recipe(view),
    }
    return {key: value for key, value in values.items() if value}


def _tags(outgoing: Outgoing, view: CellView, name: str) -> dict[str, str]:
    values = {
        "mlflow.runName": name,
        "mlflow.source.git.commit": outgoing.head.commit or "",
        "mlflow.note.content": view.reason or "",
        "phonebench.run": outgoing.head.id,
        "phonebench.cell": view.cell.key,
        "phonebench.conditions": " ".join(condition.id.value for condition in view.conditions),
    }
    return {key: value for key, value in values.items() if value}


def _metrics(outgoing: Outgoing, view: CellView, at_ms: int) -> dict[str, bytes]:
    """One file per metric, with a line of time, value and step per value."""
    values: dict[str, list[float]] = {"ok": [float(view.status is CellStatus.OK)]}
    if view.status is CellStatus.OK:
        for metric, reading in readings(view):
            unit = re.sub(r"[^a-z]+", "_per_", metric.unit) if metric.unit != "1" else "share"
            figures = {"": reading.value, "_low": reading.low, "_high": reading.high, "_p90": reading.p90}
            values |= {f"{metric.name}{part}_{unit}": [value] for part, value in figures.items() if value is not None}
        calls = [call / MS for launch in outgoing.calls(view) for call in launch]
        values |= {"call_ms": _thinned(calls)} if calls else {}
    return {
        name: "".join(f"{at_ms} {value!r} {step}\n" for step, value in enumerate(listed)).encode()
        for name, listed in values.items()
    }


def _thinned(calls: list[float]) -> list[float]:
    """At most `MOST_STEPS` of the calls, evenly spread: MLflow reads a line per step whenever it draws the metric."""
    stride = -(-len(calls) // MOST_STEPS)
    return calls[:: max(1, stride)]


def _yaml(values: dict[str, object]) -> bytes:
    """JSON is YAML, and quoting is settled there."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()).encode("utf-8", "replace")


def _text(value: str, longest: int) -> bytes:
    return value[:longest].encode("utf-8", "replace")
