"""What all ways to Core ML share: importing coremltools without TensorFlow, and its static quantiser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.artifacts.export.pte_integers import floats_only
from harness.spec.recipe import Quantisation, Recipe
from harness.system.packages import hidden

if TYPE_CHECKING:
    import torch

# Words in the names of the quantiser's rules, and the operators that they stand for.
OPERATORS = {"conv": "conv", "bn": "batch_norm", "linear": "linear", "add": "add", "mul": "mul", "matmul": "matmul"}


def import_coremltools() -> Any:
    """Import coremltools with TensorFlow hidden, which it would otherwise import as well: 10 s and a gigabyte."""
    with hidden("tensorflow"):
        import coremltools

    return coremltools


def quantised(source: FloatModel, recipe: Recipe) -> torch.nn.Module:
    """Return the network in int8 weights and activations, annotated by Core ML's quantiser and calibrated."""
    import torch

    import_coremltools()
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    if recipe.quantisation.keep_float is not None:
        msg = "phonebench cannot keep single layers in float with Core ML's quantiser"
        raise UnsupportedError(msg)
    graph = torch.export.export(source.exportable(), source.example()).module()
    prepared = prepare_pt2e(graph, floats_only(_quantizer(recipe.quantisation)))
    with torch.no_grad():
        for item in source.calibration_items(recipe.quantisation):
            prepared(*item)
    converted: torch.nn.Module = convert_pt2e(prepared)
    return converted


def _quantizer(quantisation: Quantisation) -> Any:
    """Return Core ML's quantiser without the rules for operators that the network does not have.

    Each rule exports its patterns again, several hundred in all. For a network of five layers that took 56 s on one
    core, 14 s without the rules that cannot apply, and 2 s without the activations that the network does not have.
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
            with only_activations(operators):
                for name, annotate in _AnnotationPatternRegistry.get_annotators().items():
                    if can_apply(name, operators):
                        annotate(model, _AnnotationConfig.from_quantization_config(quantization_config), filter_fn)

    return Quantizer(_rules(quantisation))


@contextlib.contextmanager
def only_activations(operators: str) -> Iterator[None]:
    """Let the rules try only the activations among ``operators``: each rule has a pattern for every activation.

    The exported operator has the name of the function in torch, with an underscore after it when it works in place.
    """
    from executorch.backends.apple.coreml.quantizer import _coreml_quantizer_utils as utils

    # Whole words, because "relu" contains "elu".
    words = {word.removesuffix("_") for operator in operators.split() for word in operator.split(".")}
    names = ("_supported_activations", "_supported_activations_no_inplace")
    # The rules read these names from their module on every call, and take no argument instead. A worker runs one
    # export at a time, so nothing else sees the shorter lists.
    all_activations = {name: getattr(utils, name) for name in names}
    try:
        for name, functions in all_activations.items():
            setattr(utils, name, tuple(f for f in functions if f.__name__ in words))
        yield
    finally:
        for name, functions in all_activations.items():
            setattr(utils, name, functions)


def can_apply(rule: str, operators: str) -> bool:
    """Return whether a graph with ``operators``, their names in one string, has all that ``rule`` is about."""
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
