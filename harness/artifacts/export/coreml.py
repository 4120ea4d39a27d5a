"""What every way to Core ML shares: coremltools without TensorFlow, its precisions, and its static quantiser."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.spec.recipe import Quantisation, Recipe

if TYPE_CHECKING:
    import torch

# Parts of the names of the quantiser's rules, and what the operators are called that they are about.
OPERATORS = {"conv": "conv", "bn": "batch_norm", "linear": "linear", "add": "add", "mul": "mul", "matmul": "matmul"}


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
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    if recipe.quantisation.keep_float is not None:
        msg = "Core ML's quantiser is not told layers to keep in float here"
        raise UnsupportedError(msg)
    graph = torch.export.export(source.exportable(), source.example()).module()
    prepared = prepare_pt2e(graph, _quantizer(recipe.quantisation))
    with torch.no_grad():
        for item in source.calibration_items(recipe.quantisation):
            prepared(*item)
    converted: torch.nn.Module = convert_pt2e(prepared)
    return converted


def _quantizer(quantisation: Quantisation) -> Any:
    """Core ML's quantiser, without the rules for operators that the network does not have.

    Each rule exports its patterns anew, several hundred of them in all: 56 s of one core for a network of five layers,
    and 14 s without the rules that cannot apply.
    """
    from executorch.backends.apple.coreml.quantizer import CoreMLQuantizer
    from executorch.backends.apple.coreml.quantizer._coreml_quantizer import (
        _AnnotationConfig,
        _AnnotationPatternRegistry,
    )

    class Quantizer(CoreMLQuantizer):  # type: ignore[misc]  # a class of an untyped package
        """Annotates by the rules that can apply."""

        def _annotate_all_patterns(self, model: Any, quantization_config: Any, filter_fn: Any = None) -> None:
            operators = " ".join(str(node.target) for node in model.graph.nodes if node.op == "call_function")
            for name, annotate in _AnnotationPatternRegistry.get_annotators().items():
                if can_apply(name, operators):
                    annotate(model, _AnnotationConfig.from_quantization_config(quantization_config), filter_fn)

    return Quantizer(_rules(quantisation))


def can_apply(rule: str, operators: str) -> bool:
    """Return whether ``operators``, the names of a graph's operators, hold all that a quantiser's rule is about."""
    return all(word in operators for part, word in OPERATORS.items() if part in rule.split("_"))


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
