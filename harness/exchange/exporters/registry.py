"""The exporters, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import UnknownNameError
from harness.exchange.exporters import (
    aihub,
    androidx,
    bencher,
    fai_pep,
    github_action,
    junit,
    leaderboard,
    litert,
    mlflow,
    mlperf,
    openmetrics,
    optimum,
    otava,
    parquet,
    pytorch_v3,
    react_native,
    tensorboard,
)
from harness.exchange.outgoing import Files, Outgoing
from harness.wire import Format

_DEVICE, _CONDITIONS = "the device", "conditions"
_SAMPLES, _INTERVAL = "single calls", "intervals over launches"
_ACCURACY, _FAILED = "accuracy", "cells without results"
_MEMORY, _LAUNCHES = "memory", "which launch a call belongs to"
_STATED = "what only other programs state"
_LANGUAGE = "first token and rates of language models"
_BUT_MEAN = f"{_STATED} but a mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """A format that results are written in.

    ``name`` is what ``--to`` takes, ``title`` what reads such files, and ``fields`` where our figures stand in it.
    ``loses``: what of a run such a file has no place for. ``all_cells``: it has a place for cells without results.
    ``formats``: it is about files of these formats alone; empty if it is not about any.
    """

    name: str
    title: str
    write: Callable[[Outgoing], Files]
    fields: str
    loses: tuple[str, ...]
    all_cells: bool = False
    formats: tuple[Format, ...] = ()


_ROWS = (
    Exporter(
        name="litert-text",
        title="LiteRT BenchmarkResult, text",
        write=litert.text,
        fields="median → median_ms, load → init_ms, first call → first_inference_ms, peak → peak_mem_mb",
        loses=(
            _DEVICE,
            "threads and delegate",
            _SAMPLES,
            _INTERVAL,
            _ACCURACY,
            _CONDITIONS,
            _FAILED,
            _BUT_MEAN,
            "percentiles but p5 and p95",
        ),
        formats=(Format.TFLITE,),
    ),
    Exporter(
        name="litert",
        title="LiteRT BenchmarkResult, binary",
        write=litert.binary,
        fields="as litert-text",
        loses=(
            *(_DEVICE, "threads and delegate", _SAMPLES, _INTERVAL, _ACCURACY, _CONDITIONS, _FAILED, _BUT_MEAN),
            "percentiles but p5 and p95",
            "digits beyond the seventh",
        ),
        formats=(Format.TFLITE,),
    ),
    Exporter(
        name="litert-leaderboard",
        title="rows of LiteRT's leaderboard",
        write=leaderboard.rows,
        fields="median → latency_ms.median, load → latency_ms.init, peak growth → memory_mb.overall_footprint, "
        "of language models first token and rates → metrics",
        loses=(
            *("threads", _SAMPLES, _INTERVAL, _ACCURACY, _CONDITIONS, _FAILED),
            f"{_STATED} but a mean and the speeds of a language model",
            "percentiles but p5 and p95",
        ),
    ),
    Exporter(
        name="pytorch-v3",
        title="PyTorch's benchmark database, version 3",
        write=pytorch_v3.records,
        fields="a record per metric: launches → metric.benchmark_values, interval → metric.extra_info",
        loses=(_SAMPLES, _CONDITIONS, "cells that cannot exist"),
        all_cells=True,
    ),
    Exporter(
        name="fai-pep",
        title="FAI-PEP results",
        write=fai_pep.results,
        fields="calls → NET latency values, load → NET load_time, peak → NET peak_memory, operators by name",
        loses=(
            "threads",
            _LAUNCHES,
            _INTERVAL,
            _CONDITIONS,
            _FAILED,
            _BUT_MEAN,
            "percentiles but p10, p50 and p90",
            _LANGUAGE,
        ),
    ),
    Exporter(
        name="aihub-profile",
        title="the profile of a Qualcomm AI Hub job",
        write=aihub.profiles,
        fields="median → estimated_inference_time, calls → all_inference_times, operators → execution_detail",
        loses=(
            *(_DEVICE, "model, threads and delegate", _LAUNCHES, _INTERVAL, _ACCURACY, _CONDITIONS, _FAILED),
            f"{_STATED} but a latency",
            "percentiles and extremes without single calls",
            _LANGUAGE,
        ),
    ),
    Exporter(
        name="react-native-executorch",
        title="a report of react-native-executorch, version 3",
        write=react_native.reports,
        fields="launches → cases, median → native.methods[0].stats.median, memory → memory.*Mb",
        loses=(
            *("threads", _SAMPLES, "the first call", _INTERVAL, _ACCURACY, _CONDITIONS, "warm-up and mode"),
            *(_BUT_MEAN, "percentiles but p90"),
            _LANGUAGE,
        ),
        all_cells=True,
        formats=(Format.PTE,),
    ),
    Exporter(
        name="androidx",
        title="the JSON of androidx.benchmark",
        write=androidx.data,
        fields="calls → metrics.timeNs.runs, waiting to cool → thermalThrottleSleepSeconds",
        loses=(
            "load time",
            _MEMORY,
            _LAUNCHES,
            _INTERVAL,
            _ACCURACY,
            _CONDITIONS,
            _FAILED,
            _STATED,
            "percentiles and the mean",
            _LANGUAGE,
        ),
    ),
    Exporter(
        name="mlperf",
        title="a result of the MLPerf Mobile app",
        write=mlperf.results,
        fields="mean → loadgen.latency_mean, p90 → loadgen.latency90, accuracy → accuracy.normalized",
        loses=(
            *("the median", _SAMPLES, "load time", _MEMORY, _INTERVAL, _CONDITIONS, _FAILED),
            f"{_STATED} but a mean, p90, accuracy and MLPerf's score",
            "percentiles but p90",
            "whether an imported result was valid",
            "the data set, of which the app knows only its own",
            _LANGUAGE,
        ),
    ),
    Exporter(
        name="optimum-benchmark",
        title="reports of huggingface/optimum-benchmark",
        write=optimum.reports,
        fields="calls → forward.latency.values, load → load_model.latency, peak → forward.memory.max_ram",
        loses=(
            _LAUNCHES,
            "the first call",
            _INTERVAL,
            _ACCURACY,
            _CONDITIONS,
            _FAILED,
            _BUT_MEAN,
            "extremes without single calls",
            _LANGUAGE,
        ),
    ),
    Exporter(
        name="github-action-benchmark",
        title="github-action-benchmark, customSmallerIsBetter and customBiggerIsBetter",
        write=github_action.entries,
        fields="metrics → value, 95 % interval → range, run and device → extra",
        loses=(_SAMPLES, "percentiles", _CONDITIONS, _FAILED),
    ),
    Exporter(
        name="bencher",
        title="Bencher Metric Format",
        write=bencher.metrics,
        fields="metrics → measures: value, 95 % interval → lower_value and upper_value, p90 → a measure of its own",
        loses=(_DEVICE, "runtime and versions", _SAMPLES, _CONDITIONS, _FAILED),
    ),
    Exporter(
        name="otava",
        title="a CSV row for Apache Otava",
        write=otava.table,
        fields="start → time, commit → commit, cell and metric → a column",
        loses=(_DEVICE, "runtime and versions", _SAMPLES, _INTERVAL, "percentiles", _CONDITIONS, _FAILED),
    ),
    Exporter(
        name="openmetrics",
        title="OpenMetrics text, as Prometheus reads it",
        write=openmetrics.text,
        fields="metrics → gauges in seconds, bytes and ratios; interval → _low and _high; cell → labels",
        loses=(_SAMPLES, "versions", _CONDITIONS, "reasons of failures"),
        all_cells=True,
    ),
    Exporter(
        name="junit",
        title="JUnit XML, for CI services",
        write=junit.suite,
        fields="cells → test cases, metrics → properties, broken → failure, failed → error",
        loses=(_SAMPLES, _INTERVAL, _CONDITIONS, "versions"),
        all_cells=True,
    ),
    Exporter(
        name="parquet",
        title="Parquet tables of cells, launches, samples and operators",
        write=parquet.tables,
        fields="the columns of table.csv, with a table each for launches, calls and operators",
        loses=("outputs", "states of the device", "details of conditions"),
        all_cells=True,
    ),
    Exporter(
        name="mlflow",
        title="a local MLflow folder (mlruns)",
        write=mlflow.store,
        fields="cells → runs, metrics → metrics, calls → steps of call_ms, recipe → params.recipe",
        loses=(
            _LAUNCHES,
            f"calls beyond {mlflow.MOST_STEPS:,} per cell",
            "operators",
            "details of conditions",
            "cells that cannot exist",
        ),
        all_cells=True,
    ),
    Exporter(
        name="tensorboard",
        title="a TensorBoard log folder",
        write=tensorboard.logs,
        fields="metrics → scalars, calls → a histogram, recipe → text, cells → hparams",
        loses=("each single call, beyond its bucket", "digits beyond the seventh", "operators", _CONDITIONS, _FAILED),
    ),
)

EXPORTERS: dict[str, Exporter] = {row.name: row for row in _ROWS}


def exporter_named(name: str) -> Exporter:
    """Return the exporter of that name. Raises `UnknownNameError`."""
    if name not in EXPORTERS:
        raise UnknownNameError(name, kind="format", allowed=EXPORTERS)
    return EXPORTERS[name]
