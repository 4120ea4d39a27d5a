"""``fuse``: folds batch norms into the convolution and linear layers before them.

Folding is exact in eval mode (Jacob et al. 2018, arXiv:1712.05877, §3.2). Which layers belong together is read from the
graph that `torch.export` captures, the same graph that exporters see. So Python control flow, functional activations
and layers that are used twice are judged by what really runs. The network stays the same module; an identity replaces
each folded batch norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Fuse
from harness.variants.captured import LAYERS, caller_of, captured, operator, owned_tensors, owner_of, shared_parameters
from harness.variants.step import Outcome, StepContext

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Node = torch.fx.Node

NOTHING = "nothing to fold: no batch norm directly follows a convolution or linear layer"

_BATCH_NORMS = ("batch_norm",)
# Activations that runtimes compute in the same pass as the layer before.
_ACTIVATIONS = ("relu", "relu_", "relu6", "relu6_", "hardtanh", "hardtanh_", "clamp", "clamp_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A batch norm, the layer before it, and whether an activation follows. ``reason``: why it cannot be folded."""

    norm: str
    layer: str
    activated: bool
    reason: str | None = None


def apply(network: torch.nn.Module, step: Fuse, context: StepContext) -> Outcome:  # noqa: ARG001  nothing to choose
    """Fold every batch norm that directly follows a convolution or linear layer. Others are left alone."""
    folds = fold_batch_norms(network, context.example())
    folded = [fold for fold in folds if fold.reason is None]
    return Outcome(
        network=network,
        figures={Figure.FOLDED: len(folded), Figure.FOLLOWED_BY_ACTIVATION: sum(f.activated for f in folded)},
        layers=tuple(_report(fold) for fold in folds),
        notes=() if folded else (NOTHING,),
    )


def fold_batch_norms(
    network: torch.nn.Module, example: tuple[torch.Tensor, ...], *, step: str = "fuse"
) -> tuple[Fold, ...]:
    """Fold the batch norms of ``network`` in place where possible, and return all of them.

    ``example``: one tensor per input. Raises `UnfitError`, which names ``step``, when the network cannot be captured.
    """
    folds = tuple(_find_folds(network, captured(network, example, step=step)))
    for fold in folds:
        if fold.reason is None:
            _fold(network, fold)
    return folds


def _report(fold: Fold) -> LayerReport:
    if fold.reason is None:
        return LayerReport(layer=fold.layer, outcome=f"absorbed {fold.norm}")
    return LayerReport(layer=fold.norm, outcome=f"left alone: {fold.reason}")


def _find_folds(network: torch.nn.Module, program: ExportedProgram) -> Iterator[Fold]:
    owned, shared = owned_tensors(program), shared_parameters(network)
    for norm in program.graph.nodes:
        if operator(norm) not in _BATCH_NORMS:
            continue
        layer = norm.all_input_nodes[0]
        # Argument 3 of aten.batch_norm is the running mean, argument 1 of a convolution or linear is the weight.
        names = [owner_of(node, owned, at) for node, at in ((norm, 3), (layer, 1))]
        called = [caller_of(node) for node in (norm, layer)] == names
        reason = _why_not(norm, layer, owned, shared) or _why_not_modules(network, *(names if called else ("", "")))
        activated = any(operator(node) in _ACTIVATIONS for node in norm.users)
        yield Fold(norm=names[0] or norm.name, layer=names[1], activated=activated, reason=reason)


def _why_not(norm: Node, layer: Node, owned: dict[str, str], shared: set[str]) -> str | None:
    """Why the graph does not allow folding, or None."""
    # Argument 5 of aten.batch_norm is ``training``.
    if norm.args[5] is True:
        return "it uses the statistics of each batch"
    if operator(layer) not in LAYERS:
        return "it does not follow a convolution or linear layer"
    if len(layer.users) > 1:
        return "something else reads the output of the layer before it"
    if operator(layer) == "linear" and layer.meta["val"].dim() != 2:
        return "its channels are not the features of the linear layer before it"
    for tensor in (*layer.all_input_nodes[1:], *norm.all_input_nodes[1:]):
        name = owned.get(tensor.name)
        if name is not None and (len(tensor.users) > 1 or name in shared):
            return f"{name} is used more than once"
    return None


def _why_not_modules(network: torch.nn.Module, norm: str, layer: str) -> str | None:
    """Why the modules do not allow folding, or None. They must be plain layers of torch, not subclasses."""
    from torch import nn

    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if not norm or type(network.get_submodule(norm)) not in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return "it is not a batch-norm layer of torch.nn"
    module = network.get_submodule(layer) if layer else None
    if type(module) not in (*convolutions, *transposed, nn.Linear):
        return "the convolution or linear operation before it is not a layer of torch.nn"
    if isinstance(module, transposed) and module.groups > 1:
        return "the transposed convolution before it is grouped"
    return None


def _fold(network: torch.nn.Module, fold: Fold) -> None:
    from torch import nn
    from torch.nn.modules.conv import _ConvTransposeNd
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    layer, norm = network.get_submodule(fold.layer), network.get_submodule(fold.norm)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    if isinstance(layer, nn.Linear):
        network.set_submodule(fold.layer, fuse_linear_bn_eval(layer, norm))
    else:
        transposed = isinstance(layer, _ConvTransposeNd)
        network.set_submodule(fold.layer, fuse_conv_bn_eval(layer, norm, transpose=transposed))  # type: ignore[type-var]
    network.set_submodule(fold.norm, nn.Identity())
