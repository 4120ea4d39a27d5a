"""Every format of other programs is recognised by its content, and its figures arrive in base units.

The files were written by hand from the published formats, and what is expected was read off them by eye.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.exchange.assemble import Assembled, Source, assemble
from harness.exchange.content import content_of
from harness.exchange.importers.registry import IMPORTERS, importer_of
from harness.records.measurement import CellStatus, Measurement
from harness.records.origin import StatedName

FILES = Path(__file__).parent / "files"
KINDS = {
    "aihub_profile.json": "aihub-profile",
    "androidx.json": "androidx",
    "benchmark_android.log": "executorch-log",
    "benchmark_model.txt": "litert-output",
    "benchmark_models.txt": "litert-output",
    "benchmark_result.textproto": "litert-result",
    "benchmark_results.json": "executorch-results",
    "executorch_llm.log": "executorch-llm",
    "fai_pep.json": "fai-pep",
    "fai_pep_lines.txt": "fai-pep",
    "google_benchmark.json": "google-benchmark",
    "leaderboard.jsonl": "litert-leaderboard",
    "llama_bench.jsonl": "llama-bench",
    "mlperf.json": "mlperf",
    "ort_perf_test.csv": "ort-perf-test",
    "ort_profile.json": "ort-profile",
    "perf.yaml": "aihub-perf",
    "perf_2024.yaml": "aihub-perf",
    "pytest_benchmark.json": "pytest-benchmark",
    "react_native.json": "react-native-executorch",
}


def imported(name: str, data: bytes | None = None) -> Assembled:
    """What a run would store of the file."""
    content = content_of(name, (FILES / name).read_bytes() if data is None else data)
    importer = importer_of(content)
    source = Source(content=content, kind=importer.name, imported=importer.read(content))
    return assemble([source], lambda _data, _suffix: "0" * 64)


def only(name: str, data: bytes | None = None) -> Measurement:
    """The measurement of a file with one cell."""
    (measurement,) = imported(name, data).measurements
    return measurement


def stated(measurement: Measurement) -> dict[StatedName, float]:
    return {figure.name: figure.value for figure in measurement.stated}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_file_is_recognised_by_its_content_whatever_its_name(name: str, kind: str) -> None:
    data = (FILES / name).read_bytes()
    content = content_of("renamed.bin", data)
    assert importer_of(content).name == kind
    assert [row.name for row in IMPORTERS.values() if row.recognises(content)] == [kind]


def test_every_importer_has_a_file() -> None:
    # An ETDump needs its library to be written; its own test makes one.
    assert set(KINDS.values()) == set(IMPORTERS) - {"etdump"}


@pytest.mark.parametrize("name", ["benchmark_model.txt", "benchmark_result.textproto"])
def test_both_forms_of_litert_say_the_same(name: str) -> None:
    found = only(name)
    latency = found.latency
    assert latency is not None
    assert (latency.median_ns, latency.min_ns, latency.p5_ns, latency.p95_ns) == (7e6, 6_900_000, 6.95e6, 7.3e6)
    assert latency.mean_ns == pytest.approx(7.05e6, rel=1e-4)
    assert (latency.calls, latency.p90_ns, latency.low_ns) == (140, None, None)
    assert found.load is not None
    assert (found.load.first_ns, found.load.first_inference_ns) == (12_500_000, 9_000_000)
    assert found.memory is not None
    assert (found.memory.loaded_bytes, found.memory.peak_bytes) == (10.5 * 2**20, 16.25 * 2**20)
    assert found.artifact is not None
    assert found.artifact.bytes == 4_250_000


def test_a_binary_result_is_read_as_its_text() -> None:
    # Written by hand: field 2 is the latency, whose median is field 5 and its mean field 1, both 32-bit floats.
    times = b"\x0d" + struct.pack("<f", 7.5) + b"\x2d" + struct.pack("<f", 7.0)
    found = only("result.pb", b"\x0a\x06garden" + b"\x12" + bytes([len(times)]) + times)
    assert found.cell.startswith("garden-")
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.mean_ns, found.latency.calls) == (7e6, 7.5e6, None)


def test_the_delegate_and_the_nodes_are_those_of_the_output() -> None:
    found = only("benchmark_model.txt")
    assert found.runtime is not None
    assert found.runtime.delegate_used == "TfLiteXNNPackDelegate"
    assert (found.runtime.nodes_delegated, found.runtime.nodes_total, found.runtime.threads) == (31, 33, 2)


def test_each_run_of_an_appended_output_is_a_cell() -> None:
    shed, barn = imported("benchmark_models.txt").measurements
    assert (shed.cell.split("-")[0], barn.cell.split("-")[0]) == ("shed", "barn")
    # The first is of a version without medians.
    assert (shed.latency, stated(shed)) == (None, {StatedName.LATENCY: 8_040_500})
    assert [run.memory.peak_bytes for run in (shed, barn) if run.memory] == [6.25 * 2**20, 3.5 * 2**20]
    assert [run.load.first_ns for run in (shed, barn) if run.load] == [4_500_000, 3_250_000]


def test_the_sums_of_the_profiler_are_not_taken_for_the_latency() -> None:
    _, barn = imported("benchmark_models.txt").measurements
    assert barn.latency is not None
    assert (barn.latency.median_ns, barn.latency.calls) == (5e6, 80)


def test_the_table_of_operators_of_an_output_is_kept() -> None:
    shed, barn = imported("benchmark_models.txt").measurements
    assert shed.operators is None
    assert barn.operators is not None
    assert [(o.kind, o.name, o.mean_ns) for o in barn.operators.operators] == [
        ("CONV_2D", "[barn/conv/Relu6]:0", 4_000_000), ("AVERAGE_POOL_2D", "[barn/pool]:1", 750_000),
        ("SOFTMAX", "[barn/softmax]:2", 250_000),
    ]  # fmt: skip


def test_runs_without_their_first_lines_are_launches_of_one_cell() -> None:
    line = "count=50 first=9 curr=7 min=6 max=9 avg={} std=1\nInference timings in us: Init: 5, First inference: 9\n"
    found = only("copied.md", f"{line.format(7.5)}\nand once more:\n{line.format(3.5)}".encode())
    assert [figure.launches for figure in found.stated] == [(7500, 3500)]


def test_an_old_output_without_a_median_gives_a_mean_and_no_latency() -> None:
    text = b"count=50 first=9 curr=7 min=6 max=9 avg=7.5 std=1\nInference timings in us: Init: 5, First inference: 9\n"
    found = only("old.txt", text)
    assert found.latency is None
    assert [(f.name, f.value, f.definition) for f in found.stated] == [(StatedName.LATENCY, 7500, "mean of the calls")]


def test_executorch_results_are_means_in_the_units_of_their_names() -> None:
    run = imported("benchmark_results.json")
    first, second = run.measurements
    assert stated(first) == {StatedName.LATENCY: 7.5e6}
    assert first.load is not None
    assert first.load.first_ns == 20_000_000
    assert first.memory is not None
    assert first.memory.peak_bytes == 12_000_000
    assert stated(second) == {StatedName.DECODE: 21.5}
    assert [(d.model, d.memory_bytes) for d in run.devices] == [("Acme One", None), ("iPhone 15", None)]


def test_the_executorch_log_has_every_call() -> None:
    found = only("benchmark_android.log")
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls) == (7_500_000, 4)
    assert found.load is not None
    assert found.load.first_ns == 15_250_000
    assert found.launches[0].reply_sha256


def test_the_executorch_language_model_lines_are_launches() -> None:
    found = only("executorch_llm.log")
    # 20 tokens were read in 0.4 s both times; 50 were written in 5 s and in 4 s.
    assert stated(found) == {
        StatedName.PREFILL: 50,
        StatedName.DECODE: 11.25,
        StatedName.FIRST_TOKEN: 440_000_000,
    }
    assert {figure.name: figure.launches for figure in found.stated}[StatedName.DECODE] == (10, 12.5)
    assert found.load is not None
    assert found.load.first_ns == 2_500_000_000


def test_fai_pep_has_samples_operators_and_memory_in_their_units() -> None:
    found = only("fai_pep.json")
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls) == (7_100_000, 3)
    assert found.operators is not None
    assert [(o.kind, o.calls, o.total_ns) for o in found.operators.operators] == [("Conv_0", 3, 9_150_000)]
    assert found.memory is not None
    assert found.memory.peak_bytes == 20 * 2**20
    printed = only("fai_pep_lines.txt").latency
    assert printed is not None
    assert (printed.median_ns, printed.calls) == (7_100_000, 3)


def test_mlperf_gives_a_mean_a_p90_and_an_accuracy_but_no_median() -> None:
    new, old = imported("mlperf.json").measurements
    assert new.latency is None
    assert stated(new) == {
        StatedName.LATENCY: 7.5e6,
        StatedName.P90: 8e6,
        StatedName.THROUGHPUT: 125,
        StatedName.ACCURACY: 0.75,
    }
    assert stated(old) == {StatedName.THROUGHPUT: 80.5}
    assert new.origin is not None
    assert (new.origin.delegate, new.origin.settings["setting shards_num"]) == ("GPU (FP16)", "2")


def test_react_native_repeats_are_launches_and_its_pipeline_is_another_cell() -> None:
    run = imported("react_native.json")
    raw, pipeline, broken, huge = run.measurements
    assert raw.latency is not None
    assert raw.latency.launches == 2
    # The typical of two launches is their geometric mean.
    assert raw.latency.median_ns == pytest.approx((18e6 * 18.2e6) ** 0.5)
    assert raw.latency.low_ns is not None
    assert raw.memory is not None
    assert raw.memory.held_bytes == raw.memory.baseline_bytes + 60_000_000
    assert pipeline.latency is not None
    assert 60e6 < pipeline.latency.median_ns < 61e6
    assert (broken.status, broken.reason) == (CellStatus.FAILED, "Program could not be loaded")
    assert (huge.status, huge.reason) == (CellStatus.UNSUPPORTED, "larger than maxBytes")
    assert "GATE-TIMEOUT" in {condition.id for condition in raw.conditions}


def test_the_leaderboard_has_networks_and_language_models() -> None:
    network, language = imported("leaderboard.jsonl").measurements
    assert network.latency is not None
    assert (network.latency.median_ns, network.latency.p95_ns, network.latency.calls) == (7e6, 7.3e6, 140)
    assert stated(language) == {StatedName.PREFILL: 600, StatedName.DECODE: 21.5, StatedName.FIRST_TOKEN: 1.75e9}
    # The first of three iterations warmed up.
    assert {figure.name: figure.launches for figure in language.stated}[StatedName.DECODE] == (21.0, 22.0)
    assert language.load is not None
    assert language.load.first_ns == 7_000_000_000


def test_an_ai_hub_profile_has_samples_and_what_ran_each_layer() -> None:
    found = only("aihub_profile.json")
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls) == (1_230_000, 4)
    assert found.load is not None
    assert found.load.first_ns == 311_671_000
    assert found.operators is not None
    assert [(o.name, o.ran_on, o.delegated, o.total_ns) for o in found.operators.operators] == [
        ("conv_0", "npu", True, 800_000),
        ("softmax_1", "cpu", False, 300_000),
    ]


def test_perf_yaml_has_estimates_failures_and_language_models() -> None:
    good, failed, language = imported("perf.yaml").measurements
    assert stated(good) == {StatedName.LATENCY: 2.5e6}
    assert good.memory is not None
    assert good.memory.peak_bytes == 20_000_000
    assert good.runtime is not None
    assert (good.runtime.nodes_delegated, good.runtime.nodes_total) == (69, 70)
    assert (failed.status, failed.reason) == (CellStatus.FAILED, "the job ended as Failed")
    assert stated(language) == {StatedName.DECODE: 12.5, StatedName.FIRST_TOKEN: 95_500_000}


def test_the_perf_yaml_of_2024_has_microseconds_and_bytes() -> None:
    run = imported("perf_2024.yaml")
    tflite, qnn = run.measurements
    assert [stated(m)[StatedName.LATENCY] for m in (tflite, qnn)] == [2_500_000, 2_100_000]
    assert tflite.memory is not None
    assert tflite.memory.peak_bytes == 20_000_000
    assert [cell.format for cell in run.plan.cells] == ["tflite", "other"]
    assert (run.devices[0].os, run.devices[0].cpu) == ("Android 13", "Chip 9")


def test_androidx_has_a_cell_per_metric_of_time() -> None:
    run = imported("androidx.json")
    micro, frames = run.measurements
    assert micro.latency is not None
    assert (micro.latency.median_ns, micro.latency.min_ns, micro.latency.calls) == (7_100_000, 7_000_000, 4)
    assert frames.latency is not None
    assert (frames.latency.median_ns, frames.latency.calls) == (5_500_000, 3)
    assert {c.id for c in micro.conditions} == {"THERMAL", "IMPORTED"}
    assert (run.devices[0].cores, run.devices[0].os_build) == (8, "acme/one/one:15/A1/1:user/release-keys")


@pytest.mark.parametrize("rows", [("0.007", "0.0072", "7.1e-3"), ("7000000", "7200000", "7100000")])
def test_ort_perf_test_wrote_seconds_later_and_nanoseconds_before(rows: tuple[str, ...]) -> None:
    text = "".join(f"garden,{time},20480000,98,{index}\n" for index, time in enumerate(rows))
    found = only("perf.csv", text.encode())
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls) == (7_100_000, 3)
    assert found.memory is not None
    assert found.memory.peak_bytes == 20_480_000


def test_an_ort_profile_has_calls_after_the_first_and_its_nodes() -> None:
    found = only("ort_profile.json")
    assert found.latency is not None
    assert found.latency.median_ns == 500_000
    assert found.load is not None
    assert (found.load.first_ns, found.load.first_inference_ns) == (10_300_000, 700_000)
    assert found.operators is not None
    assert [(o.name, o.kind, o.calls, o.total_ns) for o in found.operators.operators] == [
        ("conv_0", "Conv", 2, 700_000),
        ("softmax_1", "Softmax", 1, 100_000),
    ]


def test_llama_bench_cells_that_only_a_setting_tells_apart_are_named_by_it() -> None:
    run = imported("llama_bench.jsonl")
    assert [cell.variant for cell in run.plan.cells] == ["pp512", "tg128 n_batch=2048", "tg128 n_batch=256"]
    prompt, answer, _ = run.measurements
    assert stated(prompt) == {StatedName.PREFILL: 7100.5}
    assert stated(answer) == {StatedName.DECODE: 118.9}
    assert answer.latency is not None
    assert answer.latency.median_ns == 1_076_000_000


def test_pytest_benchmark_has_rounds_or_their_statistics() -> None:
    rounds, statistics = imported("pytest_benchmark.json").measurements
    assert rounds.latency is not None
    assert (rounds.latency.median_ns, rounds.latency.calls) == (7_100_000, 5)
    assert statistics.latency is not None
    assert (statistics.latency.p25_ns, statistics.latency.p75_ns, statistics.latency.calls) == (1.3e6, 1.6e6, 20)


def test_google_benchmark_repetitions_are_launches_and_an_aggregate_stands_alone() -> None:
    garden, pond, bad = imported("google_benchmark.json").measurements
    assert garden.latency is not None
    assert (garden.latency.launches, garden.latency.calls) == (2, None)
    assert garden.latency.median_ns == pytest.approx((7.1e6 * 7.3e6) ** 0.5)
    assert pond.latency is not None
    assert (pond.latency.median_ns, pond.latency.mean_ns) == (250_500, 260_000)
    assert (bad.status, bad.reason) == (CellStatus.FAILED, "no such file")


def test_react_native_lines_are_read_before_the_run_has_ended() -> None:
    cases = json.loads((FILES / "react_native.json").read_text())["cases"]
    run = imported("cases.jsonl", "\n".join(map(json.dumps, cases)).encode())
    assert [m.status for m in run.measurements] == [CellStatus.OK, CellStatus.OK, CellStatus.FAILED]
    assert run.devices[0].model == "unknown"


def test_llama_bench_csv_has_the_speed_and_a_mean() -> None:
    rows = [json.loads(line) for line in (FILES / "llama_bench.jsonl").read_text().splitlines()]
    names = [name for name in rows[0] if not name.startswith("samples")]
    lines = [",".join(names), *(",".join(f'"{row[name]}"' for name in names) for row in rows)]
    prompt, *_ = imported("bench.csv", "\n".join(lines).encode()).measurements
    assert prompt.latency is None
    assert stated(prompt) == {StatedName.PREFILL: 7100.5, StatedName.LATENCY: 72_000_000}


def test_old_google_benchmark_names_its_aggregates_at_the_end() -> None:
    times = (("", 7), ("", 8), ("_mean", 7.5), ("_median", 7.5), ("_stddev", 0.7))
    rows = [{"name": f"BM_A{end}", "iterations": 9, "real_time": time, "time_unit": "us"} for end, time in times]
    (found,) = imported("old.json", json.dumps({"context": {}, "benchmarks": rows}).encode()).measurements
    assert found.latency is not None
    assert (found.latency.launches, found.latency.min_ns) == (2, None)


def test_a_rate_of_google_benchmark_is_a_rate() -> None:
    data = edited("google_benchmark.json", context={})
    document = json.loads(data)
    document["benchmarks"][3]["items_per_second"] = 4000
    pond = imported("g.json", json.dumps(document).encode()).measurements[1]
    assert stated(pond) == {StatedName.THROUGHPUT: 4000}


@pytest.mark.parametrize("name", KINDS)
def test_every_cell_says_where_it_comes_from(name: str) -> None:
    run = imported(name)
    assert len({cell.key for cell in run.plan.cells}) == len(run.plan.cells)
    for measurement in run.measurements:
        assert measurement.origin is not None
        assert (measurement.origin.kind, measurement.origin.file) == (KINDS[name], name)
        assert any(condition.id == "IMPORTED" for condition in measurement.conditions)


def test_files_of_two_sessions_together_are_launches_of_the_same_cells() -> None:
    content = content_of("a.textproto", (FILES / "benchmark_result.textproto").read_bytes())
    importer = importer_of(content)
    source = Source(content=content, kind=importer.name, imported=importer.read(content))
    (found,) = assemble([source, source], lambda _data, _suffix: "").measurements
    assert found.latency is not None
    assert (found.latency.launches, found.latency.calls) == (2, 280)


# ---- what may be wrong with a file


def cut(name: str, share: float) -> bytes:
    data = (FILES / name).read_bytes()
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".json")])
def test_a_file_that_was_cut_off_is_refused_with_the_place(name: str) -> None:
    with pytest.raises(UsageError, match=r"damaged or cut off .*line \d+"):
        imported(name, cut(name, 0.7))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_never_ends_in_anything_but_a_sentence(name: str, share: float) -> None:
    try:
        imported(name, cut(name, share))
    except UsageError as error:
        assert ";" in str(error) or ":" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not in a format"),
        (b"hello world\n", "not in a format"),
        (b'{"results": []}', "not in a format"),
        (b"[]", "not in a format"),
        (b"null", "not in a format"),
        (b'{"context": {"build": 1}, "benchmarks": []}', "not in a format"),
    ],
)
def test_a_foreign_or_hostile_file_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        imported("file", data)


def test_yaml_aliases_are_refused_before_they_are_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True))
    with pytest.raises(UsageError, match="YAML aliases"):
        imported("perf.yaml", f"precisions:\n  performance_metrics:\n{bomb}".encode())


def edited(name: str, **changes: Any) -> bytes:
    """The file with keys of its top level replaced."""
    return json.dumps({**json.loads((FILES / name).read_text()), **changes}).encode()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("react_native.json", {"schemaVersion": 4}),
        ("google_benchmark.json", {"context": {"json_schema_version": 2}}),
    ],
)
def test_a_newer_file_is_refused_by_its_version(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="use a newer phonebench"):
        imported(name, edited(name, **changes))


@pytest.mark.parametrize("bad", [None, True, "x", -1, 0, 1e400, [], {"a": 1}, 10**30])
def test_a_figure_that_is_none_is_unknown_and_not_zero(bad: object) -> None:
    summary = {"estimated_inference_time": bad, "first_load_time": bad, "all_inference_times": [bad, 1]}
    document = {"execution_summary": summary, "execution_detail": [{"name": bad, "execution_time": bad}]}
    found = only("profile.json", json.dumps(document).encode())
    assert (found.latency, found.load, found.memory, found.stated) == (None, None, None, ())
    assert found.operators is not None
    assert found.operators.operators[0].total_ns is None


def test_numbers_that_are_not_finite_are_unknown() -> None:
    data = (FILES / "google_benchmark.json").read_bytes().replace(b'"real_time": 7.1,', b'"real_time": NaN,')
    garden = imported("g.json", data).measurements[0]
    assert garden.latency is not None
    assert garden.latency.launches == 1


NAMES = (
    "<script>alert(1)</script>",
    "a\"b'c\\d",
    "🌱 garden",
    "حديقة",
    "../../etc/passwd",
    "a\x1b[31mred\x07",
    "a\u202eb",
    "x" * 5000,
    "line\nline",
    "",
    ".",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_becomes_one_line_without_control_characters(name: str) -> None:
    tests = json.loads((FILES / "pytest_benchmark.json").read_text())["benchmarks"][:1]
    data = edited("pytest_benchmark.json", benchmarks=[{**tests[0], "fullname": name, "name": name}])
    (cell,) = imported("p.json", data).plan.cells
    assert len(cell.model) <= 200
    assert cell.model
    assert cell.model.isprintable()
    assert "\u202e" not in cell.model


def test_a_format_that_is_named_must_fit() -> None:
    content = content_of("a.json", (FILES / "mlperf.json").read_bytes())
    assert importer_of(content, "mlperf").name == "mlperf"
    with pytest.raises(UsageError, match="is not the profile of a Qualcomm AI Hub job"):
        importer_of(content, "aihub-profile")
    with pytest.raises(UsageError, match="did you mean 'mlperf'"):
        importer_of(content, "mlpref")


ODD: tuple[Any, ...] = (None, True, -1, 1e308, 10**400, "", "NaN", [], {}, [None], {"a": None}, "\ud800")


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys and indices that lead to it."""
    yield place
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        yield from places_in(item, (*place, key))


