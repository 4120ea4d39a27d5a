"""One job from request to reply: check the artifact, import the runtime, load the file, and run the passes.

Whatever happens becomes a reply, and what was measured before a failure stays in it. The passes run in this order:
latency, memory, outputs, profile. The memory pass releases the model to see how much memory stays behind, so the passes
after it load the file again, which gives a warm load time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness import __version__
from harness.runners.host import language
from harness.runners.host.energy import energy_blocks, generation_blocks, wait_idle
from harness.runners.host.latency import Timings, measure_latency
from harness.runners.host.memory import Meter
from harness.runners.host.runtimes.language import LanguageSession
from harness.runners.host.runtimes.registry import PROFILERS, language_runtime_of, runtime_of
from harness.runners.host.runtimes.session import Profiled, Session, SessionError, in_model_order
from harness.runners.host.state import sample_state
from harness.wire import (
    OUTPUTS_FILE,
    REPLY_FILE,
    REQUEST_FILE,
    ArtifactRef,
    DeviceStates,
    EnergyBlock,
    EnergyFacts,
    Failure,
    FailureKind,
    GenerationSamples,
    InputsRef,
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
    WireError,
    decode_request,
    encode,
)
from harness.wire.tensors import Array, describe, raw, read_record, record_bytes

KIND = "host"

_Loaded = TypeVar("_Loaded")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class JobResults:
    """What the job has measured so far."""

    runtime: RuntimeReport | None = None
    first_load_ns: int | None = None
    warm_load_ns: tuple[int, ...] = ()
    latency: Timings | None = None
    idle: EnergyBlock | None = None
    energy: EnergyFacts | None = None
    memory: MemoryReading | None = None
    outputs: OutputsRef | None = None
    profile: Profiled | None = None
    generation: GenerationSamples | None = None
    call_times: LatencySamples | None = None


def run_job(folder: Path) -> RunReply:
    """Run the job in ``folder`` and return its reply, with ``outputs.bin`` written. A bad job gives a reply too."""
    try:
        request = decode_request((folder / REQUEST_FILE).read_bytes())
    except (OSError, WireError) as error:
        return _unreadable(folder, f"cannot read {REQUEST_FILE}: {error}")
    before, done = sample_state(), JobResults()
    failure, status = None, ReplyStatus.OK
    try:
        _run(folder, request, done)
    except SessionError as error:
        status = ReplyStatus.UNSUPPORTED if error.unsupported else ReplyStatus.FAILED
        failure = Failure(kind=error.kind, message=error.message, detail=error.detail)
    except MemoryError as error:
        status = ReplyStatus.FAILED
        msg = "the runner ran out of memory: free some, or run a smaller model"
        failure = Failure(kind=FailureKind.OOM, message=msg, detail=str(error))
    if failure is not None:
        _log.info("%s: %s", status.value, failure.message)
    return _reply(request, done, failure=failure, status=status, before=before)


def write_reply(folder: Path, reply: RunReply) -> None:
    """Write ``reply.json`` so that it exists completely or not at all. Raises `OSError`."""
    # Not `harness.system.files.write_whole`: docs/wire.md fixes this name for every runner, and the runner stays lean.
    temporary = folder / f"{REPLY_FILE}.tmp"
    with temporary.open("wb") as file:
        file.write(encode(reply))
        file.flush()
        # Before the rename, so that no empty reply is left after a power cut.
        os.fsync(file.fileno())
    temporary.replace(folder / REPLY_FILE)


def _run(folder: Path, request: RunRequest, done: JobResults) -> None:
    """Run every requested pass, filling ``done`` step by step. Raises `SessionError`, `MemoryError`."""
    artifact = _checked_artifact(folder, request.artifact)
    inputs = _checked_inputs(folder, request)
    if request.passes.generate is not None or request.passes.score is not None:
        _run_language(folder, artifact, request, done)
        return
    runtime_of(request.artifact.format).import_runtime(request.runtime)
    meter = Meter.start() if request.passes.memory is not None else None
    session = _load(artifact, request, done)
    if meter is not None:
        meter.loaded()
    _log.info("loaded %s in %.1f ms", artifact.name, (done.first_load_ns or 0) / 1e6)
    done.runtime = session.report()
    session.set_inputs(inputs.arrays(0, session))
    # The inputs fix the open dimensions, after which a delegate may take other nodes than at load.
    done.runtime = session.report()
    if request.passes.energy is not None:
        done.idle = wait_idle(request.passes.energy)
    if request.passes.latency is not None:
        done.latency = measure_latency(session.invoke, request.passes.latency)
        _log.info("latency: done")
    if request.passes.memory is not None and meter is not None:
        done.memory = meter.finish(session, request.passes.memory)
        _log.info("memory: %d bytes steady", done.memory.steady_bytes)
    if request.passes.outputs is not None:
        session = session if meter is None else _load(artifact, request, done)
        done.outputs = _write_outputs(folder / OUTPUTS_FILE, session, inputs, request.passes.outputs.count)
        _log.info("outputs: %d", done.outputs.count)
    arrays = inputs.arrays(0, session) if request.passes.profile is not None else ()
    # The profiler loads the model again, and two copies may not fit into memory.
    session.close()
    profiler = PROFILERS.get(request.artifact.format)
    if request.passes.profile is not None and profiler is not None:
        done.profile = profiler(artifact, request.runtime, arrays, request.passes.profile.calls)


def _run_language(folder: Path, artifact: Path, request: RunRequest, done: JobResults) -> None:
    """Run the passes of a language model, filling ``done`` step by step. Raises `SessionError`, `MemoryError`."""
    runtime, path = language_runtime_of(request.artifact.format), folder / request.inputs.file
    runtime.import_runtime(request.runtime)
    meter = Meter.start() if request.passes.memory is not None else None
    session = _load_language(artifact, request, done)
    if meter is not None:
        meter.loaded()
    done.runtime = session.report()
    asked = request.passes.generate
    if asked is not None:
        language.check_lengths(session, asked)
        prompt = language.prompt_of(path, request, session)
        if request.passes.energy is not None:
            done.idle = wait_idle(request.passes.energy)
        generations = language.measure_generations(session, prompt, asked)
        if done.idle is not None:
            done.energy = generation_blocks(done.idle, generations.measured)
        done.generation = language.generation_samples(session, generations, asked)
        done.call_times = generations.latency()
        _log.info("generations: %d", len(generations.measured))
        if request.passes.memory is not None and meter is not None:
            call = language.CallOf(session=session, prompt=prompt, new_tokens=asked.new_tokens)
            done.memory = meter.finish(call, request.passes.memory)
            session = _load_language(artifact, request, done) if request.passes.score is not None else session
    if request.passes.score is not None:
        count = request.passes.score.count
        rows = (language.tokens_at(path, request, index, session) for index in range(count))
        try:
            done.outputs = language.write_scores(folder / OUTPUTS_FILE, rows, session, count)
            _log.info("scored: %d", count)
        except SessionError as error:
            # The generations are real all the same; the host says that nobody judged the answers.
            if not error.unsupported:
                raise
            _log.info("not scored: %s", error.message)
    session.close()


def _load_language(artifact: Path, request: RunRequest, done: JobResults) -> LanguageSession:
    return _timed(lambda: language_runtime_of(request.artifact.format).load(artifact, request.runtime), done)


def _load(artifact: Path, request: RunRequest, done: JobResults) -> Session:
    return _timed(lambda: runtime_of(request.artifact.format).load(artifact, request.runtime), done)


def _timed(load: Callable[[], _Loaded], done: JobResults) -> _Loaded:
    """Return what ``load`` returns, and note how long it took."""
    start = time.perf_counter_ns()
    session = load()
    elapsed = time.perf_counter_ns() - start
    if done.first_load_ns is None:
        done.first_load_ns = elapsed
    else:
        done.warm_load_ns = (*done.warm_load_ns, elapsed)
    return session


def _checked_artifact(folder: Path, ref: ArtifactRef) -> Path:
    """Return the artifact's path after checking its digest and those of its companions.

    Raises `SessionError` if one does not match the request.
    """
    for part in ref.files:
        try:
            sha256 = _sha256(folder / part.file)
        except OSError as error:
            msg = f"cannot read the artifact {part.file!r}: {error.strerror}; deploy it again"
            raise SessionError(FailureKind.DIGEST, msg) from error
        if sha256 != part.sha256:
            msg = f"the artifact {part.file!r} has sha256 {sha256}; the request expects {part.sha256}: deploy it again"
            raise SessionError(FailureKind.DIGEST, msg)
    return folder / ref.file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """``inputs.bin`` with its description."""

    path: Path
    ref: InputsRef

    def wire_arrays(self, index: int) -> tuple[Array, ...]:
        """Return input ``index`` in the order of the request. Raises `SessionError`."""
        try:
            return read_record(self.path, self.ref.tensors, index)
        except (OSError, ValueError) as error:
            msg = f"cannot read input {index} of {self.path.name!r}: {error}"
            raise SessionError(FailureKind.INPUT, msg) from error

    def arrays(self, index: int, session: Session) -> tuple[Array, ...]:
        """Return input ``index`` in the model's order: by name if all names match, else as in the request."""
        return in_model_order(session, [spec.name for spec in self.ref.tensors], self.wire_arrays(index))


