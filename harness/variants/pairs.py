"""Finds pairs of layers between which channels can be scaled: layers joined only by operations that keep a scale.

An operation keeps a scale if f(s·x) = s·f(x) for every positive scale s of a channel, as ReLU does (Nagel et al. 2019,
arXiv:1906.04721, §4.1). ReLU6 does not. Calibration inputs cannot show that its bound is never reached: in
`efficientnet_lite0`, channels that none of 40 crops activates reach it on other photos.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.variants.captured import LAYERS, caller_of, operator, owned_tensors, owner_of, shared_parameters

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Node = torch.fx.Node

BRANCHED = "something else reads its output"
OUTPUT = "its output is an output of the network"

_KEEPS_SCALE = ("relu", "relu_", "leaky_relu", "leaky_relu_", "dropout", "dropout_", "clone", "contiguous")
_POOLS = tuple(f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg") for n in (1, 2, 3))
_CLAMPS = ("relu6", "relu6_", "hardtanh", "hardtanh_", "clamp", "clamp_")
CLAMPED = "its output is clamped ({name}), and channels of another scale would be clamped elsewhere"
_FLATTENS = ("flatten", "view", "reshape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two layers by name, the second of which reads only the first.

    ``reason``: why the channels cannot be scaled; the second layer may then be missing.
    """

    first: str
    second: str = ""
    reason: str | None = None


def find_pairs(network: torch.nn.Module, program: ExportedProgram) -> Iterator[Pair]:
    """Yield one pair per call of a convolution or linear layer in ``program``, which was captured from ``network``."""
    owned, shared = owned_tensors(program), shared_parameters(network)
    for node in program.graph.nodes:
        if operator(node) not in LAYERS:
            continue
        first = owner_of(node, owned, 1)
        path, reason = _path(node)
        reason = reason or _why_not_layer(network, node, owned, shared)
        if reason is not None:
            yield Pair(first=first or node.name, reason=reason)
            continue
        second = owner_of(path[-1], owned, 1)
        other = _why_not_layer(network, path[-1], owned, shared) or _why_not_together(network, node, path[-1], owned)
        reason = other and f"the next layer: {other}"
        yield Pair(first=first, second=second, reason=reason)


def _path(layer: Node) -> tuple[list[Node], str | None]:
    """The nodes from ``layer`` to the next layer, which is the last of them, or why there is no such path."""
    path: list[Node] = []
    node = layer
    while True:
        after = next(iter(node.users), None)
        if after is None or len(node.users) > 1:
            return path, BRANCHED if after else "nothing reads its output"
        if after.op == "output":
            return path, OUTPUT
        if operator(after) in LAYERS and after.args[0] is node:
            return [*path, after], None
        if not _keeps_scale(after, node, operator(layer) == "linear"):
            name = operator(after) or after.name
            clamped = CLAMPED.format(name=name)
            return path, clamped if name in _CLAMPS else f"{name} comes between it and the next layer"
        path.append(after)
        node = after


def _keeps_scale(node: Node, source: Node, after_linear: bool) -> bool:
    """Whether ``node`` only passes on ``source``, each channel with its scale and in its place."""
    name = operator(node)
    if node.args[:1] != (source,):
        return False
    if name in _KEEPS_SCALE:
        return True
    # The features of a linear layer are its last dimension, which the following would change.
    if after_linear:
        return False
    if name in _POOLS:
        return True
    if name == "pad":
        return _pads_with_zeros(node, source)
    if name == "mean":
        dims: Any = node.args[1] if len(node.args) > 1 else None
        rank = source.meta["val"].dim()
        return isinstance(dims, list | tuple) and all(dim % rank > 1 for dim in dims)
    if name in _FLATTENS:
        shape = source.meta["val"].shape
        return bool(node.meta["val"].shape == shape[:2] and math.prod(shape[2:]) == 1)
    return False


def _pads_with_zeros(node: Node, source: Node) -> bool:
    pads: Any = node.args[1]
    mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
    value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
    return mode == "constant" and value in (None, 0) and len(pads) // 2 <= source.meta["val"].dim() - 2


def _why_not_layer(network: torch.nn.Module, node: Node, owned: dict[str, str], shared: set[str]) -> str | None:
    """Why the weights of the layer that ``node`` calls cannot be scaled, or None."""
    from torch import nn

    name = owner_of(node, owned, 1)
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
    for tensor in node.all_input_nodes[1:]:
        parameter = owned.get(tensor.name, "")
        if len(tensor.users) > 1 or parameter in shared:
            return f"{parameter} is used more than once"
    if not name or caller_of(node) != name or type(network.get_submodule(name)) not in kinds:
        return "it is not a convolution or linear layer of torch.nn"
    weight = network.get_submodule(name).get_parameter("weight")
    if operator(node) != "linear" and node.meta["val"].dim() != weight.dim():
        return "its input has no batch dimension"
    return None


def _why_not_together(network: torch.nn.Module, first: Node, second: Node, owned: dict[str, str]) -> str | None:
    """Why the channels that ``first`` makes are not those that ``second`` reads, or None."""
    from torch import nn

    made = network.get_submodule(owner_of(first, owned, 1))
    read = network.get_submodule(owner_of(second, owned, 1))
    channels = made.out_features if isinstance(made, nn.Linear) else made.out_channels
    inputs = read.in_features if isinstance(read, nn.Linear) else read.in_channels
    linear = isinstance(made, nn.Linear), isinstance(read, nn.Linear)
    source: Any = second.args[0]
    if channels != inputs or linear == (True, False) or (linear == (False, True) and source.meta["val"].dim() != 2):
        return "its inputs are not the channels of this one"
    return None