def with_odd(document: Any, place: tuple[Any, ...], odd: object) -> Any:
    """A copy of the document with ``odd`` at a place of it."""
    copy = json.loads(json.dumps(document))
    if not place:
        return odd
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = odd
    return copy


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".json")])
def test_an_odd_value_in_any_place_ends_in_a_run_or_a_sentence(name: str) -> None:
    document = json.loads((FILES / name).read_text())
    for number, place in enumerate(places_in(document)):
        # Every place gets a few of the odd values, and every odd value comes up in many places.
        for odd in (ODD[number % len(ODD)], ODD[(number * 5 + 3) % len(ODD)]):
            with contextlib.suppress(UsageError):
                imported(name, json.dumps(with_odd(document, place, odd)).encode())


# ---- files of other versions, and of several runs


def google(*rows: dict[str, Any]) -> bytes:
    return json.dumps(
        {"context": {"host_name": "h"}, "benchmarks": [{"run_type": "iteration", **r} for r in rows]}
    ).encode()


def test_launches_of_a_few_nanoseconds_keep_their_fractions() -> None:
    times = (3.41, 3.43, 3.45)
    found = only("ns.json", google(*({"name": "f", "real_time": time, "time_unit": "ns"} for time in times)))
    assert [launch.median_ns for launch in found.launches] == list(times)


