"""What users get wrong: a clear sentence, the right exit code, no traceback, and nothing lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import CommandLine


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "digit"], 2, ["'digit'", "'digits'"]),
        (["run", "--variant", "int88"], 2, ["'int88'", "'int8'"]),
        (["run", "--format", "tflight"], 2, ["'tflight'", "'tflite'"]),
        (["run", "--delegate", "xnpack"], 2, ["'xnpack'", "'xnnpack'"]),
        (["run", "--device", "hots"], 2, ["'hots'", "'host'"]),
        (["run", "--device", "fake:crush"], 2, ["'crush'", "'crash'"]),
        (["run", "--profile", "fast"], 2, ["'fast'", "quick"]),
        (["run", "--threads", "two"], 2, ["'two'", "whole numbers"]),
        (["run", "--threads", "0"], 2, ["0", "1 to 256"]),
        (["run", "--launches", "0"], 2, ["launches"]),
        (["run", "--spec", "nowhere.toml"], 2, ["'nowhere.toml'"]),
        (["run", "nowhere/model.tflite"], 2, ["nowhere/model.tflite"]),
        (["rum"], 2, ["'rum'", "'run'"]),
        (["run", "--formt", "onnx"], 2, ["--formt", "--format"]),
        (["run", "--resume=nothing"], 2, ["no runs"]),
        (["show"], 2, ["no runs"]),
        (["report", "latest"], 2, ["no runs"]),
    ],
)
def test_a_wrong_word_names_the_right_one(
    phonebench: CommandLine, args: list[str], code: int, words: list[str]
) -> None:
    done = phonebench(*args)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fromat = ["onnx"]', ["'fromat'", "'format'", "spec.toml"]),
        ('format = ["onx"]', ["'onx'", "'onnx'", "spec.toml"]),
        ("threads = [1.5]", ["threads", "1.5"]),
        ("format = [", ["spec.toml"]),
        ("seed = 'one'", ["seed", "spec.toml"]),
    ],
)
def test_a_wrong_spec_file(phonebench: CommandLine, tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "spec.toml").write_text(text)
    done = phonebench("run", "--spec", "spec.toml", "--dry-run")
    assert done.code == 2
    assert all(word in done.err for word in words), done.err


def test_a_spec_file_and_options_make_the_same_plan(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(
        'device = "fake"\nformat = ["onnx", "pte"]\nvariant = "int8"\nthreads = [1, 2]\n'
    )
    by_file = phonebench("run", "--spec", "spec.toml", "--dry-run", "--json")
    by_options = phonebench(
        "run", "-d", "fake", "-f", "onnx,pte", "-v", "int8", "-t", "1", "-t", "2", "--dry-run", "--json"
    )
    assert by_file.code == 0, by_file.err
    assert by_file.json() == by_options.json()
    assert len(by_file.json()["cells"]) == 4


def test_a_results_folder_that_cannot_be_written(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = phonebench("run", "--device", "fake", "--results", str(tmp_path / "file" / "results"))
    assert done.code == 6
    assert "cannot write" in done.err


def test_a_cache_folder_that_cannot_be_written(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = phonebench("run", "--device", "fake", "--cache-dir", str(tmp_path / "file"))
    assert done.code == 6
    assert "cannot write" in done.err


@pytest.mark.parametrize("damage", ["truncate", "rubbish", "schema", "remove"])
def test_a_damaged_run_file(phonebench: CommandLine, tmp_path: Path, damage: str) -> None:
    phonebench("run", "--device", "fake", "--format", "onnx", "--variant", "fp32")
    path = next((tmp_path / "results").glob("*/run.json"))
    text = path.read_text()
    match damage:
        case "truncate":
            path.write_text(text[: len(text) // 2])
        case "rubbish":
            path.write_bytes(b"\xff\xfe\x00")
        case "schema":
            path.write_text(text.replace('"schema": 1', '"schema": 99', 1))
        case "remove":
            path.unlink()
    done = phonebench("show", "latest")
    assert done.code == (2 if damage == "remove" else 6), done.err
    assert "Traceback" not in done.err
    if damage == "schema":
        assert "99" in done.err


def test_a_damaged_line_costs_its_cell_and_no_other(phonebench: CommandLine, tmp_path: Path) -> None:
    phonebench("run", "--device", "fake", "--format", "onnx")
    path = next((tmp_path / "results").glob("*/measurements.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{rubbish\n" + lines[2] + lines[3][:40])
    statuses = [c["status"] for c in phonebench("show", "--json").json()["cells"]]
    assert sorted(statuses) == ["ok", "ok", "pending", "pending"]
    assert phonebench("run", "--resume").code == 0
    assert [c["status"] for c in phonebench("show", "--json").json()["cells"]] == ["ok"] * 4


def test_a_missing_reply_leaves_the_figures(phonebench: CommandLine, tmp_path: Path) -> None:
    phonebench("run", "--device", "fake", "--format", "onnx", "--variant", "fp32")
    for reply in (tmp_path / "results").glob("*/replies/*"):
        reply.write_bytes(b"")
    assert phonebench("report").code == 0
    assert phonebench("show", "--json").json()["cells"][0]["latency"]["median_ns"] > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("network.py", "def build", "def biuld"), ["no 'build'", "did you mean 'biuld'?"]),
        (("network.py", "def build", "def build("), ["network.py, line"]),
        (("model.toml", "network:build", "netwrk:build"), ["no netwrk.py", "did you mean 'network'?"]),
        (("model.toml", "weights.safetensors", "wieghts.safetensors"), ["there is no such file"]),
    ],
    ids=["attribute", "syntax", "module", "weights"],
)
def test_a_model_that_cannot_load_is_refused_before_a_run_is_stored(
    phonebench: CommandLine, tmp_path: Path, change: tuple[str, str, str], words: list[str]
) -> None:
    shutil.copytree(Path(__file__).parents[2] / "models" / "digits", tmp_path / "mine")
    file = tmp_path / "mine" / change[0]
    assert change[1] in file.read_text()
    file.write_text(file.read_text().replace(change[1], change[2]))
    done = phonebench("run", "mine", "--format", "onnx", "--variant", "fp32")
    assert done.code == 2, done.err
    assert all(word in done.err for word in words), done.err
    assert not (tmp_path / "results").exists()


def test_weights_that_do_not_fit(phonebench: CommandLine, tmp_path: Path) -> None:
    digits = Path(__file__).parents[2] / "models" / "digits"
    shutil.copytree(digits, tmp_path / "mine")
    network = tmp_path / "mine" / "network.py"
    network.write_text(re.sub(r"nn\.Linear\((\w+), 10\)", r"nn.Linear(\1, 11)", network.read_text()))
    done = phonebench("run", "mine", "--format", "onnx", "--variant", "fp32")
    assert done.code == 4
    assert "Traceback" not in done.err
    cell = phonebench("show", "--json").json()["cells"][0]
    assert cell["status"] == "failed"
    assert "weights" in cell["reason"]


def test_a_damaged_artifact_in_the_cache_is_built_again(
    phonebench: CommandLine, tmp_path: Path, built_cache: Path
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(built_cache, cache)
    victim = next(cache.glob("artifacts/*/*/model.onnx"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    done = phonebench("build", "digits", "--format", "onnx", "--json", "--cache-dir", str(cache))
    assert done.code == 0, done.err
    assert done.json()["built"] == 1
    assert len(victim.read_bytes()) == len(whole)


def test_a_run_is_not_resumed_with_another_model(phonebench: CommandLine, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "models" / "digits", tmp_path / "mine")
    phonebench("run", "mine", "--device", "fake:lost", "--format", "onnx")
    card = tmp_path / "mine" / "model.toml"
    card.write_text(card.read_text().replace('weights = "weights.safetensors"\n', ""))
    done = phonebench("run", "--resume")
    assert done.code == 2
    assert "changed since" in done.err
