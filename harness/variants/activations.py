"""Finds the activation that follows each layer: a quantiser rounds the output of the activation, not its input."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from harness.errors import typed_line
from harness.variants.step import UnfitError

if TYPE_CHECKING:
    import torch


def activations(network: torch.nn.Module) -> dict[str, str]:
    """Return, by layer name, the name of the activation module that is the only reader of the layer's output.

    Only modules that are called once count. Identities, which folding batch norms leaves behind, are skipped over.
    Raises `UnfitError` when the network cannot be traced.
    """
    from torch import nn

    graph, modules = _traced(network), dict(network.named_modules())
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    kinds = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.SiLU, nn.GELU)
    activation_by_layer: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], kinds) or calls[str(node.target)] > 1:
            continue
        before = node.args[0]
        while before.op == "call_module" and isinstance(modules[str(before.target)], nn.Identity):
            before = before.args[0] if len(before.users) == 1 else node
        if before.op == "call_module" and before is not node and len(before.users) == 1:
            activation_by_layer[str(before.target)] = str(node.target)
    return activation_by_layer


def clamps(network: torch.nn.Module) -> dict[str, tuple[float, float]]:
    """Return, by layer name, the limits of the clamp that alone reads the layer's output, as a module or a function.

    To round such an output within the limits is the same as to round it after the clamp, so this also covers
    activations that are called more than once or are no modules. Raises `UnfitError` as `activations` does.
    """
    graph, modules = _traced(network), dict(network.named_modules())
    limits_by_layer: dict[str, tuple[float, float]] = {}
    for node in graph.nodes:
        limits = (0.0, math.inf) if is_relu(node, modules) else clamp_limits(node, modules)
        before: Any = node.args[0] if limits else None
        while _is_identity(before, modules) and len(before.users) == 1:
            before = before.args[0]
        if limits and getattr(before, "op", "") == "call_module" and len(before.users) == 1:
            limits_by_layer[str(before.target)] = limits
    return limits_by_layer


def is_relu(node: Any, modules: dict[str, Any]) -> bool:
    """Return whether ``node`` of a graph of `torch.fx` is a ReLU without an upper limit, as a module or a function."""
    import torch
    from torch import nn
    from torch.nn import functional

    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.ReLU)
    return _is_call(node) and node.target in (functional.relu, torch.relu, torch.relu_, "relu", "relu_")


def _is_call(node: Any) -> bool:
    """Whether ``node`` calls a function or method, and is not an input or a parameter of the same name."""
    return node.op in ("call_function", "call_method")


def _is_identity(node: Any, modules: dict[str, Any]) -> bool:
    from torch import nn

    return getattr(node, "op", "") == "call_module" and isinstance(modules[str(node.target)], nn.Identity)


def clamp_limits(node: Any, modules: dict[str, Any]) -> tuple[float, float] | None:
    """Return the limits of a clamp other than ReLU in a graph of `torch.fx`; None for other nodes and tensor limits."""
    import torch
    from torch.nn import functional

    if node.op == "call_module" and isinstance(modules[str(node.target)], torch.nn.Hardtanh):
        module = modules[str(node.target)]
        return float(module.min_val), float(module.max_val)
    if not _is_call(node):
        return None
    if node.target in (functional.relu6, "relu6"):
        return 0.0, 6.0
    hardtanh = node.target in (functional.hardtanh, functional.hardtanh_)
    if not hardtanh and node.target not in (torch.clamp, "clamp"):
        return None
    names = ("min_val", "max_val") if hardtanh else ("min", "max")
    bounds = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
    low, high = (bounds.get(name, default) for name, default in zip(names, _defaults(hardtanh=hardtanh), strict=True))
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return (float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) else None


def _defaults(*, hardtanh: bool) -> tuple[float, float]:
    return (-1.0, 1.0) if hardtanh else (-math.inf, math.inf)


def _traced(network: torch.nn.Module) -> torch.fx.Graph:
    import torch

    try:
        return torch.fx.symbolic_trace(network).graph
    # Tracing runs the network's own Python on stand-ins for tensors, which can raise anything.
    except Exception as error:
        msg = f"the network cannot be traced to see which layers follow each other ({typed_line(error)})"
        raise UnfitError(msg) from error
