"""What goes out is read back by the program it is for, where that is at hand, and by our own importer."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.exchange.assemble import Source, assemble
from harness.exchange.content import content_of
from harness.exchange.crc32c import crc32c
from harness.exchange.exporters.registry import EXPORTERS
from harness.exchange.importers.registry import importer_of
from harness.exchange.outgoing import Files, Outgoing, outgoing_of
from harness.plan.cells import Cell, Lengths
from harness.records.generation import GenerationFigure, GenerationSummary
from harness.records.measurement import CellStatus, Measurement
from harness.records.operators import Operator, OperatorProfile
from harness.records.origin import StatedName
from harness.store.records import RunRecord
from harness.workflows.export_results import of_its_formats
from tests.report.builders import FACTS, host_run, make_run, phone_run, sample_launches, with_head

FILES = Path(__file__).parent / "files"
RUN = phone_run()
CELLS = {cell.key: cell for cell in RUN.head.plan.cells}


@cache
def calls_of(cell: Cell, launches: int) -> list[list[int]]:
    """The calls that the figures of the run were computed from; they take long to make up."""
    return sample_launches(cell, launches=launches)


def samples(found: Measurement) -> dict[int, list[int]]:
    return dict(enumerate(calls_of(CELLS[found.cell], len(found.launches))))


def no_samples(_: Measurement) -> dict[int, list[int]]:
    return {}


def out(run: RunRecord = RUN, *, calls: bool = True, cells: str = "") -> Outgoing:
    return outgoing_of(run, samples if calls else no_samples, cells=cells)


def fitting(name: str, run: RunRecord = RUN, *, calls: bool = True) -> Outgoing:
    """The cells of the run that the exporter is about."""
    return of_its_formats(out(run, calls=calls), EXPORTERS[name])


def written(name: str, outgoing: Outgoing | None = None) -> Files:
    return EXPORTERS[name].write(outgoing or out())


def the_json(name: str, outgoing: Outgoing | None = None) -> Any:
    """The JSON of an export that is one file."""
    (data,) = written(name, outgoing).values()
    return json.loads(data)


FIRST = RUN.measurements[0]


# ---- schemas, written by hand from what the programs publish


class Bound(msgspec.Struct, forbid_unknown_fields=True):
    """A metric of Bencher's schema."""

    value: float
    lower_value: float | None = None
    upper_value: float | None = None


def test_bencher_metrics_fit_its_schema_and_carry_the_interval() -> None:
    (data,) = written("bencher").values()
    found = msgspec.json.decode(data, type=dict[str, dict[str, Bound]], strict=True)
    latency = FIRST.latency
    assert latency is not None
    assert found[FIRST.cell]["latency"] == Bound(latency.median_ns, latency.low_ns, latency.high_ns)
    assert found[FIRST.cell]["file-size"].value == 79_000
    assert RUN.head.plan.cells[14].key not in found


class Share(msgspec.Struct, forbid_unknown_fields=True):
    normalized: float
    formatted: str


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    value: float


