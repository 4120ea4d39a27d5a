"""Models with one name in one run: told apart by format, else by folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.card import ModelOptions
from harness.model.resolve import resolve_all
from tests.model.folders import CARD, make_folder


def names(folder: Path, *files: str) -> list[str]:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    return [card.name for card in resolve_all([str(folder / file) for file in files], ModelOptions())]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["net.onnx", "other.onnx"], ["net", "other"]),
        (["net.tflite", "net.onnx"], ["net-tflite", "net-onnx"]),
        (["net.tflite", "net.onnx", "net.pte"], ["net-tflite", "net-onnx", "net-pte"]),
        (["a/net.onnx", "b/net.onnx"], ["a-net", "b-net"]),
        (["a/net.onnx", "b/net.onnx", "b/net.tflite"], ["a-net-onnx", "b-net-onnx", "b-net-tflite"]),
        (["v1/out/net.onnx", "v2/out/net.onnx"], ["v1-out-net", "v2-out-net"]),
        (["my net.onnx", "my-net.onnx"], ["my-net-1", "my-net-2"]),
        (["münze.onnx", "munze.tflite"], ["munze-onnx", "munze-tflite"]),
        (["模型.onnx", "图像.tflite"], ["model-onnx", "model-tflite"]),
        (["a b/net.onnx", "ä/net.onnx"], ["a-b-net", "a-net"]),
    ],
)
def test_equal_names_are_told_apart(tmp_path: Path, files: list[str], expected: list[str]) -> None:
    assert names(tmp_path, *files) == expected


def test_a_name_that_another_model_has_is_not_taken(tmp_path: Path) -> None:
    got = names(tmp_path, "net.onnx", "net.tflite", "net-onnx.onnx")
    assert got[2] == "net-onnx"
    assert len(set(got)) == 3


def test_a_bundled_model_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "digits.onnx").write_bytes(b"x")
    cards = resolve_all(["digits", str(tmp_path / "digits.onnx")], ModelOptions())
    assert [card.name for card in cards] == ["digits", "digits-onnx"]


def test_two_folders_with_one_name_are_told_apart_by_folder(tmp_path: Path) -> None:
    folders = [str(make_folder(tmp_path / name, card=CARD)) for name in ("v1", "v2")]
    assert [card.name for card in resolve_all(folders, ModelOptions())] == ["v1-own", "v2-own"]


@pytest.mark.parametrize("again", ["net.onnx", "x/../net.onnx"])
def test_a_model_that_is_given_twice_is_refused(tmp_path: Path, again: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match="'net' is given twice"):
        resolve_all([str(tmp_path / "net.onnx"), str(tmp_path / again)], ModelOptions())
