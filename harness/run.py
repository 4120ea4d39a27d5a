"""Measures one cell on one device: the only place where the order of the phases is written.

push, then launch after launch until the profile's stop rule is met; accuracy from the first launch's own outputs.
Whatever fails on the device becomes a measurement with its reason, never an exception, but for a device that is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from harness.artifacts.layout import Feed, feed_of
from harness.artifacts.manifest import Artifact, ArtifactState, CalibrationSource, artifact_file, untrained_steps
from harness.artifacts.prepared import PreparedModel, correct_rows
from harness.artifacts.varied import VariedModel, own_reference
from harness.deploy import deploy_artifact
from harness.devices import Device, Execution
from harness.measurement import (
    Accuracy,
    ArtifactFacts,
    CellStatus,
    Condition,
    ConditionId,
    Fidelity,
    LatencySummary,
    LaunchSummary,
    LoadSummary,
    Measurement,
)
from harness.model import ModelCard, Task
from harness.plan import Cell
from harness.profiles import Profile
from harness.quality import why_garbage
from harness.stats.fidelity import compare_outputs
from harness.stats.intervals import wilson
from harness.stats.percentiles import median
from harness.stats.steady import SteadyState
from harness.stats.stopping import enough_launches
from harness.stats.summary import Launch, summarise, summarise_launch
from harness.tensors import Array, first_output, read_tensors
from harness.wire import (
    ArtifactRef,
    CompanionRef,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    MemoryReading,
    OutputsPass,
    Passes,
    ReplyStatus,
    RunReply,
    RunRequest,
    RuntimeRequest,
    WarmupPass,
)

SECOND_NS = 1_000_000_000

# Beside the measured time a launch starts a process, loads the model, and reads memory.
LAUNCH_OVERHEAD_S = 120.0

# Outputs larger than this are not kept: accuracy and fidelity are in the measurement, and the file can be run again.
MAX_OUTPUTS_BYTES = 64 << 20


class Keeper(Protocol):
    """Keeps raw replies and outputs; returns their SHA-256."""

    def keep(self, data: bytes, suffix: str) -> str:
        """Keep ``data`` under its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A cell with everything it takes; ``launches`` overrides the profile's stop rule, ``timeout_s`` its deadline.

    ``varied`` is the network that the recipe's graph steps left, None without steps.
    """

    cell: Cell
    card: ModelCard
    artifact: Artifact
    model: PreparedModel
    profile: Profile
    launches: int | None = None
    timeout_s: float | None = None
    varied: VariedModel | None = None


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the launches so far have shown."""

    replies: list[RunReply]
    digests: list[str]
    summaries: list[Launch]
    conditions: dict[ConditionId, Condition]
    outputs: tuple[Array, ...] | None = None
    outputs_sha256: str | None = None


def measure(job: Job, device: Device, keeper: Keeper, now: Callable[[], str]) -> Measurement:
    """Run ``job`` on ``device`` and return what is known of it; ``now`` tells the time in ISO 8601.

    Raises `DeviceError` when the device is gone or cannot take the artifact, `StoreError` when replies cannot be kept.
    """
    started_at = now()
    manifest = job.artifact.manifest
    if job.artifact.path is None or manifest.sha256 is None:
        return unmeasured(job.cell, CellStatus.FAILED, "there is no artifact to run", now)
    deploy_artifact(device, job.artifact)
    seen = _Seen(replies=[], digests=[], summaries=[], conditions={})
    for launch in range(_most_launches(job)):
        _cool_down(job.profile, device, first=launch == 0)
        _note(seen, device.conditions())
        execution = device.execute(make_request(job, launch), _feed(job).path, _deadline_s(job))
        seen.digests.append(keeper.keep(execution.reply_bytes, ".json"))
        seen.replies.append(execution.reply)
        if execution.reply.status is not ReplyStatus.OK or not _samples(execution.reply):
            return _failed(job, seen, started_at, now())
        _take(job, seen, execution, keeper)
        if _enough(job, seen):
            break
    _note(seen, _own_conditions(job, seen))
    return _measured(job, seen, started_at, now())


