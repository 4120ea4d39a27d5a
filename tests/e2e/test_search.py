"""The real command line, searching on a scripted phone: artifacts and accuracy of the check at export are real."""

from __future__ import annotations

import json
import signal
import tomllib
from pathlib import Path

import pytest

from tests.conftest import CommandLine, call_phonebench
from tests.e2e.soak import start
from tests.e2e.test_resume import wait_for

SEARCH = ("search", "digits", "--device", "fake", "--format", "onnx")


def test_a_search_ends_with_a_spec_that_makes_the_same_artifact_again(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench(*SEARCH, "--minimise", "size", "--budget", "6", "--json")
    assert done.code == 0, done.err
    found = done.json()
    assert found["ship"]["keeps"]
    assert found["ship"]["cell"] in found["front"]
    assert [p["variant"] for p in found["points"][4:]] == ["prune50+int8", "prune75+int8"]
    assert "Accuracy was not measured" in found["notes"][0]
    shipped = {c["key"]: c for c in phonebench("show", "--json").json()["cells"]}[found["ship"]["cell"]]
    fresh = ("--cache-dir", str(tmp_path / "fresh"), "--results", str(tmp_path / "again"), "--json")
    again = phonebench("run", "--spec", found["spec_file"], *fresh)
    assert again.code == 0, again.err
    assert [c["artifact"]["sha256"] for c in again.json()["cells"]] == [shipped["artifact"]["sha256"]]


def test_the_report_of_a_search_says_what_was_found(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench(*SEARCH, "--budget", "2")
    assert done.code == 0, done.err
    assert "the budget of 2 builds is used up" in done.out
    page = next((tmp_path / "results").glob("*/report.html")).read_text()
    assert "Search result" in page
    assert "phonebench search digits" in page


def test_a_stopped_search_resumes_from_its_points(phonebench: CommandLine, tmp_path: Path, working_cache: Path) -> None:
    asked = ("search", "digits", "--device", "host", "--format", "onnx", "--budget", "3")
    process = start(tmp_path, *asked, cache=working_cache)
    wait_for("results/*/measurements.jsonl", tmp_path, 1, process)
    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1].decode()
    assert process.returncode == 130, message
    assert "phonebench search --resume=" in message
    lines = next((tmp_path / "results").glob("*/measurements.jsonl")).read_text().splitlines()
    first = {json.loads(line)["cell"]: json.loads(line)["started_at"] for line in lines}
    done = phonebench("search", "--resume", "--json")
    assert done.code == 0, done.err
    assert (done.json()["builds"], len(done.json()["points"])) == (3, 3)
    lines = next((tmp_path / "results").glob("*/measurements.jsonl")).read_text().splitlines()
    assert {json.loads(line)["cell"]: json.loads(line)["started_at"] for line in lines[: len(first)]} == first
    assert len(lines) == 3, "what had run was not run again"
    assert phonebench("search", "--resume", "--budget", "4", "--json").json()["builds"] == 4


def test_a_run_that_is_not_a_search_cannot_be_resumed_as_one(phonebench: CommandLine) -> None:
    assert phonebench("run", "--device", "fake", "--format", "onnx", "--variant", "fp32").code == 0
    done = phonebench("search", "--resume")
    assert (done.code, "is not a search; to resume: phonebench run --resume=" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--max-drop", "1"), "percentage points"),
        (("--minimise", "siz"), "did you mean 'size'"),
        (("--budget", "0"), "budget is 0"),
        (("--seconds", "-1"), "seconds is -1"),
        (("--device", "host,fake"), "but a search takes one; start a search for each"),
        (("--delegate", "cpu,xnnpack"), "but a search takes one; start a search for each"),
        (("resnet18",), "a search takes one MODEL, not 2"),
        (("--resume", "--max-drop", "1pp"), "--resume continues a stored search"),
    ],
)
def test_bad_values_are_sentences(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    done = call_phonebench("search", "digits", *args, cwd=tmp_path)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "results").exists()


def test_a_spec_of_a_model_by_path_is_found_from_anywhere(tmp_path: Path) -> None:
    from tests.model.folders import make_folder

    make_folder(tmp_path / "own")
    args = ("--device", "fake", "--format", "onnx", "--budget", "1", "--cache-dir", str(tmp_path / "cache"), "--json")
    done = call_phonebench("search", "./own", *args, cwd=tmp_path)
    assert done.code == 0, done.err
    values = tomllib.loads(Path(tmp_path, done.json()["spec_file"]).read_text())
    assert values["model"] == [str(tmp_path / "own")]
    assert values["recipe"] == [{"name": "fp32", "precision": "fp32"} | values["recipe"][0]]
