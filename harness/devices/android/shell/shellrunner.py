"""The shell runner: pushes a runtime's own benchmark program, runs it in the phone's shell, and reads its output.

Its replies have runner kind ``android-shell``. A shell process gets other cores and clocks than a foreground app, so
results of the two are never compared. The program runs a single input, and nothing checks its outputs.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.advice import restarted
from harness.devices.android.app.job import Ended, follow
from harness.devices.android.hold.tether import Tether
from harness.devices.android.phone_store import FOLDER, PhoneStore
from harness.devices.android.shell.programs import check_binary
from harness.devices.android.shell.shelljob import (
    ShellJob,
    ToolOutput,
    heartbeat,
    read_job,
    repeated,
    start_job,
    stop_job,
)
from harness.devices.android.shell.shellreply import read_output, runtime_report, shell_execution
from harness.devices.android.shell.tools.registry import tool_for
from harness.devices.android.shell.tools.tool import ShellTool, ToolJob, ToolReport, failure
from harness.devices.android.work import Launch, PhoneWork
from harness.devices.device import Execution
from harness.devices.replies import checked_figures, failed
from harness.errors import DeviceError, PhoneError
from harness.spec.phone_settings import Binary
from harness.system.clock import Stopwatch
from harness.system.files import file_sha256
from harness.wire import (
    FailureKind,
    GeneratePass,
    LatencyPass,
    MeasurePass,
    ProfilePass,
    ReplyStatus,
    RunRequest,
    WarmupPass,
)
from harness.wire.tensors import raw, read_record

log = logging.getLogger(__name__)

# A launch of the profile makes few calls, so only a very slow model reaches this.
_MOST_PROFILE_NS = 60 * 10**9


class ShellRunner:
    """A `Launcher` for the benchmark programs of one phone."""

    def __init__(self, tether: Tether, store: PhoneStore) -> None:
        self._tether, self._store = tether, store
        self._mask: str | None = None
        self._digests: dict[Path, str] = {}
        # Learned from earlier launches: how many calls are enough, and which artifacts refuse our inputs.
        self._calls: dict[tuple[str, str, int], int] = {}
        self._refused: set[str] = set()

    def prepare(self, mask: str | None) -> None:
        """Check every program. Raises `DeviceError` for one that cannot run on this phone."""
        self._mask = mask
        for binary in self._tether.options.settings.binaries:
            check_binary(binary, self._tether.facts)

    def make_ready(self, work: PhoneWork) -> Launch:
        request, format_ = work.request, work.request.artifact.format
        tool = tool_for(request)
        binary = self._tether.options.settings.binary(format_)
        if binary is None:
            msg = f"no program was given for {format_.value}; add --binary {format_.value}=PATH"
            raise DeviceError(msg)
        latency = request.passes.latency or _generations(request.passes.generate)
        if latency is None and request.passes.profile is not None and tool.profiles:
            latency = _profiled_calls(request.passes.profile)
        if latency is None:
            message = _nothing_to_do(tool, request)
            return lambda _: failed(request, FailureKind.INPUT, message)
        if tool.takes_text and not (request.passes.generate and request.passes.generate.prompt_text):
            without = f"{tool.name} takes text, but no tokenizer fits this model: put tokenizer.json beside its file"
            return lambda _: failed(request, FailureKind.INPUT, without)
        program = self._tether.again(lambda: self._put_program(binary))
        job = self._tether.again(lambda: self._make_job(work, latency, program))
        return lambda deadline: self._launch(work, job, program, deadline)

    def clean(self) -> None:
        """Do nothing: each launch removes its job."""

    def _launch(self, work: PhoneWork, job: ToolJob, program_sha256: str, deadline: Deadline) -> Execution:
        request, tool = work.request, tool_for(work.request)
        stopwatch = Stopwatch()
        report, output, job = self._measure(tool, job, request, deadline)
        if work.artifact is not None:
            report = tool.with_file(report, work.artifact)
        runtime = runtime_report(tool, program_sha256, request, report)
        execution = shell_execution(request, runtime, report, output, own_inputs=not job.inputs)
        return checked_figures(execution, request, stopwatch.passed_ns())

    def _put_program(self, binary: Binary) -> str:
        """Put the program on the phone, make it executable, and return its digest."""
        if binary.path not in self._digests:
            self._digests[binary.path] = file_sha256(binary.path)
        sha256 = self._digests[binary.path]
        self._store.put(binary.path, sha256)
        self._tether.cable.check(f"chmod 755 {FOLDER}/{sha256}")
        return sha256

    def _make_job(self, work: PhoneWork, latency: LatencyPass, program: str) -> ToolJob:
        request = work.request
        self._store.check_holds(request.artifact)
        lengths = request.passes.generate
        refused = request.artifact.sha256 in self._refused or lengths is not None
        return ToolJob(
            program=f"{FOLDER}/{program}",
            model=f"{FOLDER}/{request.artifact.sha256}",
            inputs=() if refused else self._put_inputs(work),
            shapes=tuple(tensor.shape for tensor in request.inputs.tensors),
            delegate=request.runtime.delegate,
            threads=request.runtime.threads,
            latency=latency,
            operators=request.passes.latency is None and lengths is None,
            prompt_tokens=lengths.prompt_tokens if lengths is not None else 0,
            new_tokens=lengths.new_tokens if lengths is not None else 0,
            prompt_text=lengths.prompt_text if lengths is not None else "",
            tokenizer=self._tokenizer(request, lengths.tokenizer) if lengths is not None else "",
        )

    def _tokenizer(self, request: RunRequest, name: str) -> str:
        """The path of the companion ``name`` on the phone; empty if there is none."""
        digests = {part.file: part.sha256 for part in request.artifact.companions}
        return f"{FOLDER}/{digests[name]}" if name in digests else ""

    def _put_inputs(self, work: PhoneWork) -> tuple[str, ...]:
        """Put the tensors of input 0 on the phone, one file per tensor, and return their paths there."""
        paths = []
        for array in read_record(work.inputs, work.request.inputs.tensors, 0):
            data = raw([array])
            sha256 = hashlib.sha256(data).hexdigest()
            local = work.folder / sha256
            local.write_bytes(data)
            self._store.put(local, sha256)
            local.unlink()
            paths.append(f"{FOLDER}/{sha256}")
        return tuple(paths)

    def _measure(
        self, tool: ShellTool, job: ToolJob, request: RunRequest, deadline: Deadline
    ) -> tuple[ToolReport, ToolOutput, ToolJob]:
        """Run the program; run it again without inputs if it refuses them, and with more calls if they were too few."""
        setup = (request.artifact.sha256, request.runtime.delegate.value, request.runtime.threads)
        job = replace(job, calls=self._calls.get(setup) or tool.calls(job.latency, None))
        report, output = self._run(tool, job, deadline)
        # Both repetitions share the launch's deadline. What they teach is remembered for the artifact's next launches.
        if job.inputs and tool.refuses_inputs(report):
            self._refused.add(request.artifact.sha256)
            job = replace(job, inputs=())
            report, output = self._run(tool, job, deadline)
        if setup not in self._calls and report.status is ReplyStatus.OK:
            self._calls[setup] = tool.calls(job.latency, report)
            if self._calls[setup] > job.calls:
                job = replace(job, calls=self._calls[setup])
                report, output = self._run(tool, job, deadline)
        return report, output, job

    def _run(self, tool: ShellTool, job: ToolJob, deadline: Deadline) -> tuple[ToolReport, ToolOutput]:
        """Run the program once until it ends. Raises `PhoneError` if the phone stays away, or restarts meanwhile."""
        tether = self._tether
        words = (job.program, *tool.arguments(job))
        words = repeated(words, job.calls) if tool.one_call else words
        attempts: list[ShellJob] = []

        def start() -> int:
            # A new name for every attempt: an earlier one may still run on a phone that was away, and must not
            # touch the files of this one.
            name = f"j{secrets.token_hex(8)}"
            attempts.append(ShellJob(name=name, words=words, mask=self._mask, log_tag=tool.log_tag))
            return start_job(tether.cable, attempts[-1])

        try:
            pid = tether.again(start)
            shell_job, boot_id = attempts[-1], tether.facts.boot_id
            ended = tether.again(lambda: self._wait(shell_job, pid, deadline, boot_id), keep=shell_job.name)
            if tether.facts.boot_id != boot_id:
                raise restarted(tether.cable.serial)
            output = tether.again(lambda: read_job(tether.cable, shell_job), keep=shell_job.name)
        finally:
            self._tidy(attempts)
        if ended is Ended.DEADLINE and output.exit_code is None:
            message = f"{tool.name} did not finish within {deadline.seconds:g} s and was stopped"
            return failure(FailureKind.TIMEOUT, message, output.text), output
        return read_output(tool, output, job), output

    def _wait(self, job: ShellJob, pid: int, deadline: Deadline, boot_id: str) -> Ended:
        # After a restart of the phone, another process may have this id.
        if self._tether.facts.boot_id != boot_id:
            return Ended.APP
        return follow(self._tether.cable, heartbeat(job, pid), job.words[0], deadline, closing=self._tether.closing)

    def _tidy(self, attempts: list[ShellJob]) -> None:
        """Stop and remove the jobs. One that cannot be reached is stopped when the phone is next opened."""
        for job in attempts:
            try:
                stop_job(self._tether.cable, job)
            except PhoneError as error:
                log.info("job %s stays on %s: %s", job.name, self._tether.cable.serial, error)


def _generations(asked: GeneratePass | None) -> LatencyPass | None:
    """How many generations to make; None if none is asked for."""
    return None if asked is None else LatencyPass(warmup=asked.warmup, measure=asked.measure)


def _profiled_calls(asked: ProfilePass) -> LatencyPass:
    """The calls of a launch that profiles the operators."""
    measure = MeasurePass(min_calls=asked.calls, min_ns=0, max_ns=_MOST_PROFILE_NS)
    return LatencyPass(warmup=WarmupPass(min_calls=1, min_ns=0), measure=measure)


def _nothing_to_do(tool: ShellTool, request: RunRequest) -> str:
    if request.passes.profile is not None:
        return f"{tool.name} reports no times of single operators"
    return "the shell runner only measures latency, but the request has no latency pass"