def launch_once(job: Job, device: Device) -> RunReply:
    """Run one input of ``job`` once, untimed, and return the reply: whether it works at all. Raises `DeviceError`."""
    manifest = job.artifact.manifest
    if job.artifact.path is not None and manifest.sha256 is not None:
        deploy_artifact(device, job.artifact)
    request = replace(make_request(job, 0), passes=Passes(outputs=OutputsPass(count=1)))
    return device.execute(request, _feed(job).path, _deadline_s(job)).reply


def unmeasured(cell: Cell, status: CellStatus, reason: str, now: Callable[[], str]) -> Measurement:
    """Return the record of a cell that did not get as far as a device."""
    at = now()
    return Measurement(cell=cell.key, status=status, reason=reason, started_at=at, ended_at=at)


def make_request(job: Job, launch: int) -> RunRequest:
    """Return the request of one launch; outputs are asked for once, since the same file gives the same outputs."""
    profile, manifest, facts, feed = job.profile, job.artifact.manifest, job.model.facts, _feed(job)
    latency = LatencyPass(
        warmup=WarmupPass(min_calls=profile.warmup_calls, min_ns=profile.warmup_ns),
        measure=MeasurePass(min_calls=profile.measure_calls, min_ns=profile.measure_ns, max_ns=profile.cap_ns),
    )
    return RunRequest(
        cell=job.cell.key,
        launch=launch,
        artifact=ArtifactRef(
            file=manifest.file or artifact_file(job.cell.format),
            sha256=manifest.sha256 or "",
            format=job.cell.format,
            companions=tuple(CompanionRef(file=part.file, sha256=part.sha256) for part in manifest.companions),
        ),
        runtime=RuntimeRequest(delegate=job.cell.delegate, threads=job.cell.threads),
        inputs=InputsRef(file=feed.path.name, count=facts.test_count, tensors=feed.tensors),
        passes=Passes(
            latency=latency,
            memory=MemoryPass(calls=profile.memory_calls, settle_ns=profile.settle_ns),
            outputs=OutputsPass(count=facts.test_count) if launch == 0 else None,
        ),
    )


def _feed(job: Job) -> Feed:
    return feed_of(job.artifact, job.model)


def _most_launches(job: Job) -> int:
    return job.launches or max(job.profile.checkpoints)


def _enough(job: Job, seen: _Seen) -> bool:
    if job.launches is not None:
        return False
    medians = [launch.median_ns for launch in seen.summaries]
    return enough_launches(medians, job.profile.half_width, job.profile.checkpoints)


def _deadline_s(job: Job) -> float:
    """A bound that only a hang reaches: twice the cap for warm-up and measuring, and a second an input for outputs."""
    if job.timeout_s is not None:
        return job.timeout_s
    return LAUNCH_OVERHEAD_S + 2 * job.profile.cap_ns / SECOND_NS + job.model.facts.test_count


def _cool_down(profile: Profile, device: Device, *, first: bool) -> None:
    """Let a device without a fan shed heat before a launch; a scripted phone has none to shed."""
    if device.passively_cooled and not first:
        time.sleep(profile.cool_down_ns / SECOND_NS)


def _note(seen: _Seen, conditions: Iterable[Condition]) -> None:
    for condition in conditions:
        seen.conditions.setdefault(condition.id, condition)


def _take(job: Job, seen: _Seen, execution: Execution, keeper: Keeper) -> None:
    """Summarise one good launch, and keep its outputs."""
    reply = execution.reply
    if reply.latency is not None:
        seen.summaries.append(summarise_launch(reply.latency.samples_ns, trim=job.profile.trim))
    if reply.outputs is None or execution.outputs is None:
        return
    seen.outputs = read_tensors(execution.outputs, reply.outputs.tensors, reply.outputs.count)
    data = execution.outputs.read_bytes()
    if len(data) <= MAX_OUTPUTS_BYTES:
        seen.outputs_sha256 = keeper.keep(data, ".bin")


def _samples(reply: RunReply) -> tuple[int, ...]:
    return reply.latency.samples_ns if reply.latency else ()


