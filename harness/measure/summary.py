"""Turns the launches of a cell into its measurement: the figures, and what makes them less trustworthy.

A launch that throttled or did not settle is stored with its reason but is not part of any figure. Only if no launch was
good do the figures come from the tainted ones, and then the measurement says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.measure.accuracy import JudgedAnswers, judge_answers
from harness.measure.conditions import highest_headroom, own_conditions
from harness.measure.fidelity import judge_outputs
from harness.measure.job import Job, Seen
from harness.measure.language import LanguageAnswers, generation_of, judge_language, judge_text
from harness.measure.latency import minute_latencies, of_batches, summarise, summarise_told
from harness.records.artifact import ArtifactFacts, CalibrationSource
from harness.records.conditions import Condition, ConditionId
from harness.records.energy import energy_summary, joules_of_launch
from harness.records.energy_pairs import summarise_pairs
from harness.records.generation import stated_rates
from harness.records.measurement import (
    CellStatus,
    EnergySummary,
    LatencySummary,
    LaunchSummary,
    LoadSummary,
    Measurement,
)
from harness.spec.profiles import Headline
from harness.stats.launches import typical
from harness.wire import MemoryReading, ReplyStatus


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
    """Return the record of a cell whose launches all ran; its outputs may still show that it is broken."""
    seen.note(own_conditions(job, seen))
    last = seen.launched[-1].reply
    language = job.cell.lengths is not None
    judged = judge_text(job, seen.outputs) if language else judge_outputs(job, seen.outputs)
    seen.note(judged.conditions)
    replies = [launch.reply for launch in seen.counted]
    energy = summarise_pairs(replies) if job.profile.idle_ns else energy_summary(replies)
    seen.note(_without_energy(job, energy))
    answers = JudgedAnswers() if language else judge_answers(job.card, job.model, seen.outputs)
    seen.note(answers.conditions)
    texts = judge_language(job, seen.outputs) if language else LanguageAnswers()
    return Measurement(
        cell=job.cell.key,
        status=CellStatus.BROKEN if judged.reason else CellStatus.OK,
        reason=judged.reason,
        started_at=started_at,
        ended_at=ended_at,
        artifact=_artifact_facts(job),
        launches=_launches(seen),
        latency=_latency(job, seen),
        load=_load(seen),
        memory=middle_memory([launch.reply.memory for launch in seen.counted if launch.reply.memory]),
        energy=energy,
        accuracy=answers.accuracy or texts.accuracy,
        scores=answers.scores or texts.scores,
        target=answers.target,
        groups=answers.groups,
        fidelity=judged.fidelity,
        runtime=last.runtime,
        runner=last.runner,
        outputs_sha256=seen.outputs_sha256,
        conditions=tuple(seen.conditions.values()),
        stated=stated_rates(replies),
        generation=generation_of(job, replies),
        language=texts.quality,
    )


def _without_energy(job: Job, energy: EnergySummary | None) -> tuple[Condition, ...]:
    """Say why there is no energy, where the profile is about it."""
    if not job.profile.idle_ns or (energy is not None and energy.joules is not None):
        return ()
    reason = energy.reason if energy is not None else "no energy counter was read"
    return (Condition(id=ConditionId.NO_ENERGY, summary=f"no energy: {reason}"),)


def middle_memory(readings: Sequence[MemoryReading]) -> MemoryReading | None:
    """Return the reading whose growth is the middle one, the lower of two; None without readings.

    The figures of one launch belong together, those of several do not. The highest would grow with every launch.
    """
    return sorted(readings, key=_growth)[(len(readings) - 1) // 2] if readings else None


def _growth(reading: MemoryReading) -> int:
    return (reading.held_bytes or 0) - reading.baseline_bytes


def _artifact_facts(job: Job) -> ArtifactFacts:
    manifest = job.artifact.manifest
    return ArtifactFacts(
        sha256=manifest.sha256 or "",
        bytes=manifest.bytes or 0,
        sqnr_db=manifest.sqnr_db,
        agreement=manifest.agreement,
        own_sqnr_db=manifest.own_sqnr_db,
        types=manifest.types,
        compressed_bytes=manifest.compressed_bytes,
        parameters=manifest.parameters,
        macs=manifest.macs,
        steps=manifest.steps,
        kept_float=manifest.kept_float,
        companions=tuple(part.sha256 for part in manifest.companions),
        calibration="" if manifest.calibration is CalibrationSource.NONE else manifest.calibration.value,
    )


def _launches(seen: Seen) -> tuple[LaunchSummary, ...]:
    """One record per launch that gave samples; a launch that failed is in the measurement's ``failure``."""
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
            thermal_headroom=highest_headroom(launch.reply),
            memory_growth_bytes=_growth(launch.reply.memory) if launch.reply.memory else None,
            energy_joules=joules_of_launch(launch.reply),
        )
        for launch in seen.launched
    )


def _latency(job: Job, seen: Seen) -> LatencySummary:
    counted = seen.counted
    # A runtime's own benchmark program reports a summary instead of single calls.
    reported = [s.reply.latency.told for s in counted if s.reply.latency and s.reply.latency.told]
    samples = [s.reply.latency.samples_ns[s.summary.start :] for s in counted if s.reply.latency]
    latency = summarise_told(reported) if reported else summarise(samples)
    batches = [(s.summary.calls, s.reply.latency.calls_per_sample) for s in counted if s.reply.latency]
    if any(size > 1 for _, size in batches):
        latency = of_batches(latency, calls=sum(count * size for count, size in batches))
    if job.profile.headline is Headline.OVER_TIME:
        moments = [(s.reply.latency.at_ns, s.reply.latency.samples_ns) for s in counted if s.reply.latency]
        latency = replace(latency, over_time=minute_latencies(moments))
    return replace(latency, tainted=not seen.good)


def _load(seen: Seen) -> LoadSummary | None:
    replies = [launch.reply for launch in seen.counted]
    if not all(reply.load for reply in replies):
        return None
    calls = [reply.latency.first_ns for reply in replies if reply.latency and reply.latency.first_ns is not None]
    return LoadSummary(
        first_ns=typical([reply.load.first_ns for reply in replies if reply.load]),
        first_inference_ns=typical(calls) if calls else None,
    )
