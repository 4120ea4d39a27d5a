"""The records of a stored run, and the names of the files in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.plan.cells import Plan
from harness.records.device import DeviceInfo
from harness.records.measurement import Measurement
from harness.spec.goal import Goal
from harness.spec.spec import Spec
from harness.wire import TensorSpec

# 1 (2026-11): the first.
SCHEMA = 1

RUN_FILE = "run.json"
MEASUREMENTS_FILE = "measurements.jsonl"
# Many times what the largest runs have; a run may come from elsewhere.
MOST_HEAD_BYTES, MOST_MEASUREMENTS_BYTES = 64 << 20, 1 << 30
REPLIES_FOLDER = "replies"
GRAPHS_FOLDER = "graphs"
AB_FILE = "ab.json"
# What was sent to a cloud that runs the apps alone.
CLOUD_FILE = "cloud.json"
LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a run stores about a model.

    ``float_correct`` of ``float_answers`` answers of the float network on this computer are right; None if there are no
    labels. Earlier versions stored no ``float_answers``: every test input had one answer. ``whole`` is the name of the
    model that this one is a part of, and ``metric`` that of the metric that its card names. ``inputs`` are the tensors
    of one call; earlier versions stored none.
    """

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
    whole: str | None = None
    metric: str | None = None
    float_answers: int | None = None
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def float_accuracy(self) -> float | None:
        """The float network's accuracy (0…1) on this computer; None without labels."""
        answers = self.float_answers or self.test_count
        return None if self.float_correct is None or not answers else self.float_correct / answers


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """The content of ``run.json``. Times are ISO 8601 in UTC. ``goal`` is set for a search, whose plan grows."""

    schema: int = SCHEMA
    id: str
    created_at: str
    finished_at: str | None = None
    spec: Spec
    plan: Plan
    models: tuple[ModelFacts, ...] = ()
    devices: tuple[DeviceInfo, ...] = ()
    host: DeviceInfo
    versions: dict[str, str]
    commit: str | None
    goal: Goal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One stored run: the content of its ``run.json`` and the measurements so far, in the folder ``directory``.

    ``damaged_lines`` counts the lines of ``measurements.jsonl`` that could not be read; their cells are pending again.
    """

    head: RunHead
    directory: Path
    measurements: tuple[Measurement, ...]
    damaged_lines: int = 0