def _failed(job: Job, seen: _Seen, started_at: str, ended_at: str) -> Measurement:
    reply = seen.replies[-1]
    unsupported = reply.status is ReplyStatus.UNSUPPORTED
    message = reply.failure.message if reply.failure else "the runner measured no latency"
    return Measurement(
        cell=job.cell.key,
        status=CellStatus.UNSUPPORTED if unsupported else CellStatus.FAILED,
        reason=message,
        failure=reply.failure,
        started_at=started_at,
        ended_at=ended_at,
        artifact=_artifact_facts(job),
        launches=_launches(seen),
        runtime=reply.runtime,
        runner=reply.runner,
        conditions=tuple(seen.conditions.values()),
    )


def _measured(job: Job, seen: _Seen, started_at: str, ended_at: str) -> Measurement:
    last = seen.replies[-1]
    fidelity = _fidelity(job, seen)
    garbage = _garbage(job, seen, fidelity)
    return Measurement(
        cell=job.cell.key,
        status=CellStatus.BROKEN if garbage else CellStatus.OK,
        reason=garbage,
        started_at=started_at,
        ended_at=ended_at,
        artifact=_artifact_facts(job),
        launches=_launches(seen),
        latency=_latency(seen),
        load=_load(seen),
        memory=_memory(seen),
        accuracy=_accuracy(job, seen),
        fidelity=fidelity,
        runtime=last.runtime,
        runner=last.runner,
        outputs_sha256=seen.outputs_sha256,
        conditions=tuple(seen.conditions.values()),
    )


def _garbage(job: Job, seen: _Seen, fidelity: Fidelity | None) -> str | None:
    """Why the device's own outputs cannot be believed, or None; without outputs there is nothing to disbelieve."""
    values = [output for output in seen.outputs or () if output.dtype.kind == "f"]
    bad = sum(int(np.count_nonzero(~np.isfinite(output))) for output in values)
    if bad:
        return f"on the device {bad:,} of {sum(output.size for output in values):,} output values are not finite"
    if fidelity is None:
        return None
    real = not (job.card.random_weights or job.model.facts.random_inputs)
    own = _own_fidelity(job, seen) or fidelity
    found = why_garbage(own.sqnr_db, own.agreement, own.count, real=real)
    return f"on the device {found}" if found else None


def _artifact_facts(job: Job) -> ArtifactFacts:
    manifest = job.artifact.manifest
    return ArtifactFacts(
        sha256=manifest.sha256 or "",
        bytes=manifest.bytes or 0,
        sqnr_db=manifest.sqnr_db,
        agreement=manifest.agreement,
        own_sqnr_db=manifest.own_sqnr_db,
        compressed_bytes=manifest.compressed_bytes,
        parameters=manifest.parameters,
        macs=manifest.macs,
        steps=manifest.steps,
        kept_float=manifest.kept_float,
        calibration="" if manifest.calibration is CalibrationSource.NONE else manifest.calibration.value,
    )


def _launches(seen: _Seen) -> tuple[LaunchSummary, ...]:
    """One record a good launch; the one that failed is told by the measurement's failure."""
    good = [(reply, digest) for reply, digest in zip(seen.replies, seen.digests, strict=True) if reply.latency]
    return tuple(
        LaunchSummary(
            index=reply.launch,
            reply_sha256=digest,
            median_ns=round(summary.median_ns),
            calls=summary.calls,
            first_ns=reply.latency.first_ns if reply.latency else 0,
            load_ns=reply.load.first_ns if reply.load else 0,
            steady_state=summary.state.value,
        )
        for (reply, digest), summary in zip(good, seen.summaries, strict=False)
    )


def _latency(seen: _Seen) -> LatencySummary:
    calls = [
        reply.latency.samples_ns[summary.start :]
        for reply, summary in zip(seen.replies, seen.summaries, strict=True)
        if reply.latency
    ]
    return summarise(calls)


def _load(seen: _Seen) -> LoadSummary | None:
    if not all(reply.load for reply in seen.replies):
        return None
    return LoadSummary(
        first_ns=median([reply.load.first_ns for reply in seen.replies if reply.load]),
        first_inference_ns=median([reply.latency.first_ns for reply in seen.replies if reply.latency]),
    )


def _memory(seen: _Seen) -> MemoryReading | None:
    """The launch with the highest peak: one coherent reading instead of a mixture of several."""
    readings = [reply.memory for reply in seen.replies if reply.memory]
    return max(readings, key=lambda r: r.peak_bytes or r.steady_bytes) if readings else None


