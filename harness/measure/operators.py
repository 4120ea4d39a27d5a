"""The profile of a cell's operators: a launch of its own after measuring, from which no figure of the cell comes.

Whatever goes wrong in it costs the profile and never the measurement.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.devices.device import Device, Execution
from harness.errors import DeviceError
from harness.measure.conditions import left_in_words
from harness.measure.job import Job, Keeper
from harness.measure.request import deadline_s, job_feed, make_request
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import Measurement
from harness.records.operators import Operator, OperatorProfile
from harness.spec.profiles import SECOND_NS
from harness.wire import Delegate, NodesLeft, OperatorTime, Passes, ProfilePass, ReplyStatus, RunReply, RuntimeReport

# About a second of calls: a slow model must not take long, and the times of a fast one must mean something.
PROFILE_NS = SECOND_NS
LEAST_CALLS, MOST_CALLS = 3, 50
# A call that takes this many times the median was interrupted.
INTERRUPTED = 1.5


def with_operators(measurement: Measurement, profile: OperatorProfile) -> Measurement:
    """Return ``measurement`` with the profile of its operators."""
    conditions = tuple(_explained(condition, measurement.runtime, profile) for condition in measurement.conditions)
    return replace(measurement, operators=profile, conditions=conditions)


def profile_operators(job: Job, device: Device, keeper: Keeper, launch: int, median_ns: float) -> OperatorProfile:
    """Profile the operators in launch number ``launch``, given that a call takes about ``median_ns``."""
    calls = min(MOST_CALLS, max(LEAST_CALLS, round(PROFILE_NS / max(median_ns, 1.0))))
    request = replace(make_request(job, launch), passes=Passes(profile=ProfilePass(calls=calls)))
    try:
        execution = device.execute(request, job_feed(job).path, deadline_s(job))
    except DeviceError as error:
        # The cell has been measured. If the device is gone, the next cell shows it.
        return OperatorProfile(source="", reason=f"the launch of the profile did not run: {error}")
    return replace(read_profile(job, execution, calls), reply_sha256=keeper.keep(execution.reply_bytes, ".json"))


def read_profile(job: Job, execution: Execution, calls: int) -> OperatorProfile:
    """Return the profile in the reply to a launch that asked for ``calls`` calls."""
    reply, facts = execution.reply, execution.reply.profile_facts
    calls_ns = facts.calls_ns if facts else ()
    kept = undisturbed(calls_ns, reply.profile)
    return OperatorProfile(
        source=facts.source if facts else _source(reply),
        operators=tuple(
            _told(time, job.cell.delegate, calls)
            if time.mean_ns is not None
            else _operator(time, job.cell.delegate, kept, len(calls_ns))
            for time in reply.profile
        ),
        calls=len(kept) or (calls if reply.profile else None),
        call_ns=round(statistics.median([calls_ns[at] for at in kept])) if kept else None,
        reason=_reason(reply),
    )


def undisturbed(calls_ns: Sequence[int], operators: Sequence[OperatorTime]) -> tuple[int, ...]:
    """Return the places of the calls that no other work interrupted: those that took less than 1.5 times the median.

    One interruption of 5 ms would otherwise make the operator that it hit look like the slowest. All calls are kept if
    an operator did not run equally often in each, because its times cannot be told apart by call then.
    """
    if not calls_ns or any(len(operator.samples_ns) % len(calls_ns) for operator in operators):
        return tuple(range(len(calls_ns)))
    limit = INTERRUPTED * statistics.median(calls_ns)
    return tuple(at for at, ns in enumerate(calls_ns) if ns <= limit)


def _source(reply: RunReply) -> str:
    return f"{reply.runtime.name} {reply.runtime.version}" if reply.runtime else reply.runner.kind


def _reason(reply: RunReply) -> str:
    if reply.failure is not None:
        return f"the launch of the profile failed: {reply.failure.message}"
    if reply.profile_facts is not None and reply.profile_facts.reason:
        return reply.profile_facts.reason
    timed = any(time.samples_ns or time.mean_ns is not None for time in reply.profile)
    return "" if timed or reply.status is not ReplyStatus.OK else "the runner reports no times of single operators"


def _operator(time: OperatorTime, requested: Delegate, kept: Sequence[int], calls: int) -> Operator:
    samples = _of_calls(time.samples_ns, kept, calls)
    return Operator(
        name=time.name,
        kind=time.kind,
        calls=len(samples) or None,
        total_ns=sum(samples) if samples else None,
        nodes=time.nodes,
        ran_on=time.ran_on,
        delegated=_delegated(time, requested),
        reason=time.reason,
    )


def _told(time: OperatorTime, requested: Delegate, calls: int) -> Operator:
    """An operator of which another program reported the mean over about ``calls`` calls of the model."""
    return Operator(
        name=time.name,
        kind=time.kind,
        calls=calls,
        total_ns=(time.mean_ns or 0) * calls,
        ran_on=time.ran_on,
        delegated=_delegated(time, requested),
    )


def _delegated(time: OperatorTime, requested: Delegate) -> bool | None:
    is_known = requested is not Delegate.CPU and time.ran_on != ""
    return time.ran_on == requested.value if is_known else None


def _of_calls(samples_ns: Sequence[int], kept: Sequence[int], calls: int) -> Sequence[int]:
    """The times of an operator in the calls ``kept`` of ``calls``; all if the calls were not timed."""
    if len(kept) == calls:
        return samples_ns
    each = len(samples_ns) // calls
    return [ns for at in kept for ns in samples_ns[at * each : (at + 1) * each]]


def _explained(condition: Condition, runtime: RuntimeReport | None, profile: OperatorProfile) -> Condition:
    """PARTIAL with what the profile shows, where the runtime itself did not list what fell back."""
    told = runtime is not None and runtime.nodes_left
    if condition.id is not ConditionId.PARTIAL or told or not profile.not_delegated:
        return condition
    counts: Counter[str] = Counter()
    for operator in profile.not_delegated:
        counts[operator.kind] += operator.nodes
    left = tuple(NodesLeft(kind=kind, nodes=nodes) for kind, nodes in counts.most_common())
    return replace(condition, summary=f"{condition.summary}, not {left_in_words(left)}")
