"""One cell on one device: what becomes of replies, and when launches stop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Artifact, CalibrationSource
from harness.artifacts.prepared import PreparedModel
from harness.artifacts.stage import build_artifacts
from harness.devices import Execution
from harness.devices.fake import FakePhone, fake_info
from harness.errors import DeviceError, StoreError
from harness.gate import Gate
from harness.measurement import (
    CellStatus,
    Condition,
    ConditionId,
    DeviceInfo,
    GateOutcome,
    Measurement,
    Passed,
    Readiness,
)
from harness.model import ModelOptions, Task, resolve
from harness.plan import make_cell
from harness.profiles import PROFILES, ProfileName
from harness.progress import Silent
from harness.run import Job, launch_once, make_request, measure, unmeasured
from harness.wire import (
    Delegate,
    DeviceStates,
    Failure,
    FailureKind,
    Format,
    LatencySamples,
    LoadTimes,
    MemoryReading,
    OutputsRef,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    RunRequest,
    RuntimeReport,
    StateSample,
    encode,
)
from tests.artifacts.builders import CARD, Floats, make_manifest, make_prepared, sha256
from tests.orders import order

FLOAT = np.array([[3, 1, 0], [0, 4, 1], [1, 5, 2], [6, 0, 1], [0, 2, 1]], dtype=np.float32)
LABELS = [0, 1, 2, 0, 1]
STEADY = (1000,) * 200
CRASH = Failure(kind=FailureKind.CRASH, message="the runner was killed")

Play = Callable[[RunRequest], RunReply]


@dataclass
class Kept:
    """A keeper that holds what it is given."""

    data: dict[str, bytes] = field(default_factory=dict)

    def keep(self, data: bytes, suffix: str) -> str:
        self.data[sha256(data) + suffix] = data
        return sha256(data)


class Scripted:
    """A device that plays one reply a launch, the last one for ever, and counts what it was asked."""

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


def test_a_good_cell_has_everything(tmp_path: Path) -> None:
    work = job(tmp_path)
    found = run(work, Scripted(ok()))
    assert (found.cell, found.status, found.failure, found.reason) == (work.cell.key, CellStatus.OK, None, None)
    assert (found.started_at, found.ended_at) == ("time 0", "time 1")
    assert found.artifact is not None
    assert (found.artifact.bytes, found.artifact.sqnr_db) == (11, 40.0)
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.launches, found.latency.calls) == (1000, 5, 1000)
    assert found.load is not None
    assert (found.load.first_ns, found.load.first_inference_ns) == (5002, 9002)
    assert [launch.index for launch in found.launches] == [0, 1, 2, 3, 4]
    assert (found.accuracy, found.fidelity, found.memory, found.outputs_sha256) == (None, None, None, None)


def test_every_reply_is_kept_under_the_digest_that_its_launch_names(tmp_path: Path) -> None:
    keeper = Kept()
    found = run(job(tmp_path), Scripted(ok()), keeper)
    assert {f"{launch.reply_sha256}.json" for launch in found.launches} == set(keeper.data)
    assert len(keeper.data) == 5


def test_accuracy_is_counted_from_the_outputs_of_the_device(tmp_path: Path) -> None:
    scores = FLOAT.copy()
    scores[2] = [0, 1, 9]
    scores[1] = [9, 1, 0]
    accuracy = with_outputs(tmp_path, scores).accuracy
    assert accuracy is not None
    assert (accuracy.correct, accuracy.count, accuracy.value) == (4, 5, 0.8)
    # Input 1 alone is wrong: 10111, padded on the right to 1011 1000.
    assert accuracy.correct_bits == "b8"
    # Wilson's interval of 4 in 5, by hand: centre 0.6697, half width 0.2941.
    assert (accuracy.low, accuracy.high) == pytest.approx((0.3755, 0.9638), abs=1e-4)


def test_outputs_that_are_not_finite_are_wrong(tmp_path: Path) -> None:
    found = with_outputs(tmp_path, np.full_like(FLOAT, np.nan))
    assert found.accuracy is not None
    assert (found.accuracy.correct, found.accuracy.correct_bits) == (0, "00")
    assert found.fidelity is not None
    assert found.fidelity.agreement == 0


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.where(FLOAT.max() == FLOAT, np.nan, FLOAT), "not finite"),
        (-FLOAT, "dB above their error"),
        (np.roll(FLOAT, 1, axis=1), "dB above their error"),
    ],
    ids=["nan", "negated", "shifted"],
)
def test_garbage_from_a_device_is_broken_whatever_the_gate_said(tmp_path: Path, scores: Floats, words: str) -> None:
    found = with_outputs(tmp_path, scores.astype(np.float32))
    assert found.status is CellStatus.BROKEN
    assert found.reason is not None
    assert "on the device" in found.reason
    assert words in found.reason
    assert found.latency is not None, "the figures are kept beside the reason"


def test_fidelity_compares_with_the_float_network(tmp_path: Path) -> None:
    fidelity = with_outputs(tmp_path, FLOAT * np.float32(1.1)).fidelity
    assert fidelity is not None
    assert fidelity.sqnr_db == pytest.approx(20, abs=1e-4)
    assert (fidelity.agreement, fidelity.count) == (1.0, 5)
    assert fidelity.max_error == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("changes", "accuracy", "agreement"),
    [
        ({}, True, True),
        ({"card": replace(CARD, random_weights=True)}, False, True),
        ({"card": replace(CARD, task=Task.REGRESSION)}, False, False),
    ],
)
def test_accuracy_is_measured_where_it_means_something(
    tmp_path: Path, changes: dict[str, Any], accuracy: bool, agreement: bool
) -> None:
    found = with_outputs(tmp_path, FLOAT, job(tmp_path, **changes))
    assert (found.accuracy is not None) is accuracy
    assert found.fidelity is not None
    assert (found.fidelity.agreement is not None) is agreement


@pytest.mark.parametrize(("outputs", "labels", "seen"), [(True, None, (None, 1.0)), (False, LABELS, (1.0, None))])
def test_without_labels_there_is_fidelity_and_without_a_float_network_accuracy(
    tmp_path: Path, outputs: bool, labels: list[int] | None, seen: tuple[float | None, float | None]
) -> None:
    model = make_prepared(tmp_path / "other", FLOAT[[0, 1, 3, 4]], [0, 1, 0, 1] if labels else None)
    facts = model.facts if outputs else replace(model.facts, outputs=())
    work = job(tmp_path, model=PreparedModel(facts=facts, folder=model.folder))
    found = with_outputs(tmp_path, FLOAT[[0, 1, 3, 4]], work)
    value = found.accuracy.value if found.accuracy else None
    assert (value, found.fidelity.agreement if found.fidelity else None) == seen


def test_outputs_are_kept_and_asked_for_once(tmp_path: Path) -> None:
    keeper = Kept()
    path, ref = outputs_file(tmp_path, FLOAT)
    device = Scripted(ok(outputs=ref), outputs=path)
    found = run(job(tmp_path), device, keeper)
    assert keeper.data[f"{found.outputs_sha256}.bin"] == FLOAT.tobytes()
    assert [request.passes.outputs is not None for request in device.requests] == [True, False, False, False, False]


def test_a_request_says_what_the_profile_says(tmp_path: Path) -> None:
    work = job(tmp_path)
    request = make_request(work, 3)
    assert request.passes.latency is not None
    assert request.passes.memory is not None
    assert (request.cell, request.launch, request.artifact.file) == (work.cell.key, 3, "model.onnx")
    assert (request.passes.latency.warmup.min_calls, request.passes.latency.measure.min_calls) == (10, 100)
    assert (request.passes.memory.calls, request.inputs.count) == (20, 5)


@pytest.mark.parametrize(
    ("profile", "spread", "launches"),
    [(ProfileName.QUICK, 300, 1), (ProfileName.STANDARD, 1, 5), (ProfileName.STANDARD, 300, 20)],
)
def test_launches_stop_when_the_interval_is_narrow(
    tmp_path: Path, profile: ProfileName, spread: int, launches: int
) -> None:
    plays = [ok((1000 + spread * (at % 2),) * 200) for at in range(20)]
    found = run(job(tmp_path, profile), Scripted(*plays))
    assert found.latency is not None
    assert found.latency.launches == len(found.launches) == launches


@pytest.mark.parametrize("launches", [1, 2, 7])
def test_a_number_of_launches_overrides_the_stop_rule(tmp_path: Path, launches: int) -> None:
    device = Scripted(ok())
    found = run(job(tmp_path, launches=launches), device)
    assert [request.launch for request in device.requests] == list(range(launches))
    assert found.latency is not None
    assert found.latency.launches == launches
    assert (found.latency.low_ns is None) is (launches == 1)


def test_a_failure_in_the_third_launch_keeps_the_first_two(tmp_path: Path) -> None:
    keeper = Kept()
    found = run(job(tmp_path), Scripted(ok(), ok((1200,) * 200), bad()), keeper)
    assert (found.status, found.reason, found.failure) == (CellStatus.FAILED, CRASH.message, CRASH)
    assert [(launch.index, launch.median_ns) for launch in found.launches] == [(0, 1000), (1, 1200)]
    assert (found.latency, found.accuracy, len(keeper.data)) == (None, None, 3)
    assert found.artifact is not None


def test_what_a_device_cannot_do_is_unsupported(tmp_path: Path) -> None:
    failure = Failure(kind=FailureKind.DELEGATE, message="no such delegate here")
    found = run(job(tmp_path), Scripted(bad(failure, ReplyStatus.UNSUPPORTED)))
    assert (found.status, found.reason, found.launches) == (CellStatus.UNSUPPORTED, failure.message, ())


REFUSED = Failure(kind=FailureKind.DELEGATE, message="no such delegate here")


def refused(seconds: float | None, **changes: Any) -> Play:
    """A launch of a delegate that the phone lacks, which took so long to say it, or does not tell how long."""
    at = [StateSample(at_ns=round(1e9 * moment)) for moment in (5, 5 + (seconds or 0))]
    state = None if seconds is None else DeviceStates(before=at[0], after=at[1])
    hole: dict[str, Any] = {"status": ReplyStatus.UNSUPPORTED, "failure": REFUSED, "latency": None, "load": None}
    return ok(**{**hole, "state": state, **changes})


@pytest.mark.parametrize(
    ("play", "rests"),
    [
        (refused(0.1), [10.0]),
        (refused(30), [10.0, 10.0]),
        (refused(None), [10.0, 10.0]),
        (refused(0.1, load=LoadTimes(first_ns=9)), [10.0, 10.0]),
        (refused(0.1, status=ReplyStatus.FAILED), [10.0, 10.0]),
    ],
)
def test_a_phone_does_not_rest_again_after_a_launch_that_was_refused_at_once(
    tmp_path: Path, play: Play, rests: list[float]
) -> None:
    class Phone(Scripted):
        passively_cooled = True

    work, phone = job(tmp_path, ProfileName.QUICK), Phone(ok(), play, ok())
    gate = Gate(phone)
    for _ in range(3):
        measure(work, phone, Kept(), lambda: "now", gate=gate)
    assert phone.rests == rests


@pytest.mark.parametrize("samples", [None, ()])
def test_a_reply_without_samples_is_a_failed_cell(tmp_path: Path, samples: tuple[int, ...] | None) -> None:
    play = ok(latency=None) if samples is None else ok(samples)
    found = run(job(tmp_path), Scripted(ok(), play))
    assert (found.status, found.reason) == (CellStatus.FAILED, "the runner measured no latency")
    assert len(found.launches) == 1


def test_a_runner_that_tells_no_load_time_has_none(tmp_path: Path) -> None:
    found = run(job(tmp_path), Scripted(ok(load=None)))
    assert (found.status, found.load) == (CellStatus.OK, None)


def test_memory_is_one_reading_that_of_the_highest_peak(tmp_path: Path) -> None:
    readings = [
        MemoryReading(
            definition="d", baseline_bytes=1, loaded_bytes=at, steady_bytes=2, peak_bytes=peak, retained_bytes=None
        )
        for at, peak in enumerate((50, 70, 60))
    ]
    found = run(job(tmp_path, launches=3), Scripted(*(ok(memory=reading) for reading in readings)))
    assert found.memory == readings[1]


def test_nnapi_is_called_deprecated(tmp_path: Path) -> None:
    one = job(tmp_path)
    found = run(replace(one, cell=replace(one.cell, delegate=Delegate.NNAPI)), Scripted(ok()))
    assert ConditionId.DEPRECATED in ids(found)
    assert ConditionId.DEPRECATED not in ids(run(one, Scripted(ok())))


@pytest.mark.parametrize(("highest", "thermal"), [(0.9, set()), (1.05, {ConditionId.THERMAL}), (None, set())])
def test_a_phone_at_the_end_of_its_thermal_headroom_is_a_condition(
    tmp_path: Path, highest: float | None, thermal: set[ConditionId]
) -> None:
    cool, hot, unknown = (StateSample(at_ns=0, thermal_headroom=value) for value in (0.4, highest, None))
    found = run(job(tmp_path), Scripted(ok(state=DeviceStates(before=cool, after=unknown, series=(hot,)))))
    assert ids(found) == thermal
    assert {launch.thermal_headroom for launch in found.launches} == {highest or 0.4}


@pytest.mark.parametrize(
    ("total", "taken", "told"),
    [
        (50, 41, ["ran partly on xnnpack: 41 of 50 nodes"]),
        (50, 50, []),
        (50, 0, []),
        (None, 41, []),
        (50, None, []),
    ],
)
def test_a_delegate_that_took_some_of_the_nodes_is_a_condition(
    tmp_path: Path, total: int | None, taken: int | None, told: list[str]
) -> None:
    def play(request: RunRequest) -> RunReply:
        reply = ok(used="xnnpack")(request)
        assert reply.runtime is not None
        return replace(reply, runtime=replace(reply.runtime, nodes_total=total, nodes_delegated=taken))

    found = run(job(tmp_path), Scripted(play))
    assert [c.summary for c in found.conditions if c.id is ConditionId.PARTIAL] == told


def test_a_fallback_is_a_condition(tmp_path: Path) -> None:
    found = run(job(tmp_path), Scripted(ok(used="xnnpack")))
    assert ids(found) == {ConditionId.FALLBACK}
    assert found.conditions[0].summary == "asked for cpu, ran on xnnpack"


@pytest.mark.parametrize(
    ("profile", "samples", "unsteady"),
    [
        (ProfileName.STANDARD, (1000,) * 80 + (1500,) * 120, True),
        (ProfileName.STANDARD, (1500,) * 80 + (1000,) * 120, False),
        (ProfileName.STANDARD, STEADY, False),
        (ProfileName.QUICK, (1000,) * 80 + (1500,) * 120, False),
    ],
)
def test_a_launch_that_slows_down_is_a_condition(
    tmp_path: Path, profile: ProfileName, samples: tuple[int, ...], unsteady: bool
) -> None:
    found = run(job(tmp_path, profile, launches=2), Scripted(ok(), ok(samples)))
    told = [c.summary for c in found.conditions if c.id is ConditionId.UNSTEADY]
    assert told == (["3 of 4 launches did not settle, left out of the figures"] if unsteady else [])


SLOWED = (1000,) * 80 + (1500,) * 120


def test_a_launch_that_throttled_is_tried_again_and_never_averaged_in(tmp_path: Path) -> None:
    device = Scripted(ok(), ok(SLOWED), ok((1010,) * 200))
    found = run(job(tmp_path, launches=2), device)
    assert found.latency is not None
    assert (found.latency.launches, found.latency.calls, found.latency.tainted) == (2, 400, False)
    assert [(la.index, la.retry, la.tainted) for la in found.launches] == [
        (0, 0, ()), (1, 0, ("slowdown",)), (2, 1, ()),
    ]  # fmt: skip
    assert len(device.rests) == 1
    assert ConditionId.UNSTEADY in ids(found)


def test_a_cell_without_a_good_launch_says_so(tmp_path: Path) -> None:
    found = run(job(tmp_path, launches=4), Scripted(ok(SLOWED)))
    assert found.latency is not None
    assert found.latency.tainted
    # Three tries each for two launches, then the cell is taken for hopeless and the others get one.
    assert len(found.launches) == 3 + 3 + 1 + 1


def test_a_probe_that_is_slow_afterwards_discards_the_launch(tmp_path: Path) -> None:
    fast, slow = Readiness(probe_ns=100), Readiness(probe_ns=210)
    device = Scripted(ok(), readiness=[fast, slow, fast, fast])
    found = run(job(tmp_path, launches=1), device)
    assert [la.tainted for la in found.launches] == [("afterwards the processor took 2.10 times its best time",), ()]
    assert ConditionId.THROTTLED in ids(found)


def test_a_device_that_stays_busy_is_measured_and_flagged(tmp_path: Path) -> None:
    device = Scripted(ok(), readiness=[Readiness(busy=0.9)])
    found = run(job(tmp_path, launches=1), device)
    gate = found.launches[0].gate
    assert gate is not None
    assert (gate.outcome, gate.waited_s, gate.reasons) == (
        GateOutcome.TIMEOUT, 15, ("other work takes 90 % of the processor",),
    )  # fmt: skip
    assert ConditionId.GATE_TIMEOUT in ids(found)


@pytest.mark.parametrize(("name", "launches", "indicative"), [("mlperf", 1, True), ("mlperf", 5, False)])
def test_a_claim_needs_the_launches_that_the_profile_says(
    tmp_path: Path, name: str, launches: int, indicative: bool
) -> None:
    found = run(job(tmp_path, ProfileName(name), launches=launches), Scripted(ok()))
    assert (ConditionId.INDICATIVE in ids(found)) is indicative


def test_a_sustained_launch_is_told_by_the_minute(tmp_path: Path) -> None:
    minute = 60_000_000_000
    samples = LatencySamples(first_ns=1, warmup_ns=(), samples_ns=(100, 110, 150), at_ns=(0, 5, 2 * minute))
    found = run(job(tmp_path, ProfileName.SUSTAINED), Scripted(ok(latency=samples)))
    assert found.latency is not None
    assert [(m.minute, m.median_ns, m.calls) for m in found.latency.over_time] == [(1, 105.0, 2), (3, 150.0, 1)]


def test_top5_and_classes_come_with_the_accuracy(tmp_path: Path) -> None:
    found = with_outputs(tmp_path, FLOAT)
    assert found.accuracy is not None
    assert found.accuracy.top5 is None, "three classes have no top-5"
    assert [(c.label, c.share.correct, c.share.count) for c in found.accuracy.classes] == [
        (0, 2, 2), (1, 2, 2), (2, 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("scores", "passed"), [(FLOAT, Passed.UNDECIDED), (FLOAT[:, [1, 0, 2]], Passed.NO)])
def test_a_target_of_the_folder_is_judged_on_the_same_inputs(tmp_path: Path, scores: Floats, passed: Passed) -> None:
    work = job(tmp_path, card=replace(CARD, target="mlperf-classification"))
    target = with_outputs(tmp_path, scores, work).target
    assert target is not None
    assert target.passed is passed
    assert target.wanted == pytest.approx(0.98 * 0.8)


def test_warm_up_is_trimmed_from_the_figures(tmp_path: Path) -> None:
    found = run(job(tmp_path, launches=1), Scripted(ok((1500,) * 80 + (1000,) * 120)))
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls, found.launches[0].calls) == (1000, 120, 120)
    assert found.launches[0].steady_state == "warmup"


def test_what_the_harness_knows_of_the_figures_is_a_condition(tmp_path: Path) -> None:
    plain = job(tmp_path, ProfileName.QUICK)
    manifest = replace(plain.artifact.manifest, calibration=CalibrationSource.RANDOM)
    model = PreparedModel(facts=replace(plain.model.facts, random_inputs=True), folder=plain.model.folder)
    artifact = replace(plain.artifact, manifest=manifest)
    work = replace(plain, artifact=artifact, model=model, card=replace(CARD, random_weights=True))
    assert ids(run(plain, Scripted(ok()))) == {ConditionId.INDICATIVE}
    assert ids(run(work, Scripted(ok()))) == {
        ConditionId.INDICATIVE,
        ConditionId.RANDOM_WEIGHTS,
        ConditionId.RANDOM_INPUTS,
        ConditionId.RANDOM_CALIBRATION,
    }


def test_conditions_of_the_device_are_those_of_all_launches(tmp_path: Path) -> None:
    seen = [Condition(id=id_, summary=id_) for id_ in (ConditionId.BUSY_HOST, ConditionId.THERMAL, ConditionId.THERMAL)]
    found = run(job(tmp_path), Scripted(ok(), conditions=seen))
    assert [c.id for c in found.conditions] == [ConditionId.BUSY_HOST, ConditionId.THERMAL]


def test_the_deadline_is_beyond_anything_that_can_go_well(tmp_path: Path) -> None:
    device = Scripted(ok())
    run(job(tmp_path, launches=1), device)
    run(job(tmp_path, launches=1, timeout_s=7.0), device)
    assert device.deadlines[0] > 2 * PROFILES[ProfileName.STANDARD].cap_ns / 1e9
    assert device.deadlines[1] == 7.0


def test_an_artifact_that_changed_since_it_was_built_does_not_run(tmp_path: Path) -> None:
    work, device = job(tmp_path), Scripted(ok())
    assert work.artifact.path is not None
    work.artifact.path.write_bytes(b"another one")
    with pytest.raises(StoreError, match="it was changed, build it again"):
        run(work, device)
    assert device.requests == []


def test_an_artifact_that_was_not_made_is_a_failed_cell(tmp_path: Path) -> None:
    work = job(tmp_path, artifact=Artifact(manifest=make_manifest(), path=None))
    assert run(work, Scripted(ok())).status is CellStatus.FAILED
    told = unmeasured(work.cell, CellStatus.BROKEN, "no good", lambda: "now")
    assert (told.cell, told.status, told.reason, told.ended_at) == (work.cell.key, CellStatus.BROKEN, "no good", "now")


def test_trying_once_asks_for_one_output_and_no_times(tmp_path: Path) -> None:
    device = Scripted(ok())
    assert launch_once(job(tmp_path), device).status is ReplyStatus.OK
    (request,) = device.requests
    assert request.passes.outputs is not None
    assert (request.passes.outputs.count, request.passes.latency, request.passes.memory) == (1, None, None)


@pytest.fixture
def digits(working_cache: Path) -> Job:
    """A cell of the real digits artifact."""
    card = resolve("digits", ModelOptions())
    cell = make_cell("digits", "int8", Format.ONNX, Delegate.CPU, 1, "fake", ProfileName.QUICK)
    outcome = build_artifacts(order([card], [cell.build]), Cache(working_cache), Silent())
    return Job(
        cell=cell,
        card=card,
        artifact=outcome.artifacts[cell.build],
        model=outcome.models["digits"],
        profile=PROFILES[ProfileName.QUICK],
    )


def test_a_scripted_phone_measures_a_real_artifact(digits: Job) -> None:
    found = run(digits, FakePhone())
    assert found.status is CellStatus.OK
    assert found.latency is not None
    assert found.memory is not None
    assert found.latency.calls >= 50
    assert ids(found) == {ConditionId.SIMULATED, ConditionId.INDICATIVE}
    assert (found.accuracy, found.fidelity) == (None, None)
    assert found.artifact is not None
    assert found.artifact.sha256 == digits.artifact.manifest.sha256


def test_a_hot_phone_says_so_beside_its_figures(digits: Job) -> None:
    found = run(replace(digits, launches=2), FakePhone("fake:hot"))
    assert ConditionId.THERMAL in ids(found)
    first, second = found.launches
    assert second.median_ns > first.median_ns


@pytest.mark.parametrize(("name", "kind"), [("crash", FailureKind.CRASH), ("oom", FailureKind.OOM)])
def test_a_phone_that_fails_gives_a_record(digits: Job, name: str, kind: FailureKind) -> None:
    found = run(digits, FakePhone(f"fake:{name}"))
    assert found.status is CellStatus.FAILED
    assert found.failure is not None
    assert (found.failure.kind, found.failure.message) == (kind, found.reason)


def test_a_phone_that_is_lost_gives_none(digits: Job) -> None:
    with pytest.raises(DeviceError, match="is gone"):
        run(replace(digits, launches=3), FakePhone("fake:lost"))


def test_the_real_labels_and_outputs_make_a_real_accuracy(digits: Job, tmp_path: Path) -> None:
    reference = digits.model.reference()
    assert reference is not None
    scores = reference[0].reshape(len(reference[0]), -1)
    path, ref = outputs_file(tmp_path, scores)
    found = run(digits, Scripted(ok(outputs=ref), outputs=path))
    assert found.accuracy is not None
    assert found.accuracy.correct == digits.model.facts.float_correct
    assert found.accuracy.count == digits.model.facts.test_count
    assert found.accuracy.value > 0.97
    bits = f"{int(found.accuracy.correct_bits, 16):b}"
    assert bits.count("1") == found.accuracy.correct