def _checked_inputs(folder: Path, request: RunRequest) -> _Inputs:
    """Return the inputs after checking that the file is as long as the request says. Raises `SessionError`."""
    ref, outputs = request.inputs, request.passes.outputs or request.passes.score
    path = folder / ref.file
    if ref.count < 1 or (outputs is not None and outputs.count > ref.count):
        needed = outputs.count if outputs else 1
        msg = f"the request has {ref.count} inputs but needs {needed} for its passes: send at least that many"
        raise SessionError(FailureKind.INPUT, msg)
    try:
        size = path.stat().st_size
    except OSError as error:
        msg = f"cannot read the inputs {ref.file!r}: {error.strerror}; push them again"
        raise SessionError(FailureKind.INPUT, msg) from error
    expected = ref.count * record_bytes(ref.tensors)
    if size != expected:
        msg = f"{ref.file!r} has {size} bytes; {ref.count} inputs of these tensors take {expected}: push it again"
        raise SessionError(FailureKind.INPUT, msg)
    if ref.sha256 and (sha256 := _sha256(path)) != ref.sha256:
        msg = f"the inputs {ref.file!r} have sha256 {sha256}; the request expects {ref.sha256}: push them again"
        raise SessionError(FailureKind.INPUT, msg)
    return _Inputs(path=path, ref=ref)


