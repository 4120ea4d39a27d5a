"""Finds the activation that follows each layer: a quantiser rounds the output of the activation, not its input."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

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


def _traced(network: torch.nn.Module) -> torch.fx.Graph:
    import torch

    try:
        return torch.fx.symbolic_trace(network).graph
    except (torch.fx.proxy.TraceError, TypeError, RuntimeError, NotImplementedError, ValueError) as error:
        msg = f"the network cannot be traced to see which layers follow each other ({error})"
        raise UnfitError(msg) from error
