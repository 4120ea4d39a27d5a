"""From the launches of a cell to its measurement: figures, and what makes them less trustworthy.

The one decision: a launch that throttled or did not settle is a record with its reason and no part of any figure. Only
where not one launch was good do the figures come from the tainted ones, and then they say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.answers import accuracy_of, fidelity_of, target_of, task_scores
from harness.artifacts.manifest import Artifact, ArtifactState, Manifest, untrained_steps
from harness.artifacts.sources.made_variant import VariedModel
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.artifacts.verify.plausible import why_garbage
from harness.model.card import ModelCard
from harness.plan.cells import Cell
from harness.records.artifact import ArtifactFacts, CalibrationSource
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import (
    CellStatus,
    Fidelity,
    GateFacts,
    GateOutcome,
    LatencySummary,
    LaunchSummary,
    LoadSummary,
    Measurement,
)
from harness.spec.profiles import Headline, Profile
from harness.stats.overtime import by_minute
from harness.stats.percentiles import median
from harness.stats.steady import SteadyState
from harness.stats.summary import Launch, summarise, summarise_told
from harness.wire import Delegate, MemoryReading, ReplyStatus, RunReply, RuntimeReport
from harness.wire.tensors import Array

# From here on Android throttles severely; it normalises each phone's own thresholds to this.
SEVERE_HEADROOM = 1.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One launch that gave samples: its reply, where it is kept, its summary, and why it does not count, if so."""

    reply: RunReply
    sha256: str
    summary: Launch
    gate: GateFacts
    retry: int = 0
    tainted: tuple[str, ...] = ()
    watch_sha256: str | None = None


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the launches so far have shown."""

    launched: list[Launched] = field(default_factory=list)
    last: RunReply | None = None
    conditions: dict[ConditionId, Condition] = field(default_factory=dict)
    outputs: tuple[Array, ...] | None = None
    outputs_sha256: str | None = None

    @property
    def good(self) -> list[Launched]:
        """The launches that count."""
        return [launch for launch in self.launched if not launch.tainted]

    @property
    def counted(self) -> list[Launched]:
        """The launches that the figures come from: the good ones, or all when there is none."""
        return self.good or self.launched

    def note(self, conditions: Iterable[Condition]) -> None:
        """Keep the first condition of each kind."""
        for condition in conditions:
            self.conditions.setdefault(condition.id, condition)


def failed_measurement(job: Job, seen: Seen, started_at: str, ended_at: str) -> Measurement:
    """Return the record of a cell whose last launch gave no figures, with the reason."""
    reply = seen.last
    unsupported = reply is not None and reply.status is ReplyStatus.UNSUPPORTED
    failure = reply.failure if reply else None
    return Measurement(
        cell=job.cell.key,
        status=CellStatus.UNSUPPORTED if unsupported else CellStatus.FAILED,
        reason=failure.message if failure else "the runner measured no latency",
        failure=failure,
        started_at=started_at,
        ended_at=ended_at,
        artifact=_artifact_facts(job),
        launches=_launches(seen),
        runtime=reply.runtime if reply else None,
        runner=reply.runner if reply else None,
        conditions=tuple(seen.conditions.values()),
    )


def good_measurement(job: Job, seen: Seen, started_at: str, ended_at: str) -> Measurement:
    """Return the record of a cell that ran to its end; its outputs may still show that it is broken."""
    seen.note(own_conditions(job, seen))
    last = seen.launched[-1].reply
    fidelity = fidelity_of(job.card, job.model, seen.outputs)
    garbage = _garbage(job, seen, fidelity)
    accuracy, scores = accuracy_of(job.card, job.model, seen.outputs), task_scores(job.card, job.model, seen.outputs)
    return Measurement(
        cell=job.cell.key,
        status=CellStatus.BROKEN if garbage else CellStatus.OK,
        reason=garbage,
        started_at=started_at,
        ended_at=ended_at,
        artifact=_artifact_facts(job),
        launches=_launches(seen),
        latency=_latency(job, seen),
        load=_load(seen),
        memory=highest_memory([launch.reply.memory for launch in seen.counted if launch.reply.memory]),
        accuracy=accuracy,
        scores=scores,
        target=target_of(job.card, job.model, accuracy, scores),
        fidelity=fidelity,
        runtime=last.runtime,
        runner=last.runner,
        outputs_sha256=seen.outputs_sha256,
        conditions=tuple(seen.conditions.values()),
    )


def highest_memory(readings: Sequence[MemoryReading]) -> MemoryReading | None:
    """Return the launch with the highest peak: one coherent reading instead of a mixture of several."""
    return max(readings, key=lambda r: r.peak_bytes or r.steady_bytes) if readings else None


def own_conditions(job: Job, seen: Seen) -> list[Condition]:
    """Return what the harness itself knows to qualify the figures."""
    found = [*_of_the_launches(job, seen), *_of_the_model(job, seen)]
    return [Condition(id=id_, summary=summary) for applies, id_, summary in found if applies]


_Candidate = tuple[bool, ConditionId, str]


def _of_the_launches(job: Job, seen: Seen) -> list[_Candidate]:
    profile, all_ = job.profile, len(seen.launched)
    unsteady = [s for s in seen.launched if s.summary.state in (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)]
    disturbed = [launch for launch in seen.launched if launch.tainted and launch not in unsteady]
    late = [launch for launch in seen.launched if launch.gate.outcome is GateOutcome.TIMEOUT]
    left = "left out of the figures" if seen.good else "no launch was good, so the figures are theirs"
    hottest = max((h for launch in seen.launched if (h := _headroom(launch.reply)) is not None), default=0.0)
    claims = profile.claims_from
    few = claims is not None and len(seen.counted) < claims
    return [
        (
            profile.indicative or few,
            ConditionId.INDICATIVE,
            f"profile {profile.name.value!r} measures briefly: no claim of a difference can rest on it"
            if profile.indicative
            else f"a claim takes {claims} launches of profile {profile.name.value!r}, there are {len(seen.counted)}",
        ),
        (
            bool(unsteady) and (profile.retries > 0 or profile.trim),
            ConditionId.UNSTEADY,
            f"{len(unsteady)} of {all_} launches did not settle, {left}",
        ),
        (
            bool(disturbed),
            ConditionId.THROTTLED,
            f"{len(disturbed)} of {all_} launches were disturbed ({'; '.join(_reasons(disturbed))}), {left}",
        ),
        (
            hottest >= SEVERE_HEADROOM,
            ConditionId.THERMAL,
            f"the phone's thermal headroom reached {hottest:.2f}: from 1 on it slows down severely",
        ),
        (
            bool(late),
            ConditionId.GATE_TIMEOUT,
            f"{len(late)} of {all_} launches began though {'; '.join(_gate_reasons(late))}",
        ),
    ]


def _of_the_model(job: Job, seen: Seen) -> list[_Candidate]:
    runtime = seen.launched[-1].reply.runtime
    return [
        (
            job.card.random_weights,
            ConditionId.RANDOM_WEIGHTS,
            "the weights are random: speed, memory and size are real, accuracy was not measured",
        ),
        (
            job.model.facts.random_inputs,
            ConditionId.RANDOM_INPUTS,
            "the model has no test data: inputs were noise, accuracy was not measured",
        ),
        (
            job.artifact.manifest.calibration is CalibrationSource.RANDOM,
            ConditionId.RANDOM_CALIBRATION,
            "the quantiser was calibrated on noise: with calibration data the accuracy would be higher",
        ),
        *_of_the_variant(job.artifact.manifest),
        (
            runtime is not None and runtime.delegate_used != runtime.delegate_requested.value,
            ConditionId.FALLBACK,
            f"asked for {job.cell.delegate.value}, ran on {runtime.delegate_used if runtime else '?'}",
        ),
        _partial(runtime),
        (
            job.cell.delegate is Delegate.NNAPI,
            ConditionId.DEPRECATED,
            "Android has deprecated NNAPI since version 15: its drivers stand still, and newer phones drop it",
        ),
    ]


def _partial(runtime: RuntimeReport | None) -> _Candidate:
    """A delegate that took some of the nodes; one that took none has another name in the report."""
    total, taken = (runtime.nodes_total or 0, runtime.nodes_delegated or 0) if runtime else (0, 0)
    used = runtime.delegate_used if runtime else "?"
    return 0 < taken < total, ConditionId.PARTIAL, f"ran partly on {used}: {taken} of {total} nodes"


def _of_the_variant(manifest: Manifest) -> list[_Candidate]:
    """What the making of the artifact takes from its figures."""
    untrained = untrained_steps(manifest)
    return [
        (
            manifest.calibration in (CalibrationSource.BATCH_NORM, CalibrationSource.RANGE),
            ConditionId.DATA_FREE,
            "the quantiser was calibrated without data: on real inputs the accuracy may be lower than with real ones",
        ),
        (
            untrained != "",
            ConditionId.NOT_FINE_TUNED,
            f"not trained again after {untrained}: accuracy is lower than it would be",
        ),
        (
            manifest.state is ArtifactState.UNVERIFIED,
            ConditionId.UNVERIFIED,
            "the file was not run before it came to the device: its runtime is not on the computer that built it",
        ),
    ]


def _reasons(launched: Sequence[Launched]) -> list[str]:
    return list(dict.fromkeys(reason for launch in launched for reason in launch.tainted))[:2]


def _gate_reasons(launched: Sequence[Launched]) -> list[str]:
    return list(dict.fromkeys(reason for launch in launched for reason in launch.gate.reasons))[:2]


def _garbage(job: Job, seen: Seen, fidelity: Fidelity | None) -> str | None:
    """Why the device's own outputs cannot be believed, or None; without outputs there is nothing to disbelieve."""
    values = [output for output in seen.outputs or () if output.dtype.kind == "f"]
    bad = sum(int(np.count_nonzero(~np.isfinite(output))) for output in values)
    if bad:
        return f"on the device {bad:,} of {sum(output.size for output in values):,} output values are not finite"
    if fidelity is None:
        return None
    real = not (job.card.random_weights or job.model.facts.random_inputs)
    if job.varied is not None:
        # After graph steps the network that they left is what the file has to compute.
        fidelity = fidelity_of(job.card, job.model, seen.outputs, varied=job.varied) or fidelity
    found = why_garbage(fidelity.sqnr_db, fidelity.agreement, fidelity.count, real=real)
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


