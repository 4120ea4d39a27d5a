"""``fuse``: batch norms folded into the convolutions and linears before them.

The folding is exact arithmetic in eval mode (Jacob et al. 2018, arXiv:1712.05877, §3.2). Which layers belong together
is read from the traced graph; the network itself stays the module that it was, its batch norms replaced by identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.recipe import Fuse
from harness.stepreport import Figure, LayerReport
from harness.variants.step import Outcome, StepContext, UnfitError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Names of a layer and of the batch norm that alone reads it, and whether an activation comes next."""

    layer: str
    norm: str
    activated: bool


def apply(network: torch.nn.Module, step: Fuse, context: StepContext) -> Outcome:  # noqa: ARG001  nothing to choose
    """Fold every batch norm whose only input is a convolution or linear; a network without any is left as it is."""
    pairs = fold_norms(network)
    if not pairs:
        return Outcome(
            network=network,
            figures={Figure.FOLDED: 0},
            notes=("nothing to fold: no batch norm comes straight after a convolution or linear layer",),
        )
    return Outcome(
        network=network,
        figures={Figure.FOLDED: len(pairs), Figure.FOLLOWED_BY_ACTIVATION: sum(p.activated for p in pairs)},
        layers=tuple(LayerReport(layer=p.layer, outcome=f"took in {p.norm}") for p in pairs),
    )


def fold_norms(network: torch.nn.Module) -> tuple[Pair, ...]:
    """Fold the batch norms of ``network`` in place and return which. Raises `UnfitError` when it cannot be traced."""
    pairs = tuple(_pairs(network))
    for pair in pairs:
        _fold(network, pair)
    return pairs


def activations(network: torch.nn.Module) -> dict[str, str]:
    """Return by layer the name of the activation module that alone reads it; modules that are called once alone count.

    Identities, which folding leaves, are looked through. Raises `UnfitError` when the network cannot be traced.
    """
    from torch import nn

    graph, modules = _traced(network), dict(network.named_modules())
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    kinds = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.SiLU, nn.GELU)
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], kinds) or calls[str(node.target)] > 1:
            continue
        before = node.args[0]
        while before.op == "call_module" and isinstance(modules[str(before.target)], nn.Identity):
            before = before.args[0] if len(before.users) == 1 else node
        if before.op == "call_module" and before is not node and len(before.users) == 1:
            found[str(before.target)] = str(node.target)
    return found


def _traced(network: torch.nn.Module) -> torch.fx.Graph:
    import torch

    try:
        return torch.fx.symbolic_trace(network).graph
    except (torch.fx.proxy.TraceError, TypeError, RuntimeError, NotImplementedError, ValueError) as error:
        msg = f"fuse: the network cannot be traced to see which layers follow each other ({error}); leave the step out"
        raise UnfitError(msg) from error


def _pairs(network: torch.nn.Module) -> Iterator[Pair]:
    """Find layers and their norms in the traced graph; a module that is called twice cannot be folded."""
    from torch import nn

    graph = _traced(network)
    modules = dict(network.named_modules())
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], norms):
            continue
        before = node.args[0]
        if before.op != "call_module" or not isinstance(modules[str(before.target)], layers) or len(before.users) > 1:
            continue
        if calls.count(str(before.target)) > 1 or calls.count(str(node.target)) > 1:
            continue
        yield Pair(layer=str(before.target), norm=str(node.target), activated=_activated(node, modules))


def _activated(norm: torch.fx.Node, modules: dict[str, torch.nn.Module]) -> bool:
    from torch import nn
    from torch.nn import functional

    after = next(iter(norm.users), None)
    if after is None:
        return False
    if after.op == "call_module":
        return isinstance(modules[str(after.target)], nn.ReLU | nn.ReLU6 | nn.Hardtanh)
    return after.target in (functional.relu, functional.relu6, functional.hardtanh)


def _fold(network: torch.nn.Module, pair: Pair) -> None:
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    layer, norm = network.get_submodule(pair.layer), network.get_submodule(pair.norm)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    if isinstance(layer, nn.Linear):
        network.set_submodule(pair.layer, fuse_linear_bn_eval(layer, norm))
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        network.set_submodule(pair.layer, fuse_conv_bn_eval(layer, norm))
    network.set_submodule(pair.norm, nn.Identity())
