"""A stored run as frames, compared with its files as the standard library reads them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import StoreError, UsageError
from harness.workflows.import_results import import_results

STORED = Path(__file__).parents[1] / "golden" / "results"
EXCHANGED = Path(__file__).parents[1] / "exchange" / "files"


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (STORED / "finished" / "measurements.jsonl").read_text().splitlines()]


def reply(sha256: str) -> Any:
    """A reply of the stored run, without any code of ours."""
    return json.loads(gzip.decompress((STORED / "finished" / "replies" / f"{sha256}.json.gz").read_bytes()))


def finished() -> harness.Run:
    return harness.load("finished", results=STORED)


def test_the_cells_are_those_of_the_csv(tmp_path: Path) -> None:
    shutil.copytree(STORED / "finished", tmp_path / "finished")
    run = harness.load(tmp_path / "finished")
    table = run.write_report().with_name("table.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert list(run.cells.columns) == list(rows[0])
    assert list(run.cells["key"]) == [row["key"] for row in rows]
    medians = run.cells.set_index("key")["latency_median_ns"]
    for row in rows:
        assert (str(medians[row["key"]]) == row["latency_median_ns"]) or (row["latency_median_ns"] == "")
    assert run.cells["status"].value_counts().to_dict() == {"ok": 3, "unsupported": 3}


def test_every_launch_has_a_row(lines: list[dict[str, Any]]) -> None:
    launches = finished().launches
    stored = [(line["cell"], launch["index"], launch["median_ns"]) for line in lines for launch in line["launches"]]
    assert list(launches[["key", "launch", "median_ns"]].itertuples(index=False, name=None)) == stored
    assert (launches["gate"] == [launch["gate"]["outcome"] for line in lines for launch in line["launches"]]).all()


def test_every_timed_call_has_a_row(lines: list[dict[str, Any]]) -> None:
    samples = finished().samples
    for line in lines:
        for launch in line["launches"]:
            latency = reply(launch["reply_sha256"])["latency"]
            own = samples[(samples["key"] == line["cell"]) & (samples["launch"] == launch["index"])]
            in_order = [latency["first_ns"], *latency["warmup_ns"], *latency["samples_ns"]]
            assert list(own["latency_ns"]) == in_order
            assert list(own["phase"]).count("warmup") == len(latency["warmup_ns"])
            steady = list(own[own["steady"]]["latency_ns"])
            assert len(steady) == launch["calls"]
            assert statistics.median(steady) == pytest.approx(launch["median_ns"], abs=1)


def test_a_run_without_calls_or_operators_has_empty_frames_with_columns(tmp_path: Path) -> None:
    shutil.copytree(STORED / "finished", tmp_path / "finished")
    (tmp_path / "finished" / "measurements.jsonl").write_text("")
    run = harness.load("finished", results=tmp_path)
    assert (len(run.samples), len(run.launches), len(run.operators)) == (0, 0, 0)
    assert "latency_ns" in run.samples
    assert "share" in run.operators
    assert set(run.cells["status"]) == {"pending", "unsupported"}
    assert repr(run).endswith("3 unsupported, 3 pending>") or repr(run).endswith("3 pending, 3 unsupported>")


def test_a_damaged_reply_costs_the_calls_and_not_the_rest(tmp_path: Path) -> None:
    shutil.copytree(STORED / "finished", tmp_path / "finished")
    for file in (tmp_path / "finished" / "replies").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    run = harness.load("finished", results=tmp_path)
    assert run.cells["latency_median_ns"].notna().sum() == 3
    with pytest.raises(StoreError, match="cannot be read"):
        _ = run.samples


def test_imported_launches_without_calls_have_no_samples(tmp_path: Path) -> None:
    # One of the programs states a median alone, the other has five rounds.
    files = [EXCHANGED / "benchmark_result.textproto", EXCHANGED / "pytest_benchmark.json"]
    run = harness.load(import_results(files, tmp_path).run.directory)
    rounds = json.loads(files[1].read_text())["benchmarks"][0]["stats"]["data"]
    assert list(run.samples["latency_ns"]) == [round(seconds * 1e9) for seconds in rounds]
    assert len(run.launches) == 3


def test_a_run_compared_with_itself_did_not_change(lines: list[dict[str, Any]]) -> None:
    compared = finished().compare(finished())
    assert set(compared["key"]) == {line["cell"] for line in lines if line["status"] == "ok"}
    measured = compared.dropna(subset=["change"])
    assert (measured["change"] == 0).all()
    assert (measured["baseline"] == measured["current"]).all()


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no runs in"):
        harness.load(results=tmp_path)


def test_the_environment_names_the_results_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEBENCH_RESULTS", str(STORED))
    assert harness.load("finished").id == finished().id


def test_a_run_prints_what_show_prints() -> None:
    assert str(finished()).splitlines()[0].startswith(f"Run {finished().id}, ")
    assert "\x1b" not in str(finished())
