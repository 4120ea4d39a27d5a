"""The charts on the page of imported results show what the files say, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.report.charts.charts import Chart, charts
from harness.report.evidence import steady_calls, stored_evidence
from harness.store.reader import load_run
from tests.cli.calls import call

FILES = Path(__file__).parent / "files"


def charts_of(results: Path, *files: Path) -> dict[str, Chart]:
    done = call("import", *map(str, files), "--results", str(results))
    assert done.code == 0, done.err
    run = load_run(results, "latest")
    evidence = stored_evidence(run)
    return {chart.name: chart for chart in charts(run, steady_calls(evidence), evidence)}


def titles(chart: Chart) -> list[str]:
    return re.findall(r"<title>([^<]*)</title>", chart.svg)


def test_medians_are_dots_with_what_is_known_of_their_calls(tmp_path: Path) -> None:
    drawn = charts_of(tmp_path, FILES / "benchmark_model.txt")
    assert titles(drawn["latency"]) == ["as-is tflite: 7.00 ms"]
    assert "n = 1 launch of 140 calls" in drawn["latency"].svg
    assert "The files say no spread." in drawn["latency"].caption
    # 31 of its 33 nodes ran on XNNPACK, and its size is given; its calls are not.
    assert set(drawn) >= {"latency", "memory", "size", "delegate"}
    assert "distribution" not in drawn


def test_launches_give_an_interval(tmp_path: Path) -> None:
    latency = charts_of(tmp_path, FILES / "react_native.json")["latency"]
    assert "n = 2 launches of 20 calls" in latency.svg
    assert "Lines are the 95 % interval over launches." in latency.caption
    # The case that failed and the one that was skipped have no row.
    assert [title.split(":")[0] for title in titles(latency)] == ["INT8 method forward pte", "INT8 pipeline pte"]


def test_each_program_has_charts_of_its_own(tmp_path: Path) -> None:
    drawn = charts_of(tmp_path, FILES / "leaderboard.jsonl")
    assert {chart.about for chart in drawn.values()} == {"litert benchmark", "litert-lm benchmark"}
    assert titles(drawn["latency-1"]) == ["garden.tflite tflite: 7.00 ms"]
    # The two iterations of the file after its warm-up, and their median.
    assert titles(drawn["decode-speed-2"]) == ["talk.litertlm other: 21.5, launches 21.0, 22.0"]
    assert "Higher is better" in drawn["decode-speed-2"].caption


def test_a_mean_is_not_drawn_as_a_latency(tmp_path: Path) -> None:
    drawn = charts_of(tmp_path, FILES / "mlperf.json")
    assert "latency" not in drawn
    assert "stated latency (mean of the queries), ms; n = 1 value" in drawn["stated-latency"].svg


def test_operators_are_those_of_the_file(tmp_path: Path) -> None:
    operators = charts_of(tmp_path, FILES / "ort_profile.json")["operators"]
    assert operators.caption == "From onnxruntime profile in ort_profile.json."
    assert [title.split(",")[0] for title in titles(operators)] == [
        "1  Conv conv_0: Conv conv_0: 350 µs",
        "2  Softmax softmax_1: Softmax softmax_1: 50.0 µs",
    ]


def test_many_cells_are_several_charts(tmp_path: Path) -> None:
    file = tmp_path / "many.json"
    row = {"run_type": "iteration", "iterations": 10, "real_time": 5.0, "cpu_time": 5.0, "time_unit": "ms"}
    rows = [{"name": f"net{number}", "run_name": f"net{number}", **row} for number in range(90)]
    file.write_text(json.dumps({"context": {"host_name": "h"}, "benchmarks": rows}))
    drawn = charts_of(tmp_path / "r", file)
    latencies = [chart for name, chart in drawn.items() if name.startswith(("latency", "stated-latency"))]
    assert [len(titles(chart)) for chart in latencies] == [40, 40, 10]
    assert [chart.folded for chart in latencies] == [False, True, True]
    assert "cells 41 to 80 of 90" in latencies[1].heading


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_every_import_has_a_chart(file: Path, tmp_path: Path) -> None:
    if file.suffix == ".yaml":
        pytest.importorskip("yaml")
    assert charts_of(tmp_path, file)
