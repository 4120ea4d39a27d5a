"""Whether a reply can be true: it did what the request asked, and its figures are possible.

A runner that ignores the request, mixes up units or never starts its clock writes replies that decode without an
error. Its figures would look like any other. What is checked here follows from the contract alone (``docs/wire.md``)
and from the time that passed on the driver's clock, so no honest reply is refused. A runner that made too few calls did
measure something, so that becomes a condition.
"""

from __future__ import annotations

from itertools import chain, pairwise

from harness.records.conditions import Condition, ConditionId
from harness.stats.medians import median
from harness.wire import (
    OUTPUTS_FILE,
    GeneratePass,
    GenerationSamples,
    LatencyPass,
    LatencySamples,
    MemoryReading,
    RunReply,
    RunRequest,
    RuntimeReport,
    StateSample,
    WireError,
)

# Two clocks drift apart by 0.01 %, and by 0.05 % while one of them is being corrected.
_DRIFT = 1.01
# Microseconds taken for nanoseconds fill 0.1 % of the time that the calls lasted. A runner that is busy between its
# calls for longer than they take fills little of it too, but more than this.
_LEAST_FILLED = 0.002
_PASSES = ("latency", "memory", "outputs", "profile", "generation")


def check_repeats(reply: RunReply, request: RunRequest) -> None:
    """Raise `WireError` if what an ``ok`` reply repeats of the request differs, or if it is about other passes."""
    if reply.runtime is not None:
        asked, did = request.runtime, reply.runtime
        _same("threads", asked.threads, did.threads)
        _same("delegate_requested", asked.delegate.value, did.delegate_requested.value)
    for name in _PASSES:
        requested, reported = _requested(request, name), getattr(reply, name)
        if requested is None and reported:
            msg = f"it has the results of a {name} pass that was not requested"
            raise WireError(msg)
        # A runtime without a profiler returns an empty profile, and missing outputs are a condition.
        if name != "outputs" and requested is not None and reported is None:
            msg = f"its status is ok, but the requested {name} pass is missing"
            raise WireError(msg)
    outputs = request.passes.outputs or request.passes.score
    if reply.outputs is not None and outputs is not None:
        _same("outputs.file", OUTPUTS_FILE, reply.outputs.file)
        _same("outputs.count", outputs.count, reply.outputs.count)
    if reply.generation is not None and request.passes.generate is not None:
        _check_lengths(reply.generation, request.passes.generate)


def _requested(request: RunRequest, name: str) -> object:
    """The pass that asks for the part ``name`` of a reply; None if none does."""
    passes = request.passes
    asking: dict[str, tuple[object, ...]] = {
        # A generation is a call too, and its whole time is in the latency.
        "latency": (passes.latency, passes.generate),
        "outputs": (passes.outputs, passes.score),
        "generation": (passes.generate,),
    }
    return next((one for one in asking.get(name, (getattr(passes, name, None),)) if one is not None), None)


def _check_lengths(reported: GenerationSamples, asked: GeneratePass) -> None:
    """Raise `WireError` for generations of other lengths than requested: rates at different lengths do not compare."""
    if reported.prompt_tokens != asked.prompt_tokens:
        msg = (
            f"its runtime counted {reported.prompt_tokens} tokens of the prompt, and {asked.prompt_tokens} were sent: "
            "the tokenizer does not belong to this model"
        )
        raise WireError(msg)
    most = max((one.tokens for one in reported.measured), default=0)
    if most > asked.new_tokens:
        msg = f"its runtime counted {most} new tokens, and {asked.new_tokens} were requested"
        raise WireError(msg)


