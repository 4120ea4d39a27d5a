"""LiteRT's (formerly TensorFlow Lite's) ``benchmark_model``, which warms up, measures and prints a summary.

Its flags and output are defined in ``tflite/tools/benchmark`` of LiteRT. Times are whole microseconds. A build ignores
flags it does not know, with a warning only, so the delegate that ran is read from the output.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.devices.android.shell.tools.operator_table import operator_table
from harness.devices.android.shell.tools.tool import Complaint, PlainTool, ToolJob, ToolReport, failure
from harness.wire import Delegate, FailureKind, LatencyPass, LatencySamples, MemoryReading, SummarisedTimes

_US = 1000
_MIB = 1 << 20

# Results of runs are compared only if their definitions are equal, so this text must not change.
MEMORY_GROWTH = (
    "what the highest resident set of the program (ru_maxrss) grew by since its start, as benchmark_model tells it: "
    "pages mapped from files are in it, and it never falls"
)

# XNNPACK is on by default, so every other delegate must switch it off.
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
        sentence="the model's input has {1} bytes but {0} were given: the file stores its inputs in another type",
    ),
    Complaint(
        pattern=r"Failed to apply (.+?) delegate",
        kind=FailureKind.DELEGATE,
        sentence="the {0} delegate of this benchmark_model cannot run this model on this phone",
        unsupported=True,
    ),
    Complaint(
        pattern=r"(Failed to load model|Failed to initialize model loader|Failed to initialize the interpreter)",
        kind=FailureKind.LOAD,
        sentence="this benchmark_model cannot load the file: {0}",
    ),
    Complaint(
        pattern=r"(Inputs mismatch[^\n]*|Input tensor #\d+ should have \d+ dimensions)",
        kind=FailureKind.INPUT,
        sentence="the inputs do not fit the model: {0}",
    ),
)
# Not the line after a table of operators, which sums up the profiler's own times.
_STATS = re.compile(r"(?<!microseconds\): )count=(\d+)((?: \(all same\))?(?: \w+=[0-9.e+-]+)+)")
_TIMINGS = re.compile(r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+)")
_FOOTPRINT = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\): init=([0-9.e+]+) overall=([0-9.e+]+)"
)
# The delegate runs the whole graph, parts of it (one kernel per part), or nothing.
_WHOLLY = re.compile(r"Explicitly applied (.+?) delegate, and the model graph will be completely")
_PARTLY = re.compile(r"Explicitly applied (.+?) delegate, .* w/ (\d+) delegate kernels")
_NOT_AT_ALL = re.compile(r"Though (.+?) delegate is explicitly applied, the model graph will not be")
_NODES = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate")


class BenchmarkModel(PlainTool):
    """The `ShellTool` of ``benchmark_model``."""

    name = "benchmark_model"
    runtime = "litert"
    profiles = True
    complaints = _COMPLAINTS

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
            *(("--enable_op_profiling=true",) if job.operators else ()),
            *_FLAGS.get(job.delegate, ()),
            *_inputs(job),
        )

    def read(self, output: str, job: ToolJob) -> ToolReport:
        delegate = _delegate(output, job)
        if delegate.failure is not None:
            return delegate
        stats, timings = _STATS.findall(output), _TIMINGS.search(output)
        if len(stats) < 2 or timings is None:
            return failure(FailureKind.REPLY, "benchmark_model ended normally but printed no times", output)
        # The first block of statistics is the warm-up, the last one the measurement.
        times = _times(*stats[-1])
        if times is None:
            message = "this benchmark_model prints a mean but no median: use a newer one"
            return failure(FailureKind.REPLY, message, output, unsupported=True)
        init_us, first_us = (float(text) for text in timings.groups())
        return replace(
            delegate,
            latency=LatencySamples(first_ns=round(first_us * _US), warmup_ns=(), samples_ns=(), told=times),
            load_ns=round(init_us * _US),
            memory=_memory(output),
            operators=operator_table(output, job.delegate) if job.operators else (),
        )

    def refuses_inputs(self, report: ToolReport) -> bool:
        """A quantised input needs a file of quantised values, which the host does not have."""
        return report.failure is not None and report.failure.kind is FailureKind.INPUT

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:  # noqa: ARG002  it measures for a time
        return requested.measure.min_calls


def _inputs(job: ToolJob) -> tuple[str, ...]:
    """Return the input flags. The names are ours: a name of the model may contain the separators used here."""
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


def _delegate(output: str, job: ToolJob) -> ToolReport:
    """Return what the graph ran on, as far as the output says."""
    cpu = Delegate.CPU.value
    if job.delegate is Delegate.CPU or _NOT_AT_ALL.search(output):
        return ToolReport(delegate_used=cpu)
    whole, part, nodes = _WHOLLY.search(output), _PARTLY.search(output), _NODES.search(output)
    if not whole and not part:
        message = f"this benchmark_model has no {job.delegate.value} delegate: it ignored the flag for it"
        return failure(FailureKind.DELEGATE, message, output, unsupported=True)
    return ToolReport(
        delegate_used=job.delegate.value,
        nodes_total=int(nodes[2]) if nodes else None,
        nodes_delegated=int(nodes[1]) if nodes else None,
        partitions=int(part[2]) if part else 1,
    )


def _times(count: str, rest: str) -> SummarisedTimes | None:
    """Parse ``count=50 first=… median=… p95=…``; None if there are no percentiles.

    If all calls took equally long, the program prints only ``curr``, which then stands for every statistic.
    """
    values_ns = {name: round(float(value) * _US) for name, value in re.findall(r"(\w+)=([0-9.e+-]+)", rest)}
    if "min" not in values_ns and "curr" in values_ns:
        values_ns = dict.fromkeys(("min", "p5", "median", "p95", "max", "avg"), values_ns["curr"]) | values_ns
    if "median" not in values_ns:
        return None
    return SummarisedTimes(
        calls=int(count),
        min_ns=values_ns["min"],
        p5_ns=values_ns["p5"],
        median_ns=values_ns["median"],
        p95_ns=values_ns["p95"],
        max_ns=values_ns["max"],
        mean_ns=values_ns["avg"],
    )


def _memory(output: str) -> MemoryReading | None:
    footprint = _FOOTPRINT.search(output)
    if footprint is None:
        return None
    loaded, overall = (round(float(text) * _MIB) for text in footprint.groups())
    return MemoryReading(
        definition=MEMORY_GROWTH,
        # The program prints growth only, so everything is relative to its start.
        baseline_bytes=0,
        loaded_bytes=loaded,
        steady_bytes=overall,
        peak_bytes=overall,
        retained_bytes=None,
    )
