"""What every way to Core ML shares: coremltools without TensorFlow, its precisions, and its static quantiser."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.artifacts.source import FloatModel, UnsupportedError
from harness.recipe import Quantisation, Recipe

if TYPE_CHECKING:
    import torch


def import_coremltools() -> Any:
    """Import coremltools. TensorFlow is hidden meanwhile: it would be imported too, at 10 s and a gigabyte."""
    with _hidden("tensorflow"):
        import coremltools

    return coremltools


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make ``import name`` fail inside the block, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the documented way to refuse an import
    try:
        yield
    finally:
        del sys.modules[name]


def quantised(source: FloatModel, recipe: Recipe) -> torch.nn.Module:
    """Return the network with weights and activations in int8 as Core ML's quantiser annotates them, calibrated."""
    import torch

    import_coremltools()
    from executorch.backends.apple.coreml.quantizer import CoreMLQuantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    if recipe.quantisation.keep_float is not None:
        msg = "Core ML's quantiser is not told layers to keep in float here"
        raise UnsupportedError(msg)
    graph = torch.export.export(source.exportable(), source.example()).module()
    prepared = prepare_pt2e(graph, CoreMLQuantizer(_rules(recipe.quantisation)))
    with torch.no_grad():
        for item in source.calibration_items(recipe.quantisation):
            prepared(*item)
    converted: torch.nn.Module = convert_pt2e(prepared)
    return converted


def _rules(quantisation: Quantisation) -> Any:
    import torch
    from coremltools.optimize.torch.quantization import LinearQuantizerConfig

    rules = {
        "quantization_scheme": "symmetric",
        "activation_dtype": torch.quint8,
        "weight_dtype": torch.qint8,
        "weight_per_channel": quantisation.per_channel,
    }
    return LinearQuantizerConfig.from_dict({"global_config": rules})
