"""Makes a reply from how a benchmark program ended and what it printed."""

from __future__ import annotations

from harness import __version__
from harness.devices.android.shell.shelljob import ToolOutput
from harness.devices.android.shell.tools.tool import (
    Complaint,
    ShellTool,
    ToolJob,
    ToolReport,
    failure,
    matching_failure,
)
from harness.devices.device import Execution
from harness.records.conditions import Condition, ConditionId
from harness.wire import FailureKind, LoadTimes, ProfileFacts, RunnerInfo, RunReply, RunRequest, RuntimeReport, encode

KIND = "android-shell"
SHELL = Condition(
    id=ConditionId.SHELL,
    summary="measured by the runtime's own program in the shell, not in an app; its outputs were not checked",
)
RANDOM_INPUTS = Condition(
    id=ConditionId.RANDOM_INPUTS,
    summary="the program generated its inputs: the file stores them in another type than the model's data",
)
_SIGNALLED, _SIGKILL, _LAST_SIGNAL = 128, 9, 64
# What Android's linker, a desktop's, the shell and taskset print for a program that could not even start.
_STARTS: tuple[Complaint, ...] = tuple(
    Complaint(pattern=pattern, kind=FailureKind.LOAD, sentence=sentence)
    for pattern, sentence in (
        (r'CANNOT LINK EXECUTABLE (?:"[^"]*"|\S+): ([^\n]+)', "the program cannot start on this phone: {0}"),
        (r"error while loading shared libraries: ([^\n]+)", "the program cannot start on this phone: {0}"),
        (r"taskset: ([^\n]+)", "the program was not started on the chosen cores: {0}"),
        # The shell names its script and line: "run.sh[3]: /data/local/tmp/…: inaccessible or not found".
        (
            r"run\.sh\[\d+\]: \S+: (inaccessible or not found|not found|No such file or directory)",
            "the program, or the loader that it needs, is not on this phone ({0}): give a build for Android",
        ),
        (r"run\.sh\[\d+\]: \S+: ([^\n]+)", "this phone cannot execute the program: {0}"),
    )
)
_MOST_TRANSCRIPT = 64 << 10


def read_text(tool: ShellTool, text: str, job: ToolJob) -> ToolReport:
    """Return what a program printed. It may be another one of the same name, and its figures may be none."""
    try:
        return tool.read(text, job)
    except (ValueError, ArithmeticError, LookupError) as error:
        return failure(FailureKind.REPLY, f"the figures that {tool.name} printed cannot be read ({error})", text)


def read_output(tool: ShellTool, output: ToolOutput, job: ToolJob) -> ToolReport:
    """Return what a program reported, or the failure that its end amounts to."""
    if output.exit_code == 0:
        return read_text(tool, output.text, job)
    explained = matching_failure(output.text, (*tool.complaints, *_STARTS))
    if explained is not None:
        return explained
    if output.exit_code is None:
        return failure(FailureKind.CRASH, f"{tool.name} disappeared without an exit code", output.text)
    # The shell reports a program that was ended by signal N as exit code 128 + N.
    # Higher codes are the program's own, such as 255 for -1.
    signal = output.exit_code - _SIGNALLED
    if signal == _SIGKILL:
        message = f"{tool.name} was killed (SIGKILL), most likely because the phone ran out of memory"
        return failure(FailureKind.OOM, message, output.text)
    if 0 < signal <= _LAST_SIGNAL:
        return failure(FailureKind.CRASH, f"{tool.name} crashed with signal {signal}", output.text)
    return failure(FailureKind.RUN, f"{tool.name} ended with exit code {output.exit_code}", output.text)


def shell_execution(
    request: RunRequest, runtime: RuntimeReport, report: ToolReport, output: ToolOutput, *, own_inputs: bool
) -> Execution:
    """Return the execution of a launch; ``own_inputs`` says that the program generated its inputs."""
    reply = RunReply(
        cell=request.cell,
        launch=request.launch,
        status=report.status,
        runner=RunnerInfo(kind=KIND, version=__version__),
        failure=report.failure,
        runtime=runtime,
        load=LoadTimes(first_ns=report.load_ns) if report.load_ns is not None else None,
        latency=report.latency if request.passes.latency or request.passes.generate else None,
        generation=report.generation if request.passes.generate is not None else None,
        profile=report.operators,
        profile_facts=ProfileFacts(source=f"{runtime.name} {runtime.version}") if report.operators else None,
        memory=report.memory if request.passes.memory is not None else None,
        transcript=output.text[-_MOST_TRANSCRIPT:],
    )
    conditions = (SHELL, RANDOM_INPUTS) if own_inputs else (SHELL,)
    return Execution(reply=reply, reply_bytes=encode(reply), outputs=None, conditions=conditions)


def runtime_report(tool: ShellTool, program_sha256: str, request: RunRequest, report: ToolReport) -> RuntimeReport:
    """Return what ran; the delegate is taken to be the requested one if ``report`` names none."""
    requested = request.runtime
    return RuntimeReport(
        name=tool.runtime,
        # Programs do not print their version; the digest distinguishes builds.
        version=f"{tool.name} {program_sha256[:12]}",
        delegate_requested=requested.delegate,
        delegate_used=report.delegate_used or requested.delegate.value,
        threads=requested.threads,
        nodes_total=report.nodes_total,
        nodes_delegated=report.nodes_delegated,
        partitions=report.partitions,
    )