def test_rounds_shorter_than_a_nanosecond_leave_their_statistics() -> None:
    statistics = {"data": [2e-10, 3e-10, 4e-10], "median": 3e-10, "mean": 3e-10, "min": 2e-10, "rounds": 3}
    tests = [{"name": "t", "fullname": "t", "stats": statistics, "options": {}}]
    found = only("short.json", json.dumps({"machine_info": {}, "benchmarks": tests}).encode())
    assert found.latency is not None
    assert found.latency.median_ns == pytest.approx(0.3)
    assert found.latency.min_ns == pytest.approx(0.2)


@pytest.mark.parametrize("unit", ["min", "", None])
def test_a_time_in_a_unit_that_nobody_knows_is_unknown(unit: str | None) -> None:
    found = only("unit.json", google({"name": "f", "real_time": 5, "time_unit": unit}))
    assert (found.status, found.latency) == (CellStatus.FAILED, None)


def test_an_executor_runner_alone_says_the_mean_the_file_and_the_threads() -> None:
    # The lines of executor_runner.cpp before it printed one per call.
    found = only(
        "runner.log",
        b"I 00:00:00.001 executorch:executor_runner.cpp:291] Resetting threadpool with num threads = 3\n"
        b"I 00:00:00.002 executorch:executor_runner.cpp:352] Model file /data/local/tmp/pond.pte is loaded.\n"
        b"I 00:00:00.124 executorch:runner.cpp:383] Model executed successfully 10 time(s) in 123.400000 ms.\n",
    )
    assert found.cell.startswith("pond-")
    assert stated(found) == {StatedName.LATENCY: pytest.approx(12_340_000)}
    assert found.runtime is not None
    assert found.runtime.threads == 3


