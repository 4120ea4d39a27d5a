"""One cell with a device that plays replies by script, for tests of what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.manifest import Artifact
from harness.devices.device import Execution
from harness.devices.fake.fake import fake_info
from harness.measure.cell import measure
from harness.measure.job import Job
from harness.plan.cells import make_cell
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo, Readiness
from harness.records.measurement import Measurement
from harness.spec.profiles import PROFILES, ProfileName
from harness.wire import (
    Delegate,
    Failure,
    FailureKind,
    Format,
    LatencySamples,
    LoadTimes,
    OutputsRef,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    RunRequest,
    RuntimeReport,
    encode,
)
from tests.artifacts.builders import CARD, Floats, make_manifest, make_prepared, sha256

FLOAT = np.array([[3, 1, 0], [0, 4, 1], [1, 5, 2], [6, 0, 1], [0, 2, 1]], dtype=np.float32)

LABELS = [0, 1, 2, 0, 1]

# No multiple of ten, so that nobody takes it for the step of a clock.
STEADY = (1003,) * 200

CRASH = Failure(kind=FailureKind.CRASH, message="the runner was killed")

Play = Callable[[RunRequest], RunReply]


@dataclass
class Kept:
    """A keeper that holds its data in memory."""

    data: dict[str, bytes] = field(default_factory=dict)

    def keep(self, data: bytes, suffix: str) -> str:
        self.data[sha256(data) + suffix] = data
        return sha256(data)


class Scripted:
    """A device that plays one reply per launch and repeats the last one; it counts its calls."""

    passively_cooled = False

    def __init__(
        self,
        *plays: Play,
        outputs: Path | None = None,
        conditions: Sequence[Condition] = (),
        readiness: Sequence[Readiness] = (),
    ) -> None:
        self._readiness, self.looks = tuple(readiness), 0
        self.rests: list[float] = []
        self.requests: list[RunRequest] = []
        self.deadlines: list[float] = []
        self._plays, self._outputs, self._conditions = plays, outputs, tuple(conditions)

    @property
    def info(self) -> DeviceInfo:
        return fake_info("fake")

    def conditions(self) -> tuple[Condition, ...]:
        return self._conditions[: len(self.requests) + 1]

    def readiness(self) -> Readiness:
        return self._readiness[min(self.looks, len(self._readiness)) - 1] if self._looked() else Readiness()

    def _looked(self) -> bool:
        self.looks += 1
        return bool(self._readiness)

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)

    def push(self, path: Path, sha256: str) -> bool:
        return path.exists() and bool(sha256)

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        assert inputs.is_file()
        play = self._plays[min(len(self.requests), len(self._plays) - 1)]
        self.requests.append(request)
        self.deadlines.append(deadline_s)
        reply = play(request)
        if reply.outputs is not None and request.passes.outputs is None:
            reply = replace(reply, outputs=None)
        return Execution(reply=reply, reply_bytes=encode(reply), outputs=self._outputs if reply.outputs else None)

    def clean(self) -> None:
        """Leave nothing."""


def ok(samples: Sequence[int] = STEADY, *, used: str = "cpu", **changes: Any) -> Play:
    """A launch that went well."""

    def play(request: RunRequest) -> RunReply:
        runtime = RuntimeReport(
            name="onnxruntime",
            version="1",
            delegate_requested=request.runtime.delegate,
            delegate_used=used,
            threads=request.runtime.threads,
        )
        reply = RunReply(
            cell=request.cell,
            launch=request.launch,
            status=ReplyStatus.OK,
            runner=RunnerInfo(kind="fake", version="1"),
            runtime=runtime,
            load=LoadTimes(first_ns=5000 + request.launch),
            latency=LatencySamples(first_ns=9000 + request.launch, warmup_ns=(7,), samples_ns=tuple(samples)),
        )
        return replace(reply, **changes)

    return play


def bad(failure: Failure = CRASH, status: ReplyStatus = ReplyStatus.FAILED) -> Play:
    """A launch that failed."""
    return ok(status=status, failure=failure, latency=None, load=None)


def job(folder: Path, profile: ProfileName = ProfileName.STANDARD, **changes: Any) -> Job:
    """A cell of a model of five inputs and three classes."""
    model = make_prepared(folder / "model", FLOAT, LABELS)
    path = folder / "model.onnx"
    path.write_bytes(b"an artifact")
    manifest = make_manifest(file=path.name, sha256=sha256(b"an artifact"), bytes=11, sqnr_db=40.0, agreement=1.0)
    made = Job(
        cell=make_cell("tiny", "fp32", Format.ONNX, Delegate.CPU, 1, "fake", profile),
        card=CARD,
        artifact=Artifact(manifest=manifest, path=path),
        model=model,
        profile=PROFILES[profile],
    )
    return replace(made, **changes)


def outputs_file(folder: Path, scores: Floats) -> tuple[Path, OutputsRef]:
    """Write ``scores`` as a runner does."""
    path = folder / "outputs.bin"
    path.write_bytes(scores.tobytes())
    tensors = make_prepared(folder / "shapes", scores).facts.outputs
    return path, OutputsRef(file=path.name, count=len(scores), tensors=tensors)


def run(work: Job, device: Any, keeper: Kept | None = None) -> Measurement:
    """Measure with a clock that counts."""
    times = itertools.count()
    return measure(work, device, keeper or Kept(), lambda: f"time {next(times)}")


def with_outputs(folder: Path, scores: Floats, work: Job | None = None, keeper: Kept | None = None) -> Measurement:
    """Measure on a device that gives ``scores``."""
    path, ref = outputs_file(folder, scores)
    return run(work or job(folder), Scripted(ok(outputs=ref), outputs=path), keeper)


def ids(measurement: Measurement) -> set[ConditionId]:
    return {condition.id for condition in measurement.conditions}


SLOWED = (1000,) * 80 + (1500,) * 120
