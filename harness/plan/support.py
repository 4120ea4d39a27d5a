"""What can be built at all: a table of precision by format and backend, with the reason beside each hole.

What stands here is known without trying: a format that has no such numbers, or a library that is known to give
garbage or to fail. What the table lets through is built and goes through the gate.
"""

from __future__ import annotations

from enum import StrEnum

from harness.spec.recipe import Precision, Recipe
from harness.wire import Format


class Backend(StrEnum):
    """What a ``.pte`` is lowered to at export."""

    XNNPACK = "xnnpack"
    PORTABLE = "portable"
    VULKAN = "vulkan"
    COREML = "coreml"


# Backends whose runtime runs on this kind of computer, so that the gate can verify what was lowered to them.
RUN_HERE = (Backend.XNNPACK, Backend.PORTABLE)

_FORMAT_HOLES: dict[tuple[Format, Precision], str] = {
    (Format.TFLITE, Precision.BF16): "LiteRT's kernels have no bfloat16",
    (Format.ONNX, Precision.BF16): "ONNX Runtime's CPU kernels have no bfloat16 convolutions or matrix products",
    (Format.PTE, Precision.INT16X8): "ExecuTorch has no quantiser for int16 activations with int8 weights",
    (Format.ONNX, Precision.INT16X8): "ONNX Runtime's CPU kernels have no int16 activations with int8 weights",
    (Format.PTL, Precision.INT16X8): "TorchScript has no int16 kernels",
    (Format.MLPACKAGE, Precision.BF16): "Core ML computes in float32 or float16",
    (Format.MLPACKAGE, Precision.INT8_DYNAMIC): "Core ML has no activation ranges that are found at run time",
    (Format.MLPACKAGE, Precision.INT16X8): "Core ML has no int16 activations",
    (Format.PTL, Precision.INT8_WEIGHT): "TorchScript's lite interpreter has no weight-only kernels",
    (Format.PTL, Precision.INT4_WEIGHT): "TorchScript's lite interpreter has no weight-only kernels",
}
_BACKEND_HOLES: dict[tuple[Backend, Precision], str] = {
    (Backend.XNNPACK, Precision.INT8_WEIGHT): "XNNPACK has no weight-only int8: what is built gives garbage",
    (Backend.XNNPACK, Precision.BF16): "XNNPACK takes no bfloat16 operator; as delegate cpu it is built",
    (Backend.PORTABLE, Precision.INT8_WEIGHT): "ExecuTorch's portable kernels cannot read torchao's packed weights",
    (Backend.PORTABLE, Precision.INT4_WEIGHT): "ExecuTorch's portable kernels cannot read torchao's packed weights",
    (Backend.VULKAN, Precision.BF16): "ExecuTorch's Vulkan backend computes in float32 or float16",
    (Backend.VULKAN, Precision.INT4_WEIGHT): "int4 weights are not built for Vulkan here",
    (Backend.COREML, Precision.BF16): "Core ML computes in float32 or float16",
    (Backend.COREML, Precision.INT8_DYNAMIC): "Core ML has no activation ranges that are found at run time",
    (Backend.COREML, Precision.INT8_WEIGHT): "weights alone are compressed in the format mlpackage, not in pte",
    (Backend.COREML, Precision.INT4_WEIGHT): "weights alone are compressed in the format mlpackage, not in pte",
}


def why_not_build(recipe: Recipe, format_: Format, backend: Backend | None) -> str | None:
    """Return why ``recipe`` cannot be built as ``format_`` for ``backend``, or None when it can be tried."""
    if recipe.channel_last and format_ is not Format.TFLITE:
        return f"{format_.value} takes inputs as the model does: channel-last inputs are an option of tflite"
    hole = _FORMAT_HOLES.get((format_, recipe.precision)) or _whole_hole(recipe, format_, backend)
    if hole is None and backend is not None:
        hole = _BACKEND_HOLES.get((backend, recipe.precision))
    return hole


def _whole_hole(recipe: Recipe, format_: Format, backend: Backend | None) -> str | None:
    """The reason against inputs and outputs in the precision's own type."""
    if recipe.float_io:
        return None
    if recipe.precision is Precision.BF16:
        return "no runner can be given bfloat16 inputs, they exist as float16 and float32 alone: leave out float_io"
    if recipe.precision is not Precision.FP16:
        return f"float_io = false is for fp16: {recipe.precision.value} takes its inputs as the format has them"
    if format_ is Format.TFLITE:
        return "LiteRT computes in float32 where weights are float16: inputs and outputs cannot be float16"
    if backend in (Backend.VULKAN, Backend.COREML):
        return f"the {backend.value} delegate narrows inside: inputs and outputs stay float32, as for fp16"
    return None
