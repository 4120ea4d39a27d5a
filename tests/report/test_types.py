"""The types of numbers in files, in the table of the terminal, on the page and in the JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.plan.cells import make_cell
from harness.records.artifact import FileTypes, ValueType
from harness.report.formats.json import show_json
from harness.report.formats.terminal import run_lines
from harness.report.type_words import type_words, weight_words
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS
from harness.store.records import RunRecord
from harness.wire import Delegate, Format
from tests.report.builders import cells, make_run, measurement, page_of, unstyled

FLOAT, INT8 = ValueType(type="float32"), ValueType(type="int8", quantised=True)
WHOLE = FileTypes(weights={"float32": 100}, inputs=(FLOAT,), outputs=(FLOAT,))
QUANTISED = FileTypes(weights={"int32": 2, "int8": 98}, inputs=(INT8,), outputs=(INT8, FLOAT))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, ""),
        ({"float32": 10}, "float32"),
        ({"int8": 99_990, "int32": 10}, "int8"),
        ({"int32": 2, "int8": 98}, "int8 98 %"),
        ({"float32": 40, "int8": 60}, "int8 60 %, float32 40 %"),
        ({"float32": 995, "int8": 5}, "float32 99.5 %"),
    ],
)
def test_the_share_of_the_most_frequent_type_is_shown(weights: dict[str, int], words: str) -> None:
    assert weight_words(FileTypes(weights=weights)) == words


def test_types_that_everybody_expects_are_not_shown() -> None:
    assert type_words(WHOLE) == "float32 weights"
    assert type_words(QUANTISED) == "int8 weights 98 %, int8 input, int8, float32 outputs"
    assert type_words(None) == ""


def run_of(variant: str, types: dict[Format, FileTypes]) -> RunRecord:
    planned = tuple(make_cell(f"net-{f.value}", variant, f, Delegate.CPU, 1, "host", ProfileName.QUICK) for f in types)
    measured = []
    for cell, of_file in zip(planned, types.values(), strict=True):
        plain = measurement(replace(cell, variant="int8"))
        assert plain.artifact is not None
        measured.append(replace(plain, cell=cell.key, artifact=replace(plain.artifact, types=of_file)))
    return make_run(planned, tuple(measured))


def row_of(run: RunRecord, name: str) -> str:
    return next(line for line in map(unstyled, run_lines(run, width=200)) if line.startswith(name))


def test_a_ready_made_file_shows_its_types_in_the_table() -> None:
    run = run_of(AS_IS, {Format.TFLITE: QUANTISED, Format.ONNX: WHOLE})
    assert "int8 98 %" in row_of(run, "net-tflite")
    assert "float32 float32" in " ".join(row_of(run, "net-onnx").split())
    assert "int8 weights 98 %, int8 input" in page_of(run, lambda _: [])
    artifact = show_json(run)["cells"][0]["artifact"]
    assert artifact["types"]["weights"] == {"int32": 2, "int8": 98}
    assert artifact["types"]["inputs"] == [{"type": "int8", "quantised": True}]


def test_a_file_of_ours_that_takes_integers_says_so() -> None:
    text = " ".join(map(unstyled, run_lines(run_of("int8", {Format.TFLITE: QUANTISED, Format.ONNX: WHOLE}), width=200)))
    assert "the .tflite file has int8 input and int8, float32 output: an app must quantise them" in text


def test_results_of_earlier_versions_have_no_types() -> None:
    run = make_run(cells()[:1], (measurement(cells()[0]),))
    assert show_json(run)["cells"][0]["artifact"]["types"] is None
    assert "weights" not in row_of(run, "variant")
