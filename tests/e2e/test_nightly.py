"""The nightly job from the command line, on the scripted phone: exit codes, files, and nights that are killed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.history.database import open_history
from harness.history.figures import entries_of
from harness.history.ingest import append
from harness.store.reader import list_runs, load_run
from tests.conftest import CommandLine
from tests.e2e.soak import start
from tests.history.nights import run_facts

SPEC = 'model = "model.onnx"\ndevice = "fake"\n'
KILLS = 4


@pytest.fixture
def model(digits_files: dict[tuple[str, str], Path]) -> Path:
    """A small ready-made file."""
    return digits_files["onnx", "int8"]


@pytest.fixture
def grown(phonebench: CommandLine, tmp_path: Path, digits_files: dict[tuple[str, str], Path]) -> CommandLine:
    """A history of 25 nights on a small file, which is then exchanged for a larger one of the same name."""
    shutil.copy(digits_files["onnx", "int8"], tmp_path / "model.onnx")
    (tmp_path / "night.toml").write_text(SPEC)
    first = phonebench("nightly", "night.toml")
    assert first.code == 0, first.err
    results = tmp_path / "results"
    found = entries_of(load_run(results, list_runs(results)[0]))
    with open_history(str(results / "history.sqlite")) as history:
        for night in range(25):
            append(history, run_facts(night), [replace(entry) for entry in found])
    shutil.copy(digits_files["onnx", "fp32"], tmp_path / "model.onnx")
    return phonebench


def test_a_slower_file_fails_the_job_once(grown: CommandLine, tmp_path: Path) -> None:
    done = grown("nightly", "night.toml", "--junit", "out/j.xml", "--summary", "s.md", "--json")
    assert done.code == 10, done.err
    night = done.json()
    states = {series["metric"]: series["state"] for series in night["series"]}
    assert states["latency"] == states["size"] == "regression"
    suite = ElementTree.parse(tmp_path / "out" / "j.xml").getroot()
    assert suite.get("failures") == str(list(states.values()).count("regression"))
    assert "regressed**" in (tmp_path / "s.md").read_text()
    folder = tmp_path / night["folder"]
    assert {path.name for path in folder.iterdir()} >= {"night.json", "junit.xml", "summary.md"}
    assert json.loads((folder / "night.json").read_text())["finished_at"]
    again = grown("nightly", "night.toml", "--summary", "s.md")
    assert again.code == 0, again.out
    assert (tmp_path / "s.md").read_text().count("# Night ") == 2
    shown = grown("history", "latency", "--json").json()
    assert [change["decision"] for change in shown["changes"]] == ["confirmed"]


def test_a_night_that_is_killed_again_and_again_comes_to_its_end(
    grown: CommandLine, tmp_path: Path, working_cache: Path
) -> None:
    chance = random.Random(3)
    for _ in range(KILLS):
        begun = list((tmp_path / "results" / "nightly").glob("*/night.json"))
        args = ("--resume",) if len(begun) > 1 else ("night.toml",)
        process = start(tmp_path, "nightly", *args, cache=working_cache)
        try:
            process.wait(timeout=chance.uniform(1.0, 6.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    begun = list((tmp_path / "results" / "nightly").glob("*/night.json"))
    done = grown("nightly", "--resume", "--json") if len(begun) > 1 else grown("nightly", "night.toml", "--json")
    assert done.code == 10, done.err
    assert {s["metric"]: s["state"] for s in done.json()["series"]}["latency"] == "regression"
    nights = grown("history", "latency", "--json").json()["nights"]
    assert len(nights) == 27


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nightly"], 2, "name a SPEC"),
        (["nightly", "nowhere.toml"], 2, "'nowhere.toml'"),
        (["nightly", "--resume"], 2, "there are no nights"),
        (["nightly", "night.toml", "--resume=x"], 2, "--resume continues"),
        (["nightly", "night.toml", "--history", "mysql://h/d"], 6, "can hold a history"),
        (["nightly", "night.toml", "--arl0", "7"], 2, "--arl0"),
        (["nightly", "night.toml", "--budget", "-1"], 2, "--budget"),
        (["nightly", "night.toml", "--baseline", "2020"], 2, "--baseline: there are no runs"),
        (["nightly", "night.toml", "--baseline", "nowhere.onnx"], 2, "there is no baseline 'nowhere.onnx'"),
        (["nightly", "night.toml", "--baseline", "night.toml"], 2, "--baseline: 'night.toml' has no run.json"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    phonebench: CommandLine, tmp_path: Path, args: list[str], code: int, words: str
) -> None:
    (tmp_path / "night.toml").write_text('device = "fake"\nformat = "onnx"\nvariant = "fp32"\n')
    done = phonebench(*args)
    assert done.code == code, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert not list((tmp_path / "results").glob("*/run.json"))


def test_a_baseline_is_a_run_of_the_same_cells(phonebench: CommandLine, tmp_path: Path, model: Path) -> None:
    (tmp_path / "night.toml").write_text(SPEC)
    shutil.copy(model, tmp_path / "model.onnx")
    release = phonebench("nightly", "night.toml", "--json").json()["id"]
    done = phonebench("nightly", "night.toml", "--baseline", release, "--json")
    assert done.code == 0, done.err
    assert done.json()["baseline"]["name"] == release
    assert f"Compared with the baseline {release}." in (tmp_path / done.json()["folder"] / "summary.md").read_text()
    (tmp_path / "other.toml").write_text(SPEC.replace('"fake"', '"fake:hot"'))
    refused = phonebench("nightly", "other.toml", "--baseline", release)
    assert refused.code == 2, refused.err
    assert "has device fake, but tonight has fake:hot" in refused.err


def test_a_record_of_an_older_version_can_be_read(grown: CommandLine, tmp_path: Path) -> None:
    """Records written before comparisons of new files lack their fields, and so does what they hand on."""
    (path,) = (tmp_path / "results" / "nightly").glob("*/night.json")
    older = json.loads(path.read_text())
    for name in ("budget_min", "baseline", "taken_over", "causes", "handed_on"):
        del older[name]
    path.write_text(json.dumps(older))
    assert grown("nightly", "--resume", "--json").json()["id"] == older["id"]
    assert grown("nightly", "night.toml").code == 10


def test_a_lost_device_is_incomplete(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text('device = "fake:lost"\nformat = "onnx"\nvariant = "fp32"\n')
    done = phonebench("nightly", "night.toml", "--json")
    assert done.code == 20, done.err
    assert [series["state"] for series in done.json()["series"]] == ["incomplete"]