def test_each_summary_of_the_executorch_script_is_a_cell() -> None:
    # The script prints its mean with three digits after the point, cut off and without a zero before it.
    text = (
        "Model:      {}.pte\nWarmup:     1 iteration(s)\nBenchmark:  8 iteration(s) in {} ms\n"
        "Average:    {} ms/iteration\nThreads:    {}\n=====\nPushing files to device...\n"
    )
    data = text.format("pond", "0.364", ".045", 2) + text.format("shed", "64.000", "8.000", 4)
    pond, shed = imported("all.log", data.encode()).measurements
    assert [m.cell.partition("-")[0] for m in (pond, shed)] == ["pond", "shed"]
    assert [stated(m)[StatedName.LATENCY] for m in (pond, shed)] == [pytest.approx(45_500), 8_000_000]
    assert [m.runtime and m.runtime.threads for m in (pond, shed)] == [2, 4]


def test_each_run_of_an_executor_runner_is_a_cell() -> None:
    text = "Model file {}.pte is loaded.\nModel loaded in {} ms.\nIteration 1 of 2: {} ms\nIteration 2 of 2: {} ms\n"
    runs = imported("all.log", (text.format("pond", 2, 7, 9) + text.format("shed", 3, 17, 19)).encode()).measurements
    assert [m.latency and m.latency.median_ns for m in runs] == [8e6, 18e6]
    assert [m.load and m.load.first_ns for m in runs] == [2e6, 3e6]