def _accuracy(job: Job, seen: _Seen) -> Accuracy | None:
    """Top-1 from the device's own outputs; None for unlabelled data, untrained weights, or no outputs."""
    labels = job.model.labels()
    if seen.outputs is None or labels is None or job.card.task is not Task.CLASSIFICATION or job.card.random_weights:
        return None
    scores = first_output(seen.outputs)
    right = correct_rows(scores, labels)
    low, high = wilson(sum(right), len(right))
    bits = "".join("1" if r else "0" for r in right)
    padded = bits.ljust(-(-len(bits) // 4) * 4, "0")
    return Accuracy(
        metric="top-1",
        value=sum(right) / len(right),
        low=low,
        high=high,
        correct=sum(right),
        count=len(right),
        correct_bits=f"{int(padded, 2):0{len(padded) // 4}x}",
    )


def _fidelity(job: Job, seen: _Seen) -> Fidelity | None:
    return _fidelity_to(job.model.reference(), job, seen)


def _own_fidelity(job: Job, seen: _Seen) -> Fidelity | None:
    """The outputs against those of the network that the graph steps left; None without steps."""
    return None if job.varied is None else _fidelity_to(own_reference(job.model, job.varied), job, seen)


def _fidelity_to(reference: tuple[Array, ...] | None, job: Job, seen: _Seen) -> Fidelity | None:
    if seen.outputs is None or reference is None:
        return None
    classes = job.card.task is Task.CLASSIFICATION
    found = compare_outputs(first_output(reference), first_output(seen.outputs), classes=classes)
    return Fidelity(
        sqnr_db=found.sqnr_db,
        sqnr_worst_db=found.sqnr_worst_db,
        cosine=found.cosine,
        max_error=found.max_error,
        agreement=found.agreement,
        count=found.count,
    )


def _own_conditions(job: Job, seen: _Seen) -> list[Condition]:
    """What the harness itself knows to qualify the figures."""
    facts = job.model.facts
    unsteady = [s.state for s in seen.summaries if s.state in (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)]
    runtime = seen.replies[-1].runtime
    candidates = [
        (
            job.profile.indicative,
            ConditionId.INDICATIVE,
            f"profile {job.profile.name.value!r} measures briefly: no claim of a difference can rest on it",
        ),
        (
            job.card.random_weights,
            ConditionId.RANDOM_WEIGHTS,
            "the weights are random: speed, memory and size are real, accuracy was not measured",
        ),
        (
            facts.random_inputs,
            ConditionId.RANDOM_INPUTS,
            "the model has no test data: inputs were noise, accuracy was not measured",
        ),
        (
            job.artifact.manifest.calibration is CalibrationSource.RANDOM,
            ConditionId.RANDOM_CALIBRATION,
            "the quantiser was calibrated on noise: with calibration data the accuracy would be higher",
        ),
        (
            job.artifact.manifest.calibration in (CalibrationSource.BATCH_NORM, CalibrationSource.RANGE),
            ConditionId.DATA_FREE,
            "the quantiser was calibrated without data: on real inputs the accuracy may be lower than with real ones",
        ),
        (
            untrained_steps(job.artifact.manifest) != "",
            ConditionId.NOT_FINE_TUNED,
            f"not trained again after {untrained_steps(job.artifact.manifest)}: accuracy is lower than it would be",
        ),
        (
            job.artifact.manifest.state is ArtifactState.UNVERIFIED,
            ConditionId.UNVERIFIED,
            "the file was not run before it came to the device: its runtime is not on the computer that built it",
        ),
        (
            bool(unsteady) and job.profile.trim,
            ConditionId.UNSTEADY,
            f"{len(unsteady)} of {len(seen.summaries)} launches did not settle",
        ),
        (
            runtime is not None and runtime.delegate_used != runtime.delegate_requested.value,
            ConditionId.FALLBACK,
            f"asked for {job.cell.delegate.value}, ran on {runtime.delegate_used if runtime else '?'}",
        ),
    ]
    return [Condition(id=id_, summary=summary) for applies, id_, summary in candidates if applies]
