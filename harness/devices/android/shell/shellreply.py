"""From how a benchmark program ended and what it printed to a reply."""

from __future__ import annotations

from harness import __version__
from harness.devices.android.shell.shelljob import Said
from harness.devices.android.shell.tools.tool import ShellTool, Told, ToolJob, failure
from harness.devices.device import Execution
from harness.records.conditions import Condition, ConditionId
from harness.runners.host.runtimes.pte_file import PteFacts
from harness.wire import FailureKind, LoadTimes, RunnerInfo, RunReply, RunRequest, RuntimeReport, encode

KIND = "android-shell"
SHELL = Condition(
    id=ConditionId.SHELL,
    summary="measured by the runtime's own program in the shell: no app, and its outputs were not looked at",
)
RANDOM_INPUTS = Condition(
    id=ConditionId.RANDOM_INPUTS,
    summary="the program made its inputs up: the file stores them in another type than the model has them in",
)
_SIGNALLED, _SIGKILL = 128, 9
_MOST_TRANSCRIPT = 64 << 10


def read_said(tool: ShellTool, said: Said, asked: ToolJob) -> Told:
    """Read what a program left, by how it ended."""
    if said.exit_code == 0:
        return tool.read(said.text, asked)
    explained = tool.explain(said.text, asked)
    if explained is not None:
        return explained
    if said.exit_code is None:
        return failure(FailureKind.CRASH, f"{tool.name} is gone and left no exit code", said.text)
    signal = said.exit_code - _SIGNALLED
    if signal == _SIGKILL:
        message = f"{tool.name} was killed (SIGKILL), most likely because the phone ran out of memory"
        return failure(FailureKind.OOM, message, said.text)
    if signal > 0:
        return failure(FailureKind.CRASH, f"{tool.name} crashed with signal {signal}", said.text)
    return failure(FailureKind.RUN, f"{tool.name} ended with exit code {said.exit_code}", said.text)


def shell_execution(
    request: RunRequest, runtime: RuntimeReport, told: Told, said: Said, *, own_inputs: bool
) -> Execution:
    """Return the execution of a launch; ``own_inputs``: the program made its inputs up."""
    reply = RunReply(
        cell=request.cell,
        launch=request.launch,
        status=told.status,
        runner=RunnerInfo(kind=KIND, version=__version__),
        failure=told.failure,
        runtime=runtime,
        load=LoadTimes(first_ns=told.load_ns) if told.load_ns is not None else None,
        latency=told.latency,
        memory=told.memory if request.passes.memory is not None else None,
        transcript=said.text[-_MOST_TRANSCRIPT:],
    )
    conditions = (SHELL, RANDOM_INPUTS) if own_inputs else (SHELL,)
    return Execution(reply=reply, reply_bytes=encode(reply), outputs=None, conditions=conditions)


def runtime_report(
    tool: ShellTool, program_sha256: str, request: RunRequest, told: Told, facts: PteFacts | None
) -> RuntimeReport:
    """Return what ran; ``facts`` are those of a ``.pte``, which holds what its program does not tell."""
    asked = request.runtime
    return RuntimeReport(
        name=tool.runtime,
        # A program does not tell its version; its digest tells two of them apart.
        version=f"{tool.name} {program_sha256[:12]}",
        delegate_requested=asked.delegate,
        delegate_used=told.delegate_used or (facts.delegate_used if facts else asked.delegate.value),
        threads=asked.threads,
        nodes_total=facts.nodes_total if facts else told.nodes_total,
        nodes_delegated=facts.nodes_delegated if facts else told.nodes_delegated,
        partitions=facts.partitions if facts else told.partitions,
    )
