"""``phonebench ab`` as a user calls it, on scripted phones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import CommandLine


def test_the_same_artifact_twice_is_equivalent_and_stored_as_a_run(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("ab", "digits:fp32:onnx", "digits:fp32:onnx", "--device", "fake")
    assert done.code == 0, done.err
    assert "equivalent: B takes" in done.out
    assert "10 to 20 pairs take" in done.err
    cells = phonebench("show", "--json").json()["cells"]
    assert [c["status"] for c in cells] == ["ok", "ok"]
    assert [c["latency"]["launches"] for c in cells] == [10, 10]
    stored = json.loads(next((tmp_path / "results").glob("*/ab.json")).read_text())
    assert stored["session"]["verdict"] == "equivalent"
    resumed = phonebench("run", "--resume")
    assert resumed.code == 2
    assert "cannot be resumed" in resumed.err


@pytest.mark.parametrize(
    ("a", "b", "code", "verdict"),
    [
        ("digits:fp32:onnx", "digits:int8:onnx", 0, "improved"),
        ("digits:int8:onnx", "digits:fp32:onnx", 10, "regressed"),
        ("digits:fp32:onnx@threads=2", "digits:fp32:onnx@threads=1", 10, "regressed"),
    ],
)
def test_a_difference_has_a_verdict_and_an_exit_code(
    phonebench: CommandLine, a: str, b: str, code: int, verdict: str
) -> None:
    done = phonebench("ab", a, b, "--device", "fake", "--json")
    assert done.code == code, done.err
    session = done.json()["session"]
    assert session["verdict"] == verdict
    assert session["low"] < session["ratio"] < session["high"]


def test_two_files_of_one_name_are_two_sides(
    phonebench: CommandLine, digits_files: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    files = (digits_files["onnx", "fp32"], digits_files["onnx", "fp16"])
    for folder, file in zip(("old", "new"), files, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.onnx").write_bytes(file.read_bytes())
    done = phonebench("ab", "old/net.onnx", "new/net.onnx", "--device", "fake", "--json")
    assert done.code in (0, 10), done.err
    assert len({c["model"] for c in phonebench("show", "--json").json()["cells"]}) == 2


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("digits", "digits:fp32:onnx"), 2, "MODEL:VARIANT:FORMAT"),
        (("digits:fp31:onnx", "digits:fp32:onnx"), 2, "fp3"),
        (("digits:fp32:onnx@delegate=gpu", "digits:fp32:onnx"), 2, "gpu"),
        (("digits:fp32:onnx", "digits:fp32:onnx", "--device", "fake:crash"), 5, "crashed"),
        (("digits:fp32:onnx", "digits:fp32:onnx", "--device", "fake:lost"), 20, "is gone"),
        (("digits:fp32:onnx", "digits:fp32:onnx", "--device", "fake:low-battery"), 20, "charge"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    phonebench: CommandLine, args: tuple[str, ...], code: int, words: str
) -> None:
    done = phonebench("ab", *args, *(() if "--device" in args else ("--device", "fake")))
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
