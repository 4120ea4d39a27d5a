"""ExecuTorch's ``executor_runner``, which makes a given number of calls and prints the time of each.

Its flags and output are defined in ``examples/portable/executor_runner`` of ExecuTorch. On Android it prints to the
phone's log. The backend is fixed when a model is exported, so no flag selects one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from harness.devices.android.shell.tools.tool import Complaint, PlainTool, ToolJob, ToolReport, failure
from harness.readers.pte import read_pte
from harness.wire import FailureKind, LatencyPass, LatencySamples

_MS = 1_000_000
# Each call prints a line to the phone's log, which drops lines when flooded.
MOST_CALLS = 2_000
# Enough to see how long a call takes, and few enough for a model that takes seconds per call.
FIRST_CALLS = 5

_COMPLAINTS = (
    Complaint(
        pattern=r"unknown command line flag '(\w+)'",
        kind=FailureKind.INPUT,
        sentence="this executor_runner does not know the flag --{0}: build it from a newer ExecuTorch",
    ),
    Complaint(
        pattern=r"Backend (\w+) is not (?:registered|available)",
        kind=FailureKind.DELEGATE,
        sentence="this executor_runner was built without the backend {0}, which the file needs",
        unsupported=True,
    ),
    Complaint(
        pattern=r"(Missing operator[^\n]*|operators? \S+ not found[^\n]*|Failed to parse model file|Loading of method)",
        kind=FailureKind.LOAD,
        sentence="this executor_runner cannot load the file: {0}",
    ),
    Complaint(
        pattern=r"(Could not (?:prepare|load) inputs)",
        kind=FailureKind.INPUT,
        sentence="the inputs do not fit the model: {0}",
    ),
    Complaint(
        pattern=r"(Execution of method \S+ failed)", kind=FailureKind.RUN, sentence="a call of the model failed: {0}"
    ),
)
_CALL = re.compile(r"Iteration (\d+) of (\d+): ([0-9.]+) ms")
_LOADED = re.compile(r"Model loaded in ([0-9.]+) ms")
_DONE = re.compile(r"Model executed successfully")


class ExecutorRunner(PlainTool):
    """The `ShellTool` of ``executor_runner``."""

    name = "executor_runner"
    runtime = "executorch"
    log_tag = "ExecuTorch"
    complaints = _COMPLAINTS

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        return (
            f"--model_path={job.model}",
            f"--num_executions={job.calls}",
            f"--cpu_threads={job.threads}",
            *((f"--inputs={','.join(job.inputs)}",) if job.inputs else ()),
        )

    def read(self, output: str, job: ToolJob) -> ToolReport:
        calls = {int(number): round(float(ms) * _MS) for number, _, ms in _CALL.findall(output)}
        if not calls:
            return _timeless(output)
        lost = job.calls - len(calls)
        if lost:
            message = f"the phone's log has the times of {len(calls)} out of {job.calls} calls: {lost} lines were lost"
            return failure(FailureKind.REPLY, message, output)
        loaded = _LOADED.search(output)
        return ToolReport(
            latency=split_calls([calls[number] for number in sorted(calls)], job.latency),
            load_ns=round(float(loaded[1]) * _MS) if loaded else None,
        )

    def with_file(self, report: ToolReport, artifact: Path) -> ToolReport:
        """Add the backends and nodes, which the program does not print."""
        return with_program(report, artifact)

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:
        """A few at first. Then, by their median, enough for both phases, within the time cap and what the log holds."""
        if report is None or report.latency is None:
            return FIRST_CALLS
        samples_ns = sorted(report.latency.samples_ns)
        each_ns = max(1, samples_ns[len(samples_ns) // 2])
        phases = (requested.warmup, requested.measure)
        # The first call counts for neither phase; -(-a // b) rounds up.
        enough = 1 + sum(max(phase.min_calls, -(-phase.min_ns // each_ns) + 1) for phase in phases)
        return max(2, min(enough, requested.measure.max_ns // each_ns, MOST_CALLS))


def with_program(report: ToolReport, artifact: Path) -> ToolReport:
    """Return ``report`` with the backends and nodes, which a ``.pte`` fixes. Raises `OSError`."""
    facts = read_pte(artifact)
    return replace(
        report,
        delegate_used=facts.delegate_used,
        nodes_total=facts.nodes_total,
        nodes_delegated=facts.nodes_delegated,
        partitions=facts.partitions,
    )


def split_calls(calls_ns: list[int], requested: LatencyPass) -> LatencySamples:
    """Split calls into the first one, the warm-up until its minima are met, and the measured ones.

    The warm-up is at most half of the calls, even if the model is so fast that its minimum time is not reached.
    """
    first, *rest = calls_ns
    spent = taken = 0
    for call in rest[: len(rest) // 2]:
        if taken >= requested.warmup.min_calls and spent >= requested.warmup.min_ns:
            break
        taken, spent = taken + 1, spent + call
    return LatencySamples(first_ns=first, warmup_ns=tuple(rest[:taken]), samples_ns=tuple(rest[taken:]))


def _timeless(output: str) -> ToolReport:
    """Return why there are no times although the program ended normally."""
    if _DONE.search(output):
        message = "this executor_runner prints only the total of all calls: build it from ExecuTorch 1.3 or later"
        return failure(FailureKind.REPLY, message, output, unsupported=True)
    message = "executor_runner ended normally but printed no times: build it with EXECUTORCH_ENABLE_LOGGING=ON"
    return failure(FailureKind.REPLY, message, output)
