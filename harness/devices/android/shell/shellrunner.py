"""Launches of the shell runner: a runtime's own benchmark program is pushed, run in the phone's shell, and read.

Its replies say ``android-shell``: a process of the shell gets other cores and clocks than an app in front, so figures
of the two are never compared. The program runs one input and nothing looks at its outputs.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.app.job import Ended, follow
from harness.devices.android.hold.tether import Tether
from harness.devices.android.phone_store import FOLDER, PhoneStore
from harness.devices.android.shell.programs import check_binary
from harness.devices.android.shell.shelljob import Said, ShellJob, beating, read_job, start_job, stop_job
from harness.devices.android.shell.shellreply import read_said, runtime_report, shell_execution
from harness.devices.android.shell.tools.registry import TOOLS
from harness.devices.android.shell.tools.tool import ShellTool, Told, ToolJob, failure
from harness.devices.android.work import Launch, PhoneWork
from harness.devices.device import Execution
from harness.devices.replies import failed
from harness.errors import DeviceError, PhoneError
from harness.runners.host.runtimes.pte_file import read_pte
from harness.spec.phone_settings import Binary
from harness.system.files import file_sha256
from harness.wire import FailureKind, Format, LatencyPass, ReplyStatus, RunRequest
from harness.wire.tensors import raw, read_record

log = logging.getLogger(__name__)


class ShellRunner:
    """The programs of one phone; a `Launcher`."""

    def __init__(self, tether: Tether, store: PhoneStore) -> None:
        self._tether, self._store = tether, store
        self._mask: str | None = None
        self._digests: dict[Path, str] = {}
        # What earlier launches of an artifact taught: how many calls are enough, and that it takes no inputs of ours.
        self._calls: dict[tuple[str, str, int], int] = {}
        self._refused: set[str] = set()

    def prepare(self, mask: str | None) -> None:
        """Check the programs. Raises `DeviceError` for one that cannot run on this phone."""
        self._mask = mask
        for binary in self._tether.options.settings.binaries:
            check_binary(binary, self._tether.facts)

    def make_ready(self, work: PhoneWork) -> Launch:
        request, format_ = work.request, work.request.artifact.format
        binary = self._tether.options.settings.binary(format_)
        if binary is None:
            msg = f"no program for {format_.value} was given: name it by --binary {format_.value}=PATH"
            raise DeviceError(msg)
        latency = request.passes.latency
        if latency is None:
            message = "a program of the shell measures latency, and none was asked for"
            return lambda _: failed(request, FailureKind.INPUT, message)
        program = self._tether.again(lambda: self._put_program(binary))
        job = self._tether.again(lambda: self._make_job(work, latency, program))
        return lambda deadline: self._launch(work, job, program, deadline)

    def _launch(self, work: PhoneWork, job: ToolJob, program_sha256: str, deadline: Deadline) -> Execution:
        request, tool = work.request, TOOLS[work.request.artifact.format]
        told, said, job = self._measure(tool, job, request, deadline)
        if said is None:
            assert told.failure is not None
            return failed(request, told.failure.kind, told.failure.message)
        # The backends of a .pte stand in the file, and no program tells them.
        facts = read_pte(work.artifact) if request.artifact.format is Format.PTE and work.artifact else None
        runtime = runtime_report(tool, program_sha256, request, told, facts)
        return shell_execution(request, runtime, told, said, own_inputs=not job.inputs)

    def _put_program(self, binary: Binary) -> str:
        """Put the program on the phone, so that it can be run, and return its digest."""
        if binary.path not in self._digests:
            self._digests[binary.path] = file_sha256(binary.path)
        sha256 = self._digests[binary.path]
        self._store.put(binary.path, sha256)
        self._tether.cable.check(f"chmod 755 {FOLDER}/{sha256}")
        return sha256

    def _make_job(self, work: PhoneWork, latency: LatencyPass, program: str) -> ToolJob:
        request = work.request
        self._store.check_holds(request.artifact)
        return ToolJob(
            program=f"{FOLDER}/{program}",
            model=f"{FOLDER}/{request.artifact.sha256}",
            inputs=() if request.artifact.sha256 in self._refused else self._put_inputs(work),
            shapes=tuple(tensor.shape for tensor in request.inputs.tensors),
            delegate=request.runtime.delegate,
            threads=request.runtime.threads,
            latency=latency,
        )

    def _put_inputs(self, work: PhoneWork) -> tuple[str, ...]:
        """Put the tensors of input 0 on the phone, a file each, and return their paths there."""
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
    ) -> tuple[Told, Said | None, ToolJob]:
        """Run the program, and once more where it does not take the inputs, or made too few calls."""
        known = (request.artifact.sha256, request.runtime.delegate.value, request.runtime.threads)
        job = replace(job, calls=self._calls.get(known) or tool.calls(job.latency, None))
        told, said = self._run(tool, job, deadline)
        if said is not None and job.inputs and tool.refuses_inputs(told):
            self._refused.add(request.artifact.sha256)
            job = replace(job, inputs=())
            told, said = self._run(tool, job, deadline)
        if known not in self._calls and told.status is ReplyStatus.OK:
            self._calls[known] = tool.calls(job.latency, told)
            if self._calls[known] > job.calls:
                job = replace(job, calls=self._calls[known])
                told, said = self._run(tool, job, deadline)
        return told, said, job

    def _run(self, tool: ShellTool, asked: ToolJob, deadline: Deadline) -> tuple[Told, Said | None]:
        """Run the program once to its end; nothing was said by one that a restart of the phone took away."""
        tether = self._tether
        words = (asked.program, *tool.arguments(asked))
        attempts: list[ShellJob] = []

        def start() -> int:
            # A new name each time: what a lost phone cut short may still run there, and must find nothing to spoil.
            name = f"j{secrets.token_hex(8)}"
            attempts.append(ShellJob(name=name, words=words, mask=self._mask, log_tag=tool.log_tag))
            return start_job(tether.cable, attempts[-1])

        try:
            pid = tether.again(start)
            job, boot_id = attempts[-1], tether.facts.boot_id
            ended = tether.again(lambda: self._wait(job, pid, deadline, boot_id), keep=job.name)
            if tether.facts.boot_id != boot_id:
                return failure(FailureKind.LOST, "the phone restarted during the launch", ""), None
            said = tether.again(lambda: read_job(tether.cable, job), keep=job.name)
        finally:
            self._tidy(attempts)
        if ended is Ended.DEADLINE and said.exit_code is None:
            message = f"{tool.name} did not end within {deadline.seconds:g} s and was stopped"
            return failure(FailureKind.TIMEOUT, message, said.text), said
        return read_said(tool, said, asked), said

    def _wait(self, job: ShellJob, pid: int, deadline: Deadline, boot_id: str) -> Ended:
        # After a restart the number may be that of a stranger.
        if self._tether.facts.boot_id != boot_id:
            return Ended.APP
        return follow(self._tether.cable, beating(job, pid), job.words[0], deadline, closing=self._tether.closing)

    def _tidy(self, attempts: list[ShellJob]) -> None:
        """End and remove the jobs; one that stays is ended when the phone is opened again."""
        for job in attempts:
            try:
                stop_job(self._tether.cable, job)
            except PhoneError as error:
                log.info("job %s stays on %s: %s", job.name, self._tether.cable.serial, error)
