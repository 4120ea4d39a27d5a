"""The importers, one row each. A file is recognised by its content: its name decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import UnknownNameError, UsageError
from harness.exchange.content import Content
from harness.exchange.imported import ImportedFile
from harness.exchange.importers import (
    aihub_perf,
    aihub_profile,
    androidx,
    etdump,
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

    ``name`` is what ``--from`` takes and stays with the cells. ``title`` says what writes such files. ``unknown`` says
    what such files do not say.
    """

    name: str
    title: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content], ImportedFile]
    unknown: str


# In the order in which a file is tried. Formats that are told by a mark come before those that are told by their shape.
_ROWS = (
    Importer(
        name="etdump",
        title="ExecuTorch ETDump",
        recognises=etdump.recognises,
        read=etdump.read,
        unknown="model, device, threads",
    ),
    Importer(
        name="litert-output",
        title="the output of LiteRT's benchmark_model",
        recognises=litert_output.recognises,
        read=litert_output.read,
        unknown="device, single calls",
    ),
    Importer(
        name="executorch-log",
        title="the log of ExecuTorch's benchmark_android.sh or executor_runner",
        recognises=executorch_log.recognises,
        read=executorch_log.read,
        unknown="backend, device model",
    ),
    Importer(
        name="fai-pep",
        title="FAI-PEP results, or the lines that a program prints for it",
        recognises=fai_pep.recognises,
        read=fai_pep.read,
        unknown="threads, size",
    ),
    Importer(
        name="mlperf",
        title="a result of the MLPerf Mobile app",
        recognises=mlperf.recognises,
        read=mlperf.read,
        unknown="median, single calls, threads, memory",
    ),
    Importer(
        name="react-native-executorch",
        title="a report of react-native-executorch's benchmark app",
        recognises=react_native.recognises,
        read=react_native.read,
        unknown="single calls, threads, accuracy",
    ),
    Importer(
        name="aihub-profile",
        title="the profile of a Qualcomm AI Hub job",
        recognises=aihub_profile.recognises,
        read=aihub_profile.read,
        unknown="model, device, runtime, threads",
    ),
    Importer(
        name="androidx",
        title="the JSON of androidx.benchmark, micro and macro",
        recognises=androidx.recognises,
        read=androidx.read,
        unknown="model file, threads, memory",
    ),
    Importer(
        name="pytest-benchmark",
        title="the JSON of pytest-benchmark",
        recognises=pytest_benchmark.recognises,
        read=pytest_benchmark.read,
        unknown="threads, memory",
    ),
    Importer(
        name="google-benchmark",
        title="the JSON of Google Benchmark",
        recognises=google_benchmark.recognises,
        read=google_benchmark.read,
        unknown="single calls, memory, processor",
    ),
    Importer(
        name="litert-leaderboard",
        title="rows of LiteRT's leaderboard, language models included",
        recognises=leaderboard.recognises,
        read=leaderboard.read,
        unknown="single calls, threads, accuracy",
    ),
    Importer(
        name="llama-bench",
        title="the JSON or JSON lines of llama-bench",
        recognises=llama_bench.recognises,
        read=llama_bench.read,
        unknown="device model, memory",
    ),
    Importer(
        name="executorch-results",
        title="benchmark_results.json of ExecuTorch's benchmark apps",
        recognises=executorch_results.recognises,
        read=executorch_results.read,
        unknown="median, single calls, threads",
    ),
    Importer(
        name="ort-profile",
        title="a profile of ONNX Runtime",
        recognises=ort_profile.recognises,
        read=ort_profile.read,
        unknown="model, device, threads",
    ),
    Importer(
        name="aihub-perf",
        title="perf.yaml of Qualcomm's AI Hub Models",
        recognises=aihub_perf.recognises,
        read=aihub_perf.read,
        unknown="median, single calls, threads",
    ),
    Importer(
        name="ort-perf-test",
        title="the CSV of onnxruntime_perf_test",
        recognises=ort_perf_test.recognises,
        read=ort_perf_test.read,
        unknown="device, provider, threads",
    ),
    # Last, because a few bytes of anything may decode to some message.
    Importer(
        name="litert-result",
        title="LiteRT's BenchmarkResult, as bytes or as text",
        recognises=litert_result.recognises,
        read=litert_result.read,
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
    if content.problem:
        return f"{content.problem}; get the file again"
    return "see the formats with: phonebench import --list"