def check_calls(reply: RunReply, request: RunRequest) -> None:
    """Raise `WireError` if an ``ok`` reply lacks the calls of the latency pass, or has their times in another unit."""
    latency, asked = reply.latency, request.passes.latency or request.passes.generate
    if latency is None or asked is None or latency.told is not None:
        return
    if not latency.samples_ns:
        msg = "its status is ok, but the latency pass has no samples"
        raise WireError(msg)
    if _stride_ns(asked) and not latency.at_ns:
        msg = f"a stride of {_stride_ns(asked)} ns was requested, but its samples have no start times (at_ns)"
        raise WireError(msg)
    by_its_clock_ns = reply.state.after.at_ns - reply.state.before.at_ns if reply.state else 0
    if _too_little(latency, asked) and by_its_clock_ns >= _least_ns(asked):
        msg = (
            f"{_little(latency, asked)}, and {by_its_clock_ns} ns passed between its states: give times in nanoseconds"
        )
        raise WireError(msg)


def without_outputs(reply: RunReply, request: RunRequest) -> Condition | None:
    """Return a condition if the requested outputs are missing: the times are real, but nobody saw the answers."""
    if reply.outputs is not None or (request.passes.outputs is None and request.passes.score is None):
        return None
    summary = "the runner returned no outputs: nothing shows whether its answers are right"
    return Condition(id=ConditionId.UNSCORED, summary=summary)


def cut_short(reply: RunReply, request: RunRequest, took_ns: int | None) -> Condition | None:
    """Return a condition if the calls were fewer or shorter than requested, and the cap cannot be the reason."""
    latency, asked = reply.latency, request.passes.latency or request.passes.generate
    # Other programs make as many calls as they are told to, which is not as many as the request asks.
    if took_ns is None or latency is None or asked is None or latency.told is not None:
        return None
    warm, measure = asked.warmup, asked.measure
    if took_ns * _DRIFT >= measure.max_ns:
        return None
    # With a stride, a sample stands for many calls.
    least = 1 if _stride_ns(asked) else measure.min_calls
    checks = [
        (
            len(latency.warmup_ns) < warm.min_calls,
            f"the runner made {len(latency.warmup_ns)} calls to warm up, expected at least {warm.min_calls}",
        ),
        (
            len(latency.samples_ns) < least,
            f"the runner measured {len(latency.samples_ns)} calls, expected at least {least}",
        ),
        (
            took_ns * _DRIFT < warm.min_ns + measure.min_ns,
            f"the calls must last {_seconds(warm.min_ns + measure.min_ns)}, but the launch took {_seconds(took_ns)}",
        ),
        (_too_little(latency, asked), f"{_little(latency, asked)}: are they in nanoseconds?"),
    ]
    return next((Condition(id=ConditionId.CUT_SHORT, summary=summary) for applies, summary in checks if applies), None)


def check_figures(reply: RunReply, took_ns: int | None) -> None:
    """Raise `WireError` for figures that no launch can have; ``took_ns`` is how long it took on the driver's clock."""
    if reply.latency is not None:
        _check_clock(reply.latency)
    if reply.memory is not None:
        _check_memory(reply.memory)
    if reply.runtime is not None:
        _check_nodes(reply.runtime)
    if reply.state is not None:
        _check_order((reply.state.before, *reply.state.series, reply.state.after))
    if took_ns is not None:
        _check_time(reply, took_ns)


def _same(field: str, asked: object, answered: object) -> None:
    if asked != answered:
        msg = f"{field} is {answered!r}, but {asked!r} was requested"
        raise WireError(msg)


def _stride_ns(asked: LatencyPass | GeneratePass) -> int:
    return asked.stride_ns if isinstance(asked, LatencyPass) else 0


def _too_little(latency: LatencySamples, asked: LatencyPass | GeneratePass) -> bool:
    """Whether the samples fill so little of the time that they must last that they may be in microseconds."""
    filled_ns = sum(latency.samples_ns) * latency.calls_per_sample
    apart = isinstance(asked, LatencyPass) and (asked.interval_ns or asked.stride_ns)
    return not apart and filled_ns < _LEAST_FILLED * _least_ns(asked)


