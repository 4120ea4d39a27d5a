"""The importers, one row each. A file is recognised by its content: its name decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import UnknownNameError, UsageError
from harness.exchange.content import PACKED, Content
from harness.exchange.imported import ImportedFile
from harness.exchange.importers import (
    aihub_perf,
    aihub_profile,
    androidx,
    etdump,
    executorch_llm,
    executorch_log,
    executorch_results,
    fai_pep,
    google_benchmark,
    leaderboard,
    litert_output,
    litert_result,
    llama_bench,
    mlperf,
    ort_perf_test,
    ort_profile,
    pytest_benchmark,
    react_native,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """A format that results are read from.

    ``name`` is what ``--from`` takes and stays with the cells. ``title`` says what writes such files, ``fields``
    where their figures go, and ``unknown`` what they do not say.
    """

    name: str
    title: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content], ImportedFile]
    fields: str
    unknown: str


# In the order in which a file is tried. Formats that are told by a mark come before those that are told by their shape.
_ROWS = (
    Importer(
        name="etdump",
        title="ExecuTorch ETDump",
        recognises=etdump.recognises,
        read=etdump.read,
        fields="Method::execute → calls, load events → load, events → operators; needs ExecuTorch",
        unknown="model, device, threads",
    ),
    Importer(
        name="litert-output",
        title="the output of LiteRT's benchmark_model",
        recognises=litert_output.recognises,
        read=litert_output.read,
        fields="median (µs) → median, Init → load, First inference → first call, overall → peak, table → operators",
        unknown="device, single calls",
    ),
    Importer(
        name="executorch-log",
        title="the log of ExecuTorch's benchmark_android.sh or executor_runner",
        recognises=executorch_log.recognises,
        read=executorch_log.read,
        fields="Iteration lines (ms) → calls, Model loaded → load; without them the mean → stated latency",
        unknown="backend, device model",
    ),
    Importer(
        name="executorch-llm",
        title="the lines that ExecuTorch's language model runner prints",
        recognises=executorch_llm.recognises,
        read=executorch_llm.read,
        fields="moments (ms) → first token, prefill/s, decode/s and load; each line is a launch",
        unknown="model, device, backend, threads",
    ),
    Importer(
        name="fai-pep",
        title="FAI-PEP results, or the lines that a program prints for it",
        recognises=fai_pep.recognises,
        read=fai_pep.read,
        fields="NET latency values → calls, other types → operators, NET peak_memory → peak",
        unknown="threads, size",
    ),
    Importer(
        name="mlperf",
        title="a result of the MLPerf Mobile app",
        recognises=mlperf.recognises,
        read=mlperf.read,
        fields="latency_mean (s) → stated latency, latency90 → stated p90, accuracy → stated accuracy",
        unknown="median, single calls, threads, memory",
    ),
    Importer(
        name="react-native-executorch",
        title="a report of react-native-executorch's benchmark app",
        recognises=react_native.recognises,
        read=react_native.read,
        fields="methods[].stats (ms) → median, pipeline → a cell of its own, repeats → launches, memory (MB) → memory",
        unknown="single calls, threads, accuracy",
    ),
    Importer(
        name="aihub-profile",
        title="the profile of a Qualcomm AI Hub job",
        recognises=aihub_profile.recognises,
        read=aihub_profile.read,
        fields="all_inference_times (µs) → calls, first_load_time → load, execution_detail → operators",
        unknown="model, device, runtime, threads",
    ),
    Importer(
        name="androidx",
        title="the JSON of androidx.benchmark, micro and macro",
        recognises=androidx.recognises,
        read=androidx.read,
        fields="metrics in Ns, Us and Ms: runs → calls, P50 to P99 → percentiles; other metrics are left out",
        unknown="model file, threads, memory",
    ),
    Importer(
        name="pytest-benchmark",
        title="the JSON of pytest-benchmark",
        recognises=pytest_benchmark.recognises,
        read=pytest_benchmark.read,
        fields="stats.data (s) → calls, else median, mean, q1 and q3",
        unknown="threads, memory",
    ),
    Importer(
        name="google-benchmark",
        title="the JSON of Google Benchmark",
        recognises=google_benchmark.recognises,
        read=google_benchmark.read,
        fields="real_time in time_unit → median, repetitions → launches; of aggregates the median",
        unknown="single calls, memory, processor",
    ),
    Importer(
        name="litert-leaderboard",
        title="rows of LiteRT's leaderboard, language models included",
        recognises=leaderboard.recognises,
        read=leaderboard.read,
        fields="latency_ms → median and percentiles, iterations without warm-up → launches of the token speeds",
        unknown="single calls, threads, accuracy",
    ),
    Importer(
        name="llama-bench",
        title="the JSON, JSON lines or CSV of llama-bench",
        recognises=llama_bench.recognises,
        read=llama_bench.read,
        fields="samples_ns → calls, avg_ts → prefill/s or decode/s, samples_ts → its launches",
        unknown="device model, memory",
    ),
    Importer(
        name="executorch-results",
        title="benchmark_results.json of ExecuTorch's benchmark apps",
        recognises=executorch_results.recognises,
        read=executorch_results.read,
        fields="avg_inference_latency(ms) → stated latency, model_load_time(ms) → load, token_per_sec → decode/s",
        unknown="median, single calls, threads",
    ),
    Importer(
        name="ort-profile",
        title="a profile of ONNX Runtime",
        recognises=ort_profile.recognises,
        read=ort_profile.read,
        fields="model_run (µs) → calls, loading and initialisation → load, *_kernel_time → operators",
        unknown="model, device, threads",
    ),
    Importer(
        name="aihub-perf",
        title="perf.yaml of Qualcomm's AI Hub Models",
        recognises=aihub_perf.recognises,
        read=aihub_perf.read,
        fields="inference_time_milliseconds → stated latency, tokens_per_second → decode/s, layer_counts → nodes",
        unknown="median, single calls, threads",
    ),
    Importer(
        name="ort-perf-test",
        title="the CSV of onnxruntime_perf_test",
        recognises=ort_perf_test.recognises,
        read=ort_perf_test.read,
        fields="time (s, or ns of old versions) → calls, peak working set → peak",
        unknown="device, provider, threads",
    ),
    # Last, because a few bytes of anything may decode to some message.
    Importer(
        name="litert-result",
        title="LiteRT's BenchmarkResult, as bytes or as text",
        recognises=litert_result.recognises,
        read=litert_result.read,
        fields="median_ms → median, init_ms → load, peak_mem_mb → peak; without a median avg_ms → stated latency",
        unknown="device, delegate, threads, single calls",
    ),
)

IMPORTERS: dict[str, Importer] = {row.name: row for row in _ROWS}


def importer_of(content: Content, name: str | None = None) -> Importer:
    """Return the importer that recognises the content, or the one of that name.

    Raises `UsageError` if none does, `UnknownNameError` for a name that there is not.
    """
    if name is not None:
        if name not in IMPORTERS:
            raise UnknownNameError(name, kind="format", allowed=IMPORTERS)
        if IMPORTERS[name].recognises(content):
            return IMPORTERS[name]
        msg = f"{content.name!r} is not {IMPORTERS[name].title}: {_why(content)}"
        raise UsageError(msg)
    row = next((row for row in IMPORTERS.values() if row.recognises(content)), None)
    if row is None:
        msg = f"{content.name!r} is not in a format that phonebench reads: {_why(content)}"
        raise UsageError(msg)
    return row


def _why(content: Content) -> str:
    if content.problem.startswith(PACKED):
        return f"{content.problem}; unpack it first"
    if content.problem:
        return f"{content.problem}; get the file again"
    return "see the formats with: phonebench import --list"
