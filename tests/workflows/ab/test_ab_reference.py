"""How the two sides are written on the command line."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.workflows.ab.reference import ABReference, parse_reference


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("digits:int8:tflite", {"model": "digits", "variant": "int8", "format": "tflite"}),
        ("my.nets:build:fp32:onnx", {"model": "my.nets:build", "variant": "fp32", "format": "onnx"}),
        ("new.tflite", {"model": "new.tflite"}),
        ("a/b.onnx@threads=2", {"model": "a/b.onnx", "threads": 2}),
        ("digits:fp32:pte@threads=2,delegate=cpu", {
            "model": "digits", "variant": "fp32", "format": "pte", "threads": 2, "delegate": "cpu",
        }),
    ],
)  # fmt: skip
def test_valid_sides(text: str, found: dict[str, object]) -> None:
    assert parse_reference(text) == ABReference(text=text, **found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digits", "MODEL:VARIANT:FORMAT"),
        ("digits:fp32", "MODEL:VARIANT:FORMAT"),
        ("digits::tflite", "MODEL:VARIANT:FORMAT"),
        ("digits:fp32:tflite@thread=2", "did you mean 'threads'"),
        ("digits:fp32:tflite@threads", "threads=VALUE"),
        ("digits:fp32:tflite@threads=two", "integer"),
    ],
)
def test_invalid_sides(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_reference(text)