def test_moments_of_a_language_model_are_in_the_units_that_the_line_names() -> None:
    text = (FILES / "executorch_llm.log").read_text()
    text = re.sub(r'("\w+_ms": ?\d+)', r"\g<1>000", text)
    micro = only("us.log", re.sub(r'("SCALING_FACTOR_UNITS_PER_SECOND": ?)1000\b', r"\g<1>1000000", text).encode())
    assert stated(micro) == stated(only("executorch_llm.log"))


def test_a_log_of_a_phone_has_prefixes_and_stray_bytes() -> None:
    lines = (FILES / "benchmark_model.txt").read_text().splitlines()
    prefixed = "".join(f"08-20 10:00:00.000  4321  4321 I tflite  : {line.removeprefix('INFO: ')}\n" for line in lines)
    found, clean = only("logcat.txt", prefixed.encode() + b"\xff\xfe\x80\n"), only("benchmark_model.txt")
    assert found.latency == clean.latency
    assert found.runtime is not None
    assert found.runtime.threads == 2


def test_a_run_that_breaks_the_rules_of_mlperf_says_so() -> None:
    document = json.loads((FILES / "mlperf.json").read_text())
    new, old = document["results"]
    new["performance_run"]["loadgen"]["is_result_valid"] = False
    old["performance_run"]["loadgen_info"]["validity"] = False
    for measurement in imported("mlperf.json", json.dumps(document).encode()).measurements:
        assert measurement.origin is not None
        assert measurement.origin.settings["valid"] == "no"
    assert all("valid" not in m.origin.settings for m in imported("mlperf.json").measurements if m.origin)