def _write_outputs(path: Path, session: Session, inputs: _Inputs, count: int) -> OutputsRef:
    """Run the inputs ``0 … count - 1`` once each and write their outputs. Raises `SessionError`."""
    try:
        with path.open("wb") as file:
            tensors = None
            for arrays in _outputs(session, inputs, count):
                specs = describe(arrays, [f"output_{index}" for index in range(len(arrays))])
                if tensors is not None and specs != tensors:
                    msg = f"the outputs changed their shapes from one input to the next ({tensors} to {specs})"
                    raise SessionError(FailureKind.RUN, msg)
                tensors = specs
                file.write(raw(arrays))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        msg = f"cannot write {path.name!r}: {error.strerror}; free some disk space"
        raise SessionError(FailureKind.STORAGE, msg, str(error)) from error
    return OutputsRef(file=path.name, count=count, tensors=tensors or ())


def _outputs(session: Session, inputs: _Inputs, count: int) -> Iterator[tuple[Array, ...]]:
    for index in range(count):
        session.set_inputs(inputs.arrays(index, session))
        session.invoke()
        yield session.outputs()


def _reply(
    request: RunRequest, done: JobResults, *, failure: Failure | None, status: ReplyStatus, before: StateSample
) -> RunReply:
    load = None if done.first_load_ns is None else LoadTimes(first_ns=done.first_load_ns, warm_ns=done.warm_load_ns)
    return RunReply(
        cell=request.cell,
        launch=request.launch,
        status=status,
        runner=RunnerInfo(kind=KIND, version=__version__),
        failure=failure,
        runtime=done.runtime,
        load=load,
        latency=done.latency.samples() if done.latency else done.call_times,
        memory=done.memory,
        outputs=done.outputs,
        profile=done.profile.operators if done.profile else (),
        profile_facts=done.profile.facts if done.profile else None,
        state=DeviceStates(before=before, after=sample_state()),
        energy=done.energy or (energy_blocks(done.idle, done.latency) if done.idle else None),
        generation=done.generation,
    )


def _unreadable(folder: Path, message: str) -> RunReply:
    """Return the reply to a request that cannot be read. It names the cell and the launch if those can be made out."""
    try:
        head: Any = msgspec.json.decode((folder / REQUEST_FILE).read_bytes())
    except (OSError, msgspec.DecodeError):
        head = {}
    fields = head if isinstance(head, dict) else {}
    cell, launch = fields.get("cell"), fields.get("launch")
    return RunReply(
        cell=cell if isinstance(cell, str) else "",
        launch=launch if isinstance(launch, int) else 0,
        status=ReplyStatus.FAILED,
        runner=RunnerInfo(kind=KIND, version=__version__),
        failure=Failure(kind=FailureKind.INPUT, message=message),
    )
