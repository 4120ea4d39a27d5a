"""The results folder: the only code that reads or writes ``results/``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.measurement import DeviceInfo, Measurement
from harness.plan import Plan
from harness.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a report says of a model; ``float_correct`` of ``test_count`` is the float network's own top-1 here."""

    name: str
    task: str
    license: str
    source: str
    random_weights: bool
    weights_sha256: str
    data_sha256: str | None
    parameters: int | None
    test_count: int
    calibration_count: int
    labelled: bool
    float_correct: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as stored: what was asked, on what, and what is known so far. Times are ISO 8601, UTC.

    ``damaged_lines`` counts lines of ``measurements.jsonl`` that could not be read (their cells are pending again).
    """

    id: str
    directory: Path
    created_at: str
    finished_at: str | None
    spec: Spec
    plan: Plan
    models: tuple[ModelFacts, ...]
    devices: tuple[DeviceInfo, ...]
    host: DeviceInfo
    versions: dict[str, str]
    commit: str | None
    measurements: tuple[Measurement, ...]
    damaged_lines: int = 0