class DataSet(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: str
    data_path: str
    groundtruth_path: str


class Loadgen(msgspec.Struct, forbid_unknown_fields=True):
    query_count: int
    latency_mean: float
    latency90: float
    latency_first_token_mean: float
    latency_first_token90: float
    token_throughput: float
    is_min_duration_met: bool
    is_min_query_met: bool
    is_early_stopping_met: bool
    is_token_based: bool
    is_result_valid: bool


class Performed(msgspec.Struct, forbid_unknown_fields=True):
    throughput: Rate | None
    accuracy: Share | None
    accuracy2: Share | None
    dataset: DataSet
    measured_duration: float
    measured_samples: int
    start_datetime: datetime
    loadgen: Loadgen | None


class Setting(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str
    value: str
    value_name: str


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    accelerator_code: str
    accelerator_desc: str
    framework: str
    delegate: str
    model_path: str
    batch_size: int
    extra_settings: list[Setting]


class Backend(msgspec.Struct, forbid_unknown_fields=True):
    filename: str
    vendor_name: str
    backend_name: str
    accelerator_name: str


class Result(msgspec.Struct, forbid_unknown_fields=True):
    benchmark_id: str
    benchmark_name: str
    loadgen_scenario: str
    backend_settings: Settings
    backend_info: Backend
    performance_run: Performed | None
    accuracy_run: Performed | None
    min_duration: float
    min_samples: int


class Meta(msgspec.Struct, forbid_unknown_fields=True):
    uuid: str
    creation_date: datetime
    upload_date: datetime | None
    run_mode: str | None


class Android(msgspec.Struct, forbid_unknown_fields=True):
    os_version: str
    manufacturer: str | None
    model_code: str | None
    model_name: str | None
    board_code: str | None
    proc_cpuinfo_soc_name: str
    props: list[dict[str, str]]


class Places(msgspec.Struct, forbid_unknown_fields=True):
    android: Android | None
    ios: dict[str, str | None] | None
    windows: dict[str, str] | None


class Environment(msgspec.Struct, forbid_unknown_fields=True):
    platform: str
    value: Places


class Build(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    build_number: str
    build_date: datetime
    official_release_flag: bool
    dev_test_flag: bool
    backend_list: list[str]
    git_branch: str
    git_commit: str
    git_dirty_flag: bool


class ExtendedResult(msgspec.Struct, forbid_unknown_fields=True):
    """A result file of the MLPerf Mobile app, by the classes that read it (flutter/lib/data, July 2026)."""

    meta: Meta
    results: list[Result]
    environment_info: Environment
    build_info: Build


@pytest.mark.parametrize("run", [phone_run(), host_run()], ids=["phone", "host"])
def test_mlperf_results_fit_the_classes_of_the_app(run: RunRecord) -> None:
    CELLS.update({cell.key: cell for cell in run.head.plan.cells})
    (data,) = written("mlperf", out(run)).values()
    found = msgspec.json.decode(data, type=ExtendedResult, strict=True)
    assert len(found.results) == len(out(run).ok)
    first = found.results[0]
    assert first.accuracy_run is not None
    assert first.accuracy_run.accuracy == Share(356 / 360, "98.89%")
    assert first.performance_run is not None
    assert first.performance_run.loadgen is not None
    # Not measured by the rules of MLPerf, so it never claims to be valid.
    assert not first.performance_run.loadgen.is_result_valid


# ---- the programs themselves


def test_prometheus_reads_the_open_metrics_in_base_units() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    (data,) = written("openmetrics").values()
    families = {family.name: family for family in text_string_to_metric_families(data.decode())}  # type: ignore[no-untyped-call]
    latency = families["phonebench_latency_seconds"]
    assert latency.unit == "seconds"
    assert FIRST.latency is not None
    assert latency.samples[0].value == pytest.approx(FIRST.latency.median_ns / 1e9, rel=1e-15)
    assert latency.samples[0].labels["cell"] == FIRST.cell
    states = [sample.value for sample in families["phonebench_cell_ok"].samples]
    assert (len(states), sum(states)) == (16, 14)


def test_a_junit_reader_finds_every_cell_once() -> None:
    from junitparser import Error, JUnitXml, Skipped

    (data,) = written("junit").values()
    (suite,) = JUnitXml.fromstring(data.decode())
    cases: list[Any] = list(suite)
    assert (len(cases), suite.errors, suite.skipped) == (16, 1, 1)
    assert [type(result) for case in cases for result in case.result] == [Error, Skipped]
    assert cases[14].result[0].message == "the runner was killed by signal 11"
    # A service shows the name alone, so a number in it must say what it counts.
    assert all(case.name.endswith(" 1 thread") for case in cases)


def test_tensorboard_shows_scalars_a_histogram_the_recipe_and_hparams(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams import metadata

    for name, data in written("tensorboard", out(cells="fp32-tflite")).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(str(tmp_path))
    runs.Reload()
    (folder,) = (name for name in runs.Runs() if name != ".")
    cell = runs.GetAccumulator(folder)
    (found,) = out(cells="fp32-tflite").ok
    assert found.latency is not None
    assert cell.Scalars("latency (ns)")[0].value == pytest.approx(found.latency.median_ns, rel=1e-6)
    histogram = cell.Histograms("calls (ns)")[0].histogram_value
    assert (histogram.num, sum(histogram.bucket)) == (3500, 3500)
    assert b'"precision":"fp32"' in cell.Tensors("recipe")[0].tensor_proto.string_val[0]
    start = cell.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    parameters = metadata.parse_session_start_info_plugin_data(start).hparams
    assert parameters["format"].string_value == "tflite"
    whole = runs.GetAccumulator(".").SummaryMetadata("_hparams_/experiment").plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(whole)
    assert "latency (ns)" in [info.name.tag for info in experiment.metric_infos]
    assert [list(info.domain_discrete.values)[0].string_value for info in experiment.hparam_infos][:2] == [
        "digits",
        "fp32",
    ]


def test_the_checksum_is_that_of_the_standard() -> None:
    # RFC 3720, B.4: 32 bytes of zeros, and the numbers 0 to 31.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_pyarrow_reads_the_tables_with_one_schema_whatever_they_hold() -> None:
    from pyarrow import parquet

    full = {name: parquet.read_table(io.BytesIO(data)) for name, data in written("parquet").items()}
    lean = written("parquet", out(make_run(RUN.head.plan.cells[:1], ()), calls=False))
    cells = full["cells.parquet"].to_pylist()
    assert FIRST.latency is not None
    assert (len(cells), cells[0]["latency_median_ns"], cells[0]["threads"]) == (16, FIRST.latency.median_ns, 1)
    assert (full["launches.parquet"].num_rows, full["samples.parquet"].num_rows) == (14 * 5, 14 * 5 * 700)
    for name, data in lean.items():
        assert parquet.read_table(io.BytesIO(data)).schema == full[name].schema


def test_protobuf_reads_both_forms_of_the_litert_result() -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_litert_schema(descriptor_pb2))
    result = message_factory.GetMessageClass(pool.FindMessageTypeByName("tflite.tools.benchmark.BenchmarkResult"))
    texts, binaries = written("litert-text"), written("litert")
    assert [name.removesuffix(".pb") for name in binaries] == [name.removesuffix(".textproto") for name in texts]
    for text, binary in zip(texts.values(), binaries.values(), strict=True):
        message = result.FromString(binary)
        assert message == text_format.Parse(text.decode(), result())
    assert message.latency_metrics.init_ms == pytest.approx(1.3)
    assert message.memory_metrics.init_footprint_kb > 500
    assert message.misc_metrics.num_runs == 3500


def _litert_schema(descriptors: Any) -> Any:
    """The published message, by its names and numbers."""
    kinds = {"f": descriptors.FieldDescriptorProto.TYPE_FLOAT, "q": descriptors.FieldDescriptorProto.TYPE_INT64}
    times = "avg_ms min_ms max_ms stddev_ms median_ms p5_ms p95_ms init_ms first_inference_ms average_warm_up_ms"
    parts = {
        "LatencyMetrics": [(name, "f") for name in times.split()],
        "MemoryMetrics": [("init_footprint_kb", "q"), ("overall_footprint_kb", "q"), ("peak_mem_mb", "f")],
        "MiscMetrics": [("model_size_mb", "f"), ("num_runs", "q"), ("num_warmup_runs", "q"), ("model_throughput", "f")],
    }
    file = descriptors.FileDescriptorProto(name="r.proto", package="tflite.tools.benchmark", syntax="proto2")
    for part, fields in parts.items():
        message = file.message_type.add(name=part)
        for number, (name, kind) in enumerate(fields, 1):
            message.field.add(name=name, number=number, type=kinds[kind], label=1)
    result = file.message_type.add(name="BenchmarkResult")
    result.field.add(name="name", number=1, type=descriptors.FieldDescriptorProto.TYPE_STRING, label=1)
    for number, part in enumerate(parts, 2):
        name = part.removesuffix("Metrics").lower() + "_metrics"
        type_name = f".tflite.tools.benchmark.{part}"
        result.field.add(name=name, number=number, type=11, type_name=type_name, label=1)
    return file


def test_the_mlflow_folder_has_the_layout_of_its_file_store() -> None:
    files = written("mlflow")
    (experiment,) = {name.partition("/")[0] for name in files}
    runs = {name.split("/")[1] for name in files if name.count("/") > 1}
    # Every cell that was tried; the one that has not run yet is missing.
    assert len(runs) == 15
    for run in runs:
        folder = f"{experiment}/{run}/"
        parts = {name.removeprefix(folder).partition("/")[0] for name in files if name.startswith(folder)}
        assert parts == {"meta.yaml", "metrics", "params", "tags", "artifacts"}
        facts = dict(line.split(": ", 1) for line in files[f"{folder}meta.yaml"].decode().splitlines())
        assert json.loads(facts["run_id"]) == run
        assert json.loads(facts["experiment_id"]) == experiment
    calls = next(data for name, data in files.items() if name.endswith("metrics/call_ms")).decode().splitlines()
    assert len(calls) == 3500
    at, _, step = calls[-1].split()
    assert (int(at), int(step)) == (1000 * int(datetime(2026, 11, 23, 1, 40, 1, tzinfo=UTC).timestamp()), 3499)


# ---- the rest, by their published fields


def test_github_action_entries_have_the_interval_in_their_range() -> None:
    files = {name: json.loads(data) for name, data in written("github-action-benchmark").items()}
    smaller = files["smaller-is-better.json"]
    assert {frozenset(entry) for entry in smaller} <= {
        frozenset({"name", "unit", "value", "extra"}), frozenset({"name", "unit", "value", "extra", "range"})
    }  # fmt: skip
    latency = smaller[0]
    assert FIRST.latency is not None
    assert (latency["value"], latency["unit"]) == (FIRST.latency.median_ns, "ns")
    low, _, high = latency["range"].split()
    assert float(low) == pytest.approx(FIRST.latency.low_ns, rel=1e-5)
    assert float(high) == pytest.approx(FIRST.latency.high_ns, rel=1e-5)
    accuracy = files["bigger-is-better.json"][0]
    assert (accuracy["unit"], round(accuracy["value"], 2)) == ("%", 98.89)
    assert len({entry["name"] for entry in smaller}) == len(smaller)


def test_otava_has_a_row_per_run_and_a_column_per_cell_and_metric() -> None:
    (data,) = written("otava").values()
    (row,) = csv.DictReader(io.StringIO(data.decode()))
    assert (row["time"], row["commit"][:8]) == ("2026-11-23T01:40:01Z", "01234567")
    assert FIRST.latency is not None
    assert float(row[f"{FIRST.cell}.latency"]) == FIRST.latency.median_ns


def test_the_pytorch_database_has_launches_as_values_and_failures_as_records() -> None:
    records = the_json("pytorch-v3")
    first = records[0]
    assert first["metric"]["name"] == "latency(ms)"
    assert first["metric"]["benchmark_values"] == [launch.median_ns / 1e6 for launch in FIRST.launches]
    assert first["model"] == {"name": "digits", "type": "custom layer", "backend": "xnnpack", "origins": []}
    assert first["runners"][0]["type"] == "Pixel 8"
    failure = records[-1]["metric"]
    assert (failure["name"], failure["extra_info"]["reason"]) == (
        "FAILURE_REPORT",
        "the runner was killed by signal 11",
    )


def test_an_optimum_report_has_seconds_and_every_call() -> None:
    report = json.loads(next(iter(written("optimum-benchmark").values())))["report"]
    latency = report["forward"]["latency"]
    assert (latency["unit"], latency["count"], len(latency["values"])) == ("s", 3500, 3500)
    assert latency["p50"] == pytest.approx(sorted(latency["values"])[1750], rel=1e-3)
    assert report["load_model"]["latency"]["mean"] == pytest.approx(0.0013)
    assert report["forward"]["throughput"]["value"] == pytest.approx(1 / latency["mean"])
    assert set(report["forward"]) == {"memory", "latency", "throughput", "energy", "efficiency"}


# ---- out and in again


def again(name: str, outgoing: Outgoing | None = None) -> dict[str, Measurement]:
    """What our importer makes of an export, by the order of the cells."""
    sources = []
    for file, data in written(name, outgoing).items():
        content = content_of(file, data)
        importer = importer_of(content)
        sources.append(Source(content=content, kind=importer.name, imported=importer.read(content)))
    return {m.cell: m for m in assemble(sources, lambda _data, _suffix: "0" * 64).measurements}


EXACT = ("litert-leaderboard", "fai-pep", "aihub-profile", "androidx")


@pytest.mark.parametrize("name", ["litert-text", "litert", *EXACT, "react-native-executorch"])
@pytest.mark.parametrize("calls", [True, False], ids=["with calls", "summary only"])
def test_what_comes_in_again_is_what_went_out(name: str, calls: bool) -> None:
    outgoing = fitting(name, calls=calls)
    found = [m for m in again(name, outgoing).values() if m.status is CellStatus.OK]
    sent = [view.measurement for view in outgoing.ok if view.measurement]
    if name == "aihub-profile" and not calls:
        # Without calls the profile has an estimate and no more.
        estimates = [m.latency.median_ns for m in sent if m.latency]
        assert [m.stated[0].value for m in found] == pytest.approx(estimates)
        return
    assert len(found) == len(sent)
    # A single precision number has seven digits. The median of all calls is not quite that of a typical launch.
    tolerance = 1e-6 if name in ("litert-text", "litert", "litert-leaderboard") or not calls else 0.03
    for before, after in zip(sent, found, strict=True):
        assert before.latency is not None
        assert after.latency is not None
        assert after.latency.median_ns == pytest.approx(before.latency.median_ns, rel=tolerance)


def talking(prompt_tokens: int) -> tuple[Cell, Measurement]:
    """A cell of a language model with that length of prompt, whose two launches had 2 and 4 ms to the first token."""
    first = RUN.head.plan.cells[0]
    cell = replace(
        first, key=f"{first.key}-p{prompt_tokens}", lengths=Lengths(prompt_tokens=prompt_tokens, new_tokens=64)
    )

    def figure(value: float, *launches: float) -> GenerationFigure:
        return GenerationFigure(value=value, low=None, high=None, launches=launches, definition="as defined")

    generation = GenerationSummary(
        prompt_tokens=prompt_tokens,
        new_tokens=64,
        tokens=64,
        ttft=figure(3e6, 2e6, 4e6),
        prefill=figure(750.0, 1000.0, 500.0),
        decode=figure(21.5, 21.0, 22.0),
    )
    return cell, replace(FIRST, cell=cell.key, generation=generation)


def test_a_language_model_goes_to_the_board_as_its_own_rows_have_it() -> None:
    talked = (talking(128), talking(1024))
    head = replace(RUN.head, plan=replace(RUN.head.plan, cells=tuple(cell for cell, _ in talked)))
    run = replace(RUN, head=head, measurements=tuple(measured for _, measured in talked))
    (data,) = written("litert-leaderboard", out(run, calls=False)).values()
    rows = [json.loads(line) for line in data.splitlines()]
    assert [row["row_id"].rpartition("/")[2] for row in rows] == ["p128-d64-n192", "p1024-d64-n1088"]
    theirs = json.loads((Path(__file__).parent / "files" / "leaderboard.jsonl").read_text().splitlines()[1])
    assert rows[1]["task"] == theirs["task"]
    for part in ("conditions", "metrics"):
        assert rows[1][part].keys() == theirs[part].keys()
    assert "latency_ms" not in rows[1]
    rates = {key: rows[1]["metrics"][key] for key in ("prefill_tok_s", "decode_tok_s", "ttft_s")}
    assert rates == {"prefill_tok_s": 750, "decode_tok_s": 21.5, "ttft_s": 0.003}
    found = list(again("litert-leaderboard", out(run, calls=False)).values())
    for measurement in found:
        stated = {figure.name: (figure.value, figure.launches) for figure in measurement.stated}
        assert stated == {
            StatedName.PREFILL: (750, (1000, 500)),
            StatedName.DECODE: (21.5, (21, 22)),
            StatedName.FIRST_TOKEN: (3e6, (2e6, 4e6)),
        }


def test_mlperf_gives_back_mean_p90_and_accuracy() -> None:
    found = next(iter(again("mlperf").values()))
    stated = {figure.name: figure.value for figure in found.stated}
    assert FIRST.latency is not None
    assert stated[StatedName.LATENCY] == pytest.approx(FIRST.latency.mean_ns)
    assert stated[StatedName.P90] == pytest.approx(FIRST.latency.p90_mlperf_ns)
    assert stated[StatedName.ACCURACY] == pytest.approx(356 / 360)


def test_load_memory_and_size_survive_where_there_is_a_place() -> None:
    found = next(iter(again("react-native-executorch", fitting("react-native-executorch")).values()))
    assert found.load is not None
    assert found.load.first_ns == 1_300_000
    assert FIRST.memory is not None
    assert found.memory is not None
    assert found.memory.held_bytes == pytest.approx(FIRST.memory.held_bytes)
    assert found.memory.baseline_bytes == pytest.approx(FIRST.memory.baseline_bytes)
    assert found.artifact is not None
    assert found.artifact.bytes == 79_000
    assert found.latency is not None
    assert found.latency.launches == 5


def test_the_estimate_of_a_profile_survives_import_and_export() -> None:
    content = content_of("job.json", b'{"execution_summary": {"estimated_inference_time": 1234, "first_load_time": 9}}')
    importer = importer_of(content)
    source = Source(content=content, kind=importer.name, imported=importer.read(content))
    imported = assemble([source], lambda _data, _suffix: "0" * 64)
    run = with_head(make_run(imported.plan.cells, imported.measurements), devices=imported.devices)
    summary = the_json("aihub-profile", out(run, calls=False))["execution_summary"]
    assert summary == {"estimated_inference_time": 1234, "first_load_time": 9}


def test_a_report_of_an_iphone_keeps_its_platform_and_memory_through_import_and_export() -> None:
    report = json.loads((FILES / "react_native.json").read_text())
    report |= {"platform": "ios", "device": {"model": "iPhone 15", "osVersion": "18.1"}}
    content = content_of("ios.json", json.dumps(report).encode())
    importer = importer_of(content)
    source = Source(content=content, kind=importer.name, imported=importer.read(content))
    first = assemble([source], lambda _data, _suffix: "0" * 64)
    run = with_head(make_run(first.plan.cells, first.measurements), devices=first.devices)
    (sent,) = written("react-native-executorch", out(run, calls=False)).values()
    assert json.loads(sent)["platform"] == "ios"
    assert json.loads(sent)["device"]["osVersion"] == "18.1"


def with_operators(found: Measurement) -> Measurement:
    operators = (
        Operator(name="conv", kind="Conv", calls=10, total_ns=500_000, ran_on="xnnpack", delegated=True),
        Operator(name="softmax", kind="Softmax", calls=10, total_ns=100_000, ran_on="cpu", delegated=False),
    )
    return replace(found, operators=OperatorProfile(source="test", operators=operators, calls=10))


@pytest.mark.parametrize("name", ["fai-pep", "aihub-profile"])
def test_operators_come_in_again_with_their_mean_times(name: str) -> None:
    run = make_run(RUN.head.plan.cells[:1], (with_operators(FIRST),))
    (found,) = again(name, out(run)).values()
    assert found.operators is not None
    assert [(o.name, o.mean_ns) for o in found.operators.operators] == [("conv", 50_000), ("softmax", 10_000)]


# ---- runs that lack something


def lean(found: Measurement) -> Measurement:
    """A cell of which only the latency of one launch is known."""
    bare = Measurement(cell=found.cell, status=CellStatus.OK, started_at="", ended_at="")
    return replace(bare, launches=found.launches[:1], latency=found.latency)


ODD_NAMES = ('<b>"x"</b>', "a,b;c'd", "🌱", "حديقة", "../../up", "back\\slash", "new\nline", "\x00\x1b[31m")


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_run_with_one_lean_cell_can_be_exported(name: str) -> None:
    run = with_head(make_run(RUN.head.plan.cells[:1], (lean(FIRST),)), models=(), devices=(), commit=None)
    files = written(name, out(run, calls=False))
    assert files
    assert all(b"NaN" not in data and b"None" not in data for data in files.values() if name != "parquet")


@pytest.mark.parametrize("name", [name for name, row in EXPORTERS.items() if row.all_cells])
def test_a_run_of_failures_can_be_exported_where_there_is_a_place(name: str) -> None:
    run = make_run(RUN.head.plan.cells[14:15], (RUN.measurements[14],))
    assert any(
        b"failed" in data or b"error" in data or name in ("openmetrics", "mlflow")
        for data in written(name, out(run)).values()
    )


@pytest.mark.parametrize("odd", ODD_NAMES)
@pytest.mark.parametrize("name", EXPORTERS)
def test_names_of_any_kind_go_out_whole_and_never_out_of_the_folder(name: str, odd: str) -> None:
    cell = replace(RUN.head.plan.cells[0], key=f"{odd}-key", model=odd, variant=odd, device=odd)
    CELLS[cell.key] = replace(RUN.head.plan.cells[0])
    run = make_run((cell,), (replace(FIRST, cell=cell.key),), facts=replace(FACTS, name=odd))
    for path, data in written(name, out(run, calls=False)).items():
        assert ".." not in path
        assert "\\" not in path
        assert path.isascii()
        if path.endswith(".json"):
            json.loads(data)
        if path.endswith(".xml"):
            ElementTree.fromstring(data)


def test_every_row_says_what_it_loses_and_where_figures_stand() -> None:
    assert all(row.loses and row.fields and row.title for row in EXPORTERS.values())
    assert len(EXPORTERS) == 18