def test_what_androidx_could_not_find_is_unknown() -> None:
    document = json.loads((FILES / "androidx.json").read_text())
    build = document["context"]["build"]
    build |= {"brand": "unknown", "model": "One", "version": {"codename": "REL", "sdk": -1}}
    (device,) = imported("androidx.json", json.dumps(document).encode()).devices
    assert (device.model, device.os) == ("One", "unknown")


def test_fai_pep_counts_seconds_since_1970() -> None:
    document = json.loads((FILES / "fai_pep.json").read_text())
    document["meta"]["time"] = 1_700_000_000.5
    found = only("fai_pep.json", json.dumps(document).encode())
    assert datetime.fromisoformat(found.started_at) == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)


def test_numbers_in_settings_keep_their_digits() -> None:
    rows = [
        {**json.loads((FILES / "llama_bench.jsonl").read_text().splitlines()[0]), "poll": p}
        for p in (0.1234567, 0.1234568)
    ]
    run = imported("poll.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert [m.origin and m.origin.settings["poll"] for m in run.measurements] == ["0.1234567", "0.1234568"]


def test_a_packed_file_is_to_be_unpacked() -> None:
    with pytest.raises(UsageError, match=r"packed \(gzip\); unpack it first"):
        imported("mlperf.json", gzip.compress((FILES / "mlperf.json").read_bytes()))


def test_a_last_line_that_was_cut_off_is_told() -> None:
    data = (FILES / "leaderboard.jsonl").read_bytes()
    assert content_of("a.jsonl", data + b'{"model": "po').cut_off
    assert not content_of("a.jsonl", data).cut_off
