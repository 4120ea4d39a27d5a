"""ExecuTorch's ``executor_runner``: it makes so many calls and tells the time of each.

Its flags and lines are those of ``examples/portable/executor_runner`` in ExecuTorch. On Android it prints to the
phone's log. The backend of a program is fixed when it is exported, so that no flag chooses one.
"""

from __future__ import annotations

import re

from harness.devices.android.shell.tools.tool import Complaint, Told, ToolJob, failure, told_failure
from harness.wire import FailureKind, LatencyPass, LatencySamples

_MS = 1_000_000
# Each call is a line of the phone's log, which drops lines when it is flooded.
MOST_CALLS = 2_000
# How many tell what a call takes; a model may take seconds for one.
FIRST_CALLS = 5

_COMPLAINTS = (
    Complaint(
        pattern=r"unknown command line flag '(\w+)'",
        kind=FailureKind.INPUT,
        sentence="this executor_runner does not know the flag --{0}: build that of a newer ExecuTorch",
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
        sentence="this executor_runner does not take the file: {0}",
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


class ExecutorRunner:
    """The `ShellTool` of ``executor_runner``."""

    name = "executor_runner"
    runtime = "executorch"
    log_tag = "ExecuTorch"

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        return (
            f"--model_path={job.model}",
            f"--num_executions={job.calls}",
            f"--cpu_threads={job.threads}",
            *((f"--inputs={','.join(job.inputs)}",) if job.inputs else ()),
        )

    def read(self, said: str, job: ToolJob) -> Told:
        calls = {int(number): round(float(ms) * _MS) for number, _, ms in _CALL.findall(said)}
        if not calls:
            return _timeless(said)
        lost = job.calls - len(calls)
        if lost:
            message = (
                f"the phone's log has the times of {len(calls)} calls, {job.calls} were made: {lost} lines were lost"
            )
            return failure(FailureKind.REPLY, message, said)
        loaded = _LOADED.search(said)
        return Told(
            latency=split_calls([calls[number] for number in sorted(calls)], job.latency),
            load_ns=round(float(loaded[1]) * _MS) if loaded else None,
        )

    def explain(self, said: str, job: ToolJob) -> Told | None:  # noqa: ARG002  a `ShellTool`
        return told_failure(said, _COMPLAINTS)

    def refuses_inputs(self, told: Told) -> bool:  # noqa: ARG002  a program tells its inputs' types, and the host has them
        return False

    def calls(self, asked: LatencyPass, told: Told | None) -> int:
        """A few at first, then enough for both minima by their median; bounded by the cap and by the log."""
        if told is None or told.latency is None:
            return FIRST_CALLS
        each_ns = max(1, sorted(told.latency.samples_ns)[len(told.latency.samples_ns) // 2])
        wanted = 1 + sum(max(part.min_calls, -(-part.min_ns // each_ns) + 1) for part in (asked.warmup, asked.measure))
        return max(2, min(wanted, asked.measure.max_ns // each_ns, MOST_CALLS))


def split_calls(calls_ns: list[int], asked: LatencyPass) -> LatencySamples:
    """Split calls into the first, the warm-up until its minima are met, and the measured ones.

    A model so fast that the calls do not last for the warm-up has half of them as such.
    """
    first, *rest = calls_ns
    spent = taken = 0
    for call in rest[: len(rest) // 2]:
        if taken >= asked.warmup.min_calls and spent >= asked.warmup.min_ns:
            break
        taken, spent = taken + 1, spent + call
    return LatencySamples(first_ns=first, warmup_ns=tuple(rest[:taken]), samples_ns=tuple(rest[taken:]))


def _timeless(said: str) -> Told:
    """Why there are no times, though it ended well."""
    if _DONE.search(said):
        message = "this executor_runner tells the sum of all calls alone: build that of ExecuTorch 1.3 or later"
        return failure(FailureKind.REPLY, message, said, unsupported=True)
    message = "executor_runner ended well and told no times: build it with EXECUTORCH_ENABLE_LOGGING=ON"
    return failure(FailureKind.REPLY, message, said)
