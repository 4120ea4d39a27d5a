"""XNNPACK's quantiser for ``.pte``, with the annotations that it lacks.

ExecuTorch 1.4 annotates a convolution and the ReLU after it as one, but not a convolution and a ReLU6, which the graph
calls ``hardtanh``. It then quantises the output of the convolution before the clamp, and the clamp shares that wide
range, although XNNPACK computes both in one kernel. Here such pairs are annotated as one. So are a linear layer and an
activation outside of its module. The mean over an image gets a range of its own, because its values are much smaller
than those it is the mean of.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.variants import captured

if TYPE_CHECKING:
    import torch

    Node = torch.fx.Node

# Activations by their names in ATen, in the only forms that XNNPACK computes together with a layer.
_FUSED = ("relu", "hardtanh")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d")
_LAYERS = ("conv1d", "conv2d", "linear", *_TRANSPOSED)


# Less than any quantisation step, and no zero for ExecuTorch.
NEARLY_ZERO = 1e-30


def operator(node: Any) -> str:
    """Return the name of an ATen operator, without overload and without the mark of an in-place operation."""
    import torch

    return captured.operator(node).rstrip("_") if isinstance(node, torch.fx.Node) else ""


def normalise_clamps(graph: torch.fx.GraphModule) -> None:
    """Replace ``relu6`` and ``clamp`` between two numbers by ``hardtanh``, and ``clamp`` from zero by ``relu``."""
    import torch

    aten = torch.ops.aten
    for node in list(graph.graph.nodes):
        limits = _limits(node)
        if limits is None:
            continue
        with graph.graph.inserting_before(node):
            if limits[1] == math.inf:
                same = graph.graph.call_function(aten.relu.default, (node.args[0],))
            else:
                same = graph.graph.call_function(aten.hardtanh.default, (node.args[0], *limits))
        same.meta = dict(node.meta)
        node.replace_all_uses_with(same)
        graph.graph.erase_node(node)
    graph.recompile()


def _limits(node: Any) -> tuple[float, float] | None:
    """The limits of a clamp that ReLU or hardtanh can express, infinity for none above; None for other nodes."""
    name = operator(node)
    if name == "relu6":
        return 0.0, 6.0
    if name not in ("clamp", "clamp_min"):
        return None
    bounds = dict(zip(("min", "max"), node.args[1:], strict=False)) | node.kwargs
    low, high = bounds.get("min"), bounds.get("max", math.inf)
    high = math.inf if high is None else high
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not low < high:
        return None
    return (float(low), float(high)) if low == 0 or high < math.inf else None


def keep_pads_float(converted: Any) -> None:
    """Let zero padding before a layer in float stay in float.

    A pass of XNNPACK's backend quantises every padding with zeros whose input was quantised, for the layer after it. If
    that layer is in float, the backend then refuses it: weight and input "should both be quantized". The pass leaves
    other values alone, so zero is replaced by a number that is too small to matter.
    """
    for node in converted.graph.nodes:
        if operator(node) not in ("pad", "constant_pad_nd") or not _is_dequantised(node.args[0]):
            continue
        zero = (*node.args[2:], *node.kwargs.values()) in ((), (0,), ("constant",), ("constant", None), ("constant", 0))
        if zero and any(operator(user) in _LAYERS and not _is_dequantised(user.args[1]) for user in node.users):
            mode = ("constant",) if operator(node) == "pad" else ()
            node.args, node.kwargs = (*node.args[:2], *mode, NEARLY_ZERO), {}
    converted.recompile()


def _is_dequantised(node: Any) -> bool:
    return "dequantize" in str(getattr(node, "target", ""))


@functools.cache
def pair_quantizer() -> type[Any]:
    """Return a subclass of XNNPACK's quantiser that first annotates what this module is about."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer

    class PairQuantizer(XNNPACKQuantizer):  # type: ignore[misc]
        """XNNPACK's quantiser after the annotations of this module."""

        def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            """Annotate ``model``."""
            config = self.global_config
            if config is not None and not config.input_activation.is_dynamic:
                _annotate(model, config, self.filter_fn or (lambda _: True))
            annotated: torch.fx.GraphModule = super().annotate(model)
            return annotated

    return PairQuantizer


def _annotate(model: torch.fx.GraphModule, config: Any, chosen: Callable[[Node], bool]) -> None:
    nodes: list[Any] = list(model.graph.nodes)
    for node in nodes:
        if operator(node) in _FUSED and chosen(node) and chosen(node.args[0]):
            _annotate_pair(node, config)
        elif _is_mean_of_image(node) and chosen(node):
            _set(node, {node.args[0]: config.input_activation}, config.output_activation)


def _annotate_pair(activation: Any, config: Any) -> None:
    """Annotate a layer and the ``activation`` that alone reads it: no range between them, one after them."""
    layer = activation.args[0]
    if operator(layer) not in _LAYERS or len(layer.users) > 1:
        return
    source, weight, *bias = layer.args[:3]
    weight_spec = config.weight
    if operator(layer) in _TRANSPOSED:
        # The output channels of a transposed convolution are the second dimension of its weight, but with groups they
        # are only a part of them, which no scale per channel can describe.
        if weight.meta["val"].shape[1] != layer.meta["val"].shape[1]:
            return
        weight_spec = dataclasses.replace(weight_spec, ch_axis=1)
    specs = {source: config.input_activation, weight: weight_spec}
    constants = [weight, *(constant for constant in bias if constant is not None)]
    for constant in constants[1:]:
        specs[constant] = config.bias
    _set(layer, specs, None)
    _set(activation, {}, config.output_activation)
    for constant in constants:
        _set(constant, {}, None)


def _is_mean_of_image(node: Any) -> bool:
    """Whether ``node`` averages each channel of an image to one value, which XNNPACK computes in integers."""
    name = operator(node)
    if name == "adaptive_avg_pool2d":
        return tuple(node.meta["val"].shape[-2:]) == (1, 1)
    if name != "mean" or len(node.args) < 3 or not node.args[2]:
        return False
    shape, dims = node.args[0].meta["val"].shape, node.args[1]
    return len(shape) == 4 and sorted(dim % 4 for dim in dims) == [2, 3]


def _set(node: Node, inputs: dict[Any, Any], output: Any) -> None:
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(input_qspec_map=inputs, output_qspec=output, _annotated=True)
