"""The request that a launch sends to its runner, and the deadline of the launch."""

from __future__ import annotations

import functools
from pathlib import Path

from harness.artifacts.layout import InputsFile, inputs_file
from harness.measure.job import Job
from harness.measure.language import language_passes
from harness.spec.formats import artifact_file
from harness.spec.profiles import SECOND_NS
from harness.system.files import file_sha256
from harness.wire import (
    ArtifactRef,
    CompanionRef,
    EnergyPass,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    OutputsPass,
    Passes,
    RunRequest,
    RuntimeRequest,
    WarmupPass,
)

# A launch also starts a process, loads the model and reads memory, beside what it measures. Two minutes are generous: a
# slow phone may compile a model for its GPU first.
LAUNCH_OVERHEAD_S = 120.0
SCORED_ROW_S = 20

# Loading a model is work, whose end must not be in the idle block.
SETTLE_NS = 3 * SECOND_NS


def make_request(job: Job, launch: int, *, outputs: bool = False) -> RunRequest:
    """Return the request for one launch; with ``outputs`` the runner also returns the outputs of all test inputs."""
    profile, manifest, facts, feed = job.profile, job.artifact.manifest, job.model.facts, job_feed(job)
    latency = LatencyPass(
        warmup=WarmupPass(min_calls=profile.warmup_calls, min_ns=profile.warmup_ns),
        measure=MeasurePass(min_calls=profile.measure_calls, min_ns=profile.measure_ns, max_ns=profile.cap_ns),
        stride_ns=profile.stride_ns,
    )
    passes = Passes(
        latency=latency,
        memory=MemoryPass(calls=profile.memory_calls, settle_ns=profile.settle_ns),
        outputs=OutputsPass(count=facts.test_count) if outputs else None,
        energy=EnergyPass(idle_ns=profile.idle_ns, settle_ns=SETTLE_NS) if profile.idle_ns else None,
    )
    return RunRequest(
        cell=job.cell.key,
        launch=launch,
        artifact=ArtifactRef(
            file=manifest.file or artifact_file(job.cell.format),
            sha256=manifest.sha256 or "",
            format=job.cell.format,
            companions=tuple(CompanionRef(file=part.file, sha256=part.sha256) for part in manifest.companions),
            signature=job.signature,
        ),
        runtime=RuntimeRequest(delegate=job.cell.delegate, threads=job.cell.threads or 1),
        inputs=InputsRef(
            file=feed.path.name, count=facts.test_count, tensors=feed.tensors, sha256=_inputs_sha256(job, feed)
        ),
        passes=passes if job.cell.lengths is None else language_passes(job, passes, outputs=outputs),
    )


def job_feed(job: Job) -> InputsFile:
    """Return the file of test inputs in the layout that the artifact expects."""
    return inputs_file(job.artifact, job.model)


def deadline_s(job: Job) -> float:
    """Return a time limit that only a hang reaches: twice the cap of measuring, plus a second per input for outputs."""
    if job.timeout_s is not None:
        return job.timeout_s
    # A row of a language model is scored token by token where a runtime has no other way.
    scored_s = job.model.facts.test_count * (1 if job.cell.lengths is None else SCORED_ROW_S)
    return LAUNCH_OVERHEAD_S + (2 * job.profile.cap_ns + job.profile.idle_ns) / SECOND_NS + scored_s


def _inputs_sha256(job: Job, feed: InputsFile) -> str:
    inputs = job.artifact.manifest.inputs
    if inputs is not None and job.artifact.path is not None:
        return inputs.sha256
    status = feed.path.stat()
    return _file_digest(feed.path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _file_digest(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  a file with another size is another
    """The digest of a file of inputs, computed once: all launches of all cells of a model have the same inputs."""
    return file_sha256(path)