def _launches(seen: Seen) -> tuple[LaunchSummary, ...]:
    """One record a launch that gave samples; the one that failed is told by the measurement's failure."""
    return tuple(
        LaunchSummary(
            index=launch.reply.launch,
            reply_sha256=launch.sha256,
            median_ns=round(launch.summary.median_ns),
            calls=launch.summary.calls,
            first_ns=launch.reply.latency.first_ns if launch.reply.latency else 0,
            load_ns=launch.reply.load.first_ns if launch.reply.load else 0,
            steady_state=launch.summary.state.value,
            retry=launch.retry,
            tainted=launch.tainted,
            gate=launch.gate,
            watch_sha256=launch.watch_sha256,
            thermal_headroom=_headroom(launch.reply),
        )
        for launch in seen.launched
    )


def _headroom(reply: RunReply) -> float | None:
    """The highest thermal headroom of a launch."""
    if reply.state is None:
        return None
    samples = (reply.state.before, *reply.state.series, reply.state.after)
    return max((s.thermal_headroom for s in samples if s.thermal_headroom is not None), default=None)


def _latency(job: Job, seen: Seen) -> LatencySummary:
    counted = seen.counted
    told = [s.reply.latency.told for s in counted if s.reply.latency and s.reply.latency.told]
    samples = [s.reply.latency.samples_ns[s.summary.start :] for s in counted if s.reply.latency]
    found = summarise_told(told) if told else summarise(samples)
    if job.profile.headline is Headline.OVER_TIME:
        moments = [(s.reply.latency.at_ns, s.reply.latency.samples_ns) for s in counted if s.reply.latency]
        found = replace(found, over_time=by_minute(moments))
    return replace(found, tainted=not seen.good)


def _load(seen: Seen) -> LoadSummary | None:
    replies = [launch.reply for launch in seen.counted]
    if not all(reply.load for reply in replies):
        return None
    return LoadSummary(
        first_ns=median([reply.load.first_ns for reply in replies if reply.load]),
        first_inference_ns=median([reply.latency.first_ns for reply in replies if reply.latency]),
    )