def _little(latency: LatencySamples, asked: LatencyPass | GeneratePass) -> str:
    filled_ns = sum(latency.samples_ns) * latency.calls_per_sample
    return (
        f"the {len(latency.samples_ns)} samples add up to {filled_ns} ns, but the calls must last {_least_ns(asked)} ns"
    )


def _least_ns(asked: LatencyPass | GeneratePass) -> int:
    return min(asked.measure.min_ns, asked.measure.max_ns)


def _seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3g} s"


def _check_clock(latency: LatencySamples) -> None:
    """A median of 0 ns is no figure. Single times of 0 are kept and become a condition."""
    cure = "its clock is too coarse; time several calls per sample (calls_per_sample in docs/wire.md)"
    if latency.told is not None:
        if latency.told.median_ns == 0:
            msg = f"the median of its {latency.told.calls} calls is 0 ns: the program's clock is too coarse"
            raise WireError(msg)
    elif latency.samples_ns and median(latency.samples_ns) == 0:
        msg = f"{latency.samples_ns.count(0)} of its {len(latency.samples_ns)} samples are 0 ns: {cure}"
        raise WireError(msg)


def _check_memory(memory: MemoryReading) -> None:
    readings = {
        "baseline_bytes": memory.baseline_bytes,
        "loaded_bytes": memory.loaded_bytes or 0,
        "steady_bytes": memory.steady_bytes or 0,
    }
    for name, value in (*readings.items(), ("retained_bytes", memory.retained_bytes or 0)):
        if value < 0:
            msg = f"its memory.{name} is {value}: memory cannot be negative"
            raise WireError(msg)
    name, highest = max(readings.items(), key=lambda item: item[1])
    if memory.peak_bytes is not None and memory.peak_bytes < highest:
        msg = f"its memory.peak_bytes is {memory.peak_bytes}, which is below its {name} of {highest}"
        raise WireError(msg)


def _check_nodes(runtime: RuntimeReport) -> None:
    total, taken, parts = runtime.nodes_total, runtime.nodes_delegated, runtime.partitions
    if min(total or 0, taken or 0, parts or 0) < 0 or (total is not None and taken is not None and taken > total):
        msg = f"it reports {taken} of {total} nodes on the delegate, in {parts} partitions"
        raise WireError(msg)


def _check_order(states: tuple[StateSample, ...]) -> None:
    for earlier, later in pairwise(states):
        if later.at_ns < earlier.at_ns:
            msg = f"a state at {later.at_ns} ns follows one at {earlier.at_ns} ns: the runner's clock went backwards"
            raise WireError(msg)


def _check_time(reply: RunReply, took_ns: int) -> None:
    """A runner does one thing after the other, so its times add up to no more than the launch took."""
    claims = {"its loads and calls": _busy_ns(reply)}
    if reply.state is not None:
        claims["the time between its states"] = reply.state.after.at_ns - reply.state.before.at_ns
    if reply.latency is not None and reply.latency.at_ns:
        claims["the start of its last call"] = reply.latency.at_ns[-1]
    for what, claimed_ns in claims.items():
        if claimed_ns > took_ns * _DRIFT:
            msg = f"{what} are at {claimed_ns} ns" if what.startswith("the start") else f"{what} take {claimed_ns} ns"
            msg = f"{msg}, but the whole launch took {took_ns} ns: times must be in nanoseconds of one clock"
            raise WireError(msg)


def _busy_ns(reply: RunReply) -> int:
    loads = (reply.load.first_ns, *reply.load.warm_ns) if reply.load else ()
    if reply.latency is None:
        return sum(loads)
    latency = reply.latency
    told_ns = latency.told.calls * latency.told.mean_ns if latency.told else 0
    single_ns = sum(chain(loads, (latency.first_ns or 0,), latency.warmup_ns))
    return single_ns + sum(latency.samples_ns) * latency.calls_per_sample + told_ns
