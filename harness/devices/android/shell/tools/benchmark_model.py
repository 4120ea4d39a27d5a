"""LiteRT's (TensorFlow Lite's) ``benchmark_model``: it warms up and measures by itself, and tells a summary.

Its flags and lines are those of ``tflite/tools/benchmark`` in LiteRT. It tells whole microseconds. A flag that a build
does not know is passed over with a warning, so that what ran is read from what it says of its delegates.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.devices.android.shell.tools.tool import Complaint, Told, ToolJob, failure, told_failure
from harness.wire import Delegate, FailureKind, LatencyPass, LatencySamples, MemoryReading, ToldTimes

_US = 1000
_MIB = 1 << 20

_MEMORY = (
    "what the highest resident set of the program (ru_maxrss) grew by since its start, as benchmark_model tells it: "
    "pages mapped from files are in it, and it never falls"
)

_FLAGS: dict[Delegate, tuple[str, ...]] = {
    Delegate.CPU: ("--use_xnnpack=false",),
    Delegate.XNNPACK: ("--use_xnnpack=true",),
    Delegate.GPU: ("--use_xnnpack=false", "--use_gpu=true"),
    Delegate.NNAPI: ("--use_xnnpack=false", "--use_nnapi=true"),
}
_WRONG_SIZE = r"The size of \S+ is (\d+) bytes\. It should be (\d+) bytes"
_COMPLAINTS = (
    Complaint(
        pattern=_WRONG_SIZE,
        kind=FailureKind.INPUT,
        sentence="the model's input has {1} bytes, {0} were given: its inputs are stored in another type",
    ),
    Complaint(
        pattern=r"Failed to apply (.+?) delegate",
        kind=FailureKind.DELEGATE,
        sentence="the {0} delegate of this benchmark_model does not take this model on this phone",
        unsupported=True,
    ),
    Complaint(
        pattern=r"(Failed to load model|Failed to initialize model loader|Failed to initialize the interpreter)",
        kind=FailureKind.LOAD,
        sentence="this benchmark_model does not take the file: {0}",
    ),
    Complaint(
        pattern=r"(Inputs mismatch[^\n]*|Input tensor #\d+ should have \d+ dimensions)",
        kind=FailureKind.INPUT,
        sentence="the inputs do not fit the model: {0}",
    ),
)
_STATS = re.compile(r"count=(\d+)((?: \(all same\))?(?: \w+=[0-9.e+-]+)+)")
_TIMINGS = re.compile(r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+)")
_FOOTPRINT = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\): init=([0-9.e+]+) overall=([0-9.e+]+)"
)
_WHOLLY = re.compile(r"Explicitly applied (.+?) delegate, and the model graph will be completely")
_PARTLY = re.compile(r"Explicitly applied (.+?) delegate, .* w/ (\d+) delegate kernels")
_NOT_AT_ALL = re.compile(r"Though (.+?) delegate is explicitly applied, the model graph will not be")
_NODES = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate")


class BenchmarkModel:
    """The `ShellTool` of ``benchmark_model``."""

    name = "benchmark_model"
    runtime = "litert"
    log_tag = None

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        warm, measure = job.latency.warmup, job.latency.measure
        return (
            f"--graph={job.model}",
            f"--num_threads={job.threads}",
            f"--warmup_runs={max(1, warm.min_calls)}",
            f"--warmup_min_secs={warm.min_ns / 1e9:g}",
            f"--num_runs={measure.min_calls}",
            f"--min_secs={measure.min_ns / 1e9:g}",
            f"--max_secs={measure.max_ns / 1e9:g}",
            *((f"--run_delay={job.latency.interval_ns / 1e9:g}",) if job.latency.interval_ns else ()),
            *_FLAGS.get(job.delegate, ()),
            *_inputs(job),
        )

    def read(self, said: str, job: ToolJob) -> Told:
        delegate = _delegate(said, job)
        if delegate.failure is not None:
            return delegate
        stats, timings = _STATS.findall(said), _TIMINGS.search(said)
        if len(stats) < 2 or timings is None:
            return failure(FailureKind.REPLY, "benchmark_model ended well and told no times", said)
        told = _times(*stats[-1])
        if told is None:
            message = "this benchmark_model tells a mean and no median: use a newer one"
            return failure(FailureKind.REPLY, message, said, unsupported=True)
        init_us, first_us = (float(text) for text in timings.groups())
        return replace(
            delegate,
            latency=LatencySamples(first_ns=round(first_us * _US), warmup_ns=(), samples_ns=(), told=told),
            load_ns=round(init_us * _US),
            memory=_memory(said),
        )

    def explain(self, said: str, job: ToolJob) -> Told | None:  # noqa: ARG002  a `ShellTool`
        return told_failure(said, _COMPLAINTS)

    def refuses_inputs(self, told: Told) -> bool:
        """A file of a quantised input would need the stored values, which the host does not have."""
        return told.failure is not None and told.failure.kind is FailureKind.INPUT

    def calls(self, asked: LatencyPass, told: Told | None) -> int:  # noqa: ARG002  it measures until it is enough
        return asked.measure.min_calls


def _inputs(job: ToolJob) -> tuple[str, ...]:
    """The inputs by position: names of ours, because a name of the model's may hold what separates them here."""
    if not job.inputs:
        return ()
    names = [f"input{number}" for number in range(len(job.inputs))]
    shapes = (",".join(map(str, shape)) for shape in job.shapes)
    files = (f"{name}:{path}" for name, path in zip(names, job.inputs, strict=True))
    return (
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(shapes)}",
        f"--input_layer_value_files={','.join(files)}",
    )


def _delegate(said: str, job: ToolJob) -> Told:
    """What the graph ran on, as far as it is told."""
    cpu = Delegate.CPU.value
    if job.delegate is Delegate.CPU or _NOT_AT_ALL.search(said):
        return Told(delegate_used=cpu)
    whole, part, nodes = _WHOLLY.search(said), _PARTLY.search(said), _NODES.search(said)
    if not whole and not part:
        message = f"this benchmark_model has no {job.delegate.value} delegate: it took no notice of the flag for it"
        return failure(FailureKind.DELEGATE, message, said, unsupported=True)
    return Told(
        delegate_used=job.delegate.value,
        nodes_total=int(nodes[2]) if nodes else None,
        nodes_delegated=int(nodes[1]) if nodes else None,
        partitions=int(part[2]) if part else 1,
    )


def _times(count: str, rest: str) -> ToldTimes | None:
    """Read ``count=50 first=… median=… p95=…``; where all calls took as long, that time stands for what is not told.

    None without percentiles.
    """
    told = {name: round(float(value) * _US) for name, value in re.findall(r"(\w+)=([0-9.e+-]+)", rest)}
    if "min" not in told and "curr" in told:
        told = dict.fromkeys(("min", "p5", "median", "p95", "max", "avg"), told["curr"]) | told
    if "median" not in told:
        return None
    return ToldTimes(
        calls=int(count),
        min_ns=told["min"],
        p5_ns=told["p5"],
        median_ns=told["median"],
        p95_ns=told["p95"],
        max_ns=told["max"],
        mean_ns=told["avg"],
    )


def _memory(said: str) -> MemoryReading | None:
    found = _FOOTPRINT.search(said)
    if found is None:
        return None
    loaded, overall = (round(float(text) * _MIB) for text in found.groups())
    return MemoryReading(
        definition=_MEMORY,
        baseline_bytes=0,
        loaded_bytes=loaded,
        steady_bytes=overall,
        peak_bytes=overall,
        retained_bytes=None,
    )
