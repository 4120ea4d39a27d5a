"""What a source states of its calls is in the export wherever the format has a field for it, as it was stated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import call

FILES = Path(__file__).parent / "files"


def again(source: Path, name: str, folder: Path) -> str:
    """Import ``source``, export it as ``name`` and return the one file that comes out."""
    done = call("import", str(source), "--results", str(folder / "results"))
    assert done.code == 0, done.err
    done = call("export", "--to", name, "-o", str(folder / "out"), "--results", str(folder / "results"))
    assert done.code == 0, done.err
    out = folder / "out"
    (file,) = [out] if out.is_file() else out.iterdir()
    return file.read_text()


def json_again(document: object, name: str, folder: Path) -> Any:
    source = folder / "source.json"
    source.write_text(json.dumps(document))
    return json.loads(again(source, name, folder))


def test_the_extremes_beside_a_mean_stay(tmp_path: Path) -> None:
    text = (FILES / "benchmark_model.txt").read_text()
    timings = next(line for line in text.splitlines() if "count=140" in line)
    source = tmp_path / "old.txt"
    old = "count=140 first=9000 curr=7050 min=6900 max=9000 avg=7100 std=200"
    source.write_text(text.replace(timings[timings.index("count=") :], old))
    lines = again(source, "litert-text", tmp_path).split("\n")
    told = dict(line.strip().split(": ") for line in lines if ": " in line)
    wanted = {"avg_ms": 7.1, "min_ms": 6.9, "max_ms": 9.0, "stddev_ms": 0.2, "num_runs": 140}
    assert {key: float(told[key]) for key in wanted} == pytest.approx(wanted, rel=1e-6)
    assert "median_ms" not in told


def test_a_report_without_single_calls_keeps_its_statistics(tmp_path: Path) -> None:
    report = json.loads((FILES / "react_native.json").read_text())
    case = report["cases"][0]
    case["pipeline"] = None
    stats = dict(case["native"]["methods"][0]["stats"])
    written = json_again({**report, "cases": [case], "skipped": []}, "react-native-executorch", tmp_path)
    kept = written["cases"][0]["native"]["methods"][0]["stats"]
    # The file states the distance between the quartiles and not where they are.
    assert kept == pytest.approx({key: value for key, value in stats.items() if key != "iqr"})


def test_statistics_of_another_format_find_their_fields(tmp_path: Path) -> None:
    document = json.loads((FILES / "pytest_benchmark.json").read_text())
    stats = {"min": 0.001, "max": 0.009, "mean": 0.004, "stddev": 0.002, "median": 0.003, "q1": 0.002, "q3": 0.005}
    document["benchmarks"] = [{**document["benchmarks"][0], "stats": {**stats, "rounds": 9, "iterations": 1}}]
    (tmp_path / "o").mkdir()
    latency = json_again(document, "optimum-benchmark", tmp_path / "o")["report"]["forward"]["latency"]
    assert (latency["mean"], latency["stdev"], latency["stdev_"], latency["count"]) == pytest.approx(
        (0.004, 0.002, 50.0, 9)
    )
    (tmp_path / "f").mkdir()
    summary = json_again(document, "fai-pep", tmp_path / "f")["data"]["NET latency"]["summary"]
    wanted = {"mean": 4000, "p0": 1000, "p50": 3000, "p100": 9000, "stdev": 2000, "cv": 0.5}
    assert summary == pytest.approx(wanted)
    (tmp_path / "a").mkdir()
    (test,) = json_again(document, "androidx", tmp_path / "a")["benchmarks"]
    time = test["metrics"]["timeNs"]
    assert (time["maximum"], time["coefficientOfVariation"]) == pytest.approx((9e6, 0.5))


def test_a_result_of_mlperf_keeps_what_the_app_says(tmp_path: Path) -> None:
    (first, *_) = json.loads((FILES / "mlperf.json").read_text())["results"]
    written = json.loads(again(FILES / "mlperf.json", "mlperf", tmp_path))["results"][0]
    for key in ("latency_mean", "latency90"):
        assert written["performance_run"]["loadgen"][key] == first["performance_run"]["loadgen"][key]
    assert written["performance_run"]["throughput"]["value"] == first["performance_run"]["throughput"]["value"]
    normalized = written["accuracy_run"]["accuracy"]["normalized"]
    assert normalized == first["accuracy_run"]["accuracy"]["normalized"]


def test_an_estimate_is_not_a_mean(tmp_path: Path) -> None:
    row = json.loads(again(FILES / "aihub_profile.json", "fai-pep", tmp_path))
    document = json.loads((FILES / "aihub_profile.json").read_text())
    document["execution_summary"].pop("all_inference_times", None)
    (tmp_path / "without").mkdir()
    assert "NET latency" in row["data"]
    assert "NET latency" not in json_again(document, "fai-pep", tmp_path / "without")["data"]


def test_the_speeds_of_a_language_model_stay_on_the_board(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (FILES / "leaderboard.jsonl").read_text().splitlines()]
    source = next(row for row in rows if "latency_ms" not in row)
    written = [
        json.loads(line) for line in again(FILES / "leaderboard.jsonl", "litert-leaderboard", tmp_path).splitlines()
    ]
    # A row of the board has either the times of a network or the speeds of a language model.
    row = next(row for row in written if "latency_ms" not in row)
    told = ("prefill_tok_s", "decode_tok_s", "ttft_s")
    assert {key: row["metrics"][key] for key in told} == pytest.approx({key: source["metrics"][key] for key in told})
    warm = source["conditions"]["warmup_iterations"]
    kept = [{key: one[key] for key in told if key in one} for one in source["iterations"][warm:]]
    assert [pytest.approx(one) for one in kept] == row["iterations"]
    assert row["conditions"]["prefill_tokens"] == source["conditions"]["prefill_tokens"]
