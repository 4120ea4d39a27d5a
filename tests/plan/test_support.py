"""What cannot be built at all, and that each hole has its reason."""

from __future__ import annotations

import pytest

from harness.plan.support import why_not_build
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe
from harness.spec.shorthand import parse_recipe
from harness.wire import Format


@pytest.mark.parametrize(
    ("variant", "format_", "backend", "words"),
    [
        ("bf16", Format.TFLITE, None, "LiteRT's kernels have no bfloat16"),
        ("bf16", Format.ONNX, None, "no bfloat16 convolutions"),
        ("bf16", Format.PTE, Backend.XNNPACK, "use delegate cpu"),
        ("bf16-whole", Format.PTL, None, "not bfloat16: remove float_io"),
        ("fp16-whole", Format.TFLITE, None, "inputs and outputs cannot be float16"),
        ("int8-weight", Format.PTE, Backend.XNNPACK, "gives garbage"),
        ("int8-weight", Format.PTE, Backend.PORTABLE, "cannot read torchao's packed weights"),
        ("int4-weight", Format.PTE, Backend.PORTABLE, "cannot read torchao's packed weights"),
        ("int4-weight", Format.PTL, None, "no weight-only kernels"),
        ("int16x8", Format.PTE, Backend.XNNPACK, "no quantiser for int16"),
        ("int16x8", Format.ONNX, None, "no int16 activations"),
        ("int16x8", Format.PTL, None, "no int16 kernels"),
        ("fp16-whole", Format.PTE, Backend.VULKAN, "the vulkan delegate converts to float16 itself"),
        ("fp16-whole", Format.PTE, Backend.COREML, "the coreml delegate converts to float16 itself"),
        ("nhwc", Format.ONNX, None, "an option of tflite"),
    ],
)
def test_a_hole_has_its_reason(variant: str, format_: Format, backend: Backend | None, words: str) -> None:
    assert words in (why_not_build(parse_recipe(variant), format_, backend) or "")


def test_integers_have_no_whole_form() -> None:
    recipe = Recipe(name="x", precision=Precision.INT8, float_io=False)
    assert "float_io = false works for fp16 only" in (why_not_build(recipe, Format.ONNX, None) or "")


@pytest.mark.parametrize("format_", [Format.ONNX, Format.PTL, Format.PTE])
def test_float16_has_a_whole_form(format_: Format) -> None:
    assert why_not_build(parse_recipe("fp16-whole"), format_, None) is None
