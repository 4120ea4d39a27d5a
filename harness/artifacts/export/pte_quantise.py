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
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from harness.variants import captured

if TYPE_CHECKING:
    import torch

    Node = torch.fx.Node

# Activations by their names in ATen, in the only forms that XNNPACK computes together with a layer.
_FUSED = ("relu", "hardtanh")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d")
_LAYERS = ("conv1d", "conv2d", "linear", *_TRANSPOSED)


# All operators with weights of their own.
_WEIGHTED = (*_LAYERS, "conv3d", "conv_transpose3d", "lstm", "gru", "rnn_tanh", "rnn_relu", "embedding", "matmul", "mm",
             "einsum", "bilinear")  # fmt: skip

# Convolutions over two dimensions that replace those over one: operator, overload, and each setting's neutral value.
_WIDER = {
    "conv1d": (("conv2d", "default"), (1, 0, 1, 1)),
    "conv_transpose1d": (("conv_transpose2d", "input"), (1, 0, 0, 1, 1)),
}

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
    """Let zero padding that only float operators read, or nothing at all, stay in float.

    A pass of XNNPACK's backend quantises every padding with zeros whose input was quantised, for the layer after it. If
    that layer is in float, the backend then refuses it: weight and input "should both be quantized". At the end of a
    network it writes a file that cannot be loaded. The pass leaves other values alone, so zero is replaced by a number
    that is too small to matter.
    """
    for node in converted.graph.nodes:
        if operator(node) not in ("pad", "constant_pad_nd") or not _is_dequantised(node.args[0]):
            continue
        zero = (*node.args[2:], *node.kwargs.values()) in ((), (0,), ("constant",), ("constant", None), ("constant", 0))
        if zero and not any(map(_reads_integers, node.users)):
            mode = ("constant",) if operator(node) == "pad" else ()
            node.args, node.kwargs = (*node.args[:2], *mode, NEARLY_ZERO), {}
    converted.recompile()


def widen_float_rows(converted: Any) -> None:
    """Replace convolutions over one dimension that are in float by the same over two, one of them of size one.

    XNNPACK's backend does this by itself, and quantises what it puts before and after the layer if what is there was
    quantised. For a layer with weights in float it then raises "weight and input should both be quantized", or writes a
    file that cannot be loaded.
    """
    for node in list(converted.graph.nodes):
        weight = node.args[1] if operator(node) in _WIDER else None
        if weight is not None and weight.op == "get_attr":
            _widen(converted, node)
    converted.graph.eliminate_dead_code()
    converted.recompile()


def _widen(converted: Any, node: Any) -> None:
    import torch

    aten, graph = torch.ops.aten, converted.graph
    wide, neutral = _WIDER[operator(node)]
    source, weight, bias = (*node.args[:3], None)[:3]
    settings = node.args[3:]
    target = f"{weight.target}_wide".replace(".", "_")
    converted.register_buffer(target, attrgetter(str(weight.target))(converted).detach().unsqueeze(2))
    # A setting is a list of one number, a number for groups, or a word for the padding.
    widened = [[default, *setting] if isinstance(setting, list | tuple) else setting
               for setting, default in zip(settings, neutral, strict=False)]  # fmt: skip
    overload = "padding" if any(isinstance(setting, str) for setting in settings) else wide[1]
    with graph.inserting_before(node):
        rows = graph.call_function(aten.unsqueeze.default, (source, 2))
        values = graph.get_attr(target)
        operation = getattr(getattr(aten, wide[0]), overload)
        result = graph.call_function(operation, (rows, values, bias, *widened))
        same = graph.call_function(aten.squeeze.dim, (result, 2))
    same.meta = dict(node.meta)
    node.replace_all_uses_with(same)
    graph.erase_node(node)


def float_layers(converted: Any) -> list[tuple[str, str]]:
    """Return the layers of a quantised graph that are in float: the names of their modules, and their operators."""
    layers: list[tuple[str, str]] = []
    for node in converted.graph.nodes:
        # A quantised weight is read by the node that dequantises it.
        constants = [source for source in node.all_input_nodes if source.op == "get_attr"]
        weights = [attrgetter(str(constant.target))(converted) for constant in constants]
        if operator(node) in _WEIGHTED and any(w.dim() > 1 and w.is_floating_point() for w in weights):
            stack = list(node.meta.get("nn_module_stack", {}).values())
            name = str(stack[-1][0]).removeprefix("L['self'].") if stack else ""
            layers.append((name, operator(node)))
    return layers


def _reads_integers(node: Any) -> bool:
    return "quantize" in str(node.target) or (operator(node) in _LAYERS and _is_dequantised(node.args[1]))


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
