"""``fuse``: batch norms folded into the convolutions and linears before them.

The folding is exact arithmetic in eval mode (Jacob et al. 2018, arXiv:1712.05877, §3.2). The one decision: which layers
belong together is read from the graph that `torch.export` captures, which is the one that exporters see, so that a
forward of any Python, functional activations and layers used twice are judged by what really runs. The network itself
stays the module that it was, its folded batch norms replaced by identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Fuse
from harness.variants.step import Outcome, StepContext, UnfitError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Node = torch.fx.Node

NOTHING = "nothing to fold: no batch norm comes straight after a convolution or linear layer"

_BATCH_NORMS = ("batch_norm",)
_LAYERS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear")
# What runtimes compute in the same pass as the layer before it.
_ACTIVATIONS = ("relu", "relu_", "relu6", "relu6_", "hardtanh", "hardtanh_", "clamp", "clamp_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A batch norm, the layer before it, whether an activation comes next, and why it cannot be folded if it cannot."""

    norm: str
    layer: str
    activated: bool
    reason: str | None = None


def apply(network: torch.nn.Module, step: Fuse, context: StepContext) -> Outcome:  # noqa: ARG001  nothing to choose
    """Fold every batch norm whose only input is a convolution or linear; a network without any is left as it is."""
    found = fold_batch_norms(network, context.example())
    folded = [fold for fold in found if fold.reason is None]
    return Outcome(
        network=network,
        figures={Figure.FOLDED: len(folded), Figure.FOLLOWED_BY_ACTIVATION: sum(f.activated for f in folded)},
        layers=tuple(_told(fold) for fold in found),
        notes=() if folded else (NOTHING,),
    )


def fold_batch_norms(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> tuple[Fold, ...]:
    """Fold what can be folded in ``network``, in place, and return every batch norm that was found.

    ``example`` holds one tensor an input. Raises `UnfitError` when the network cannot be captured.
    """
    found = tuple(_found(network, _captured(network, example)))
    for fold in found:
        if fold.reason is None:
            _fold(network, fold)
    return found


def _told(fold: Fold) -> LayerReport:
    if fold.reason is None:
        return LayerReport(layer=fold.layer, outcome=f"took in {fold.norm}")
    return LayerReport(layer=fold.norm, outcome=f"left alone: {fold.reason}")


def _captured(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> ExportedProgram:
    import torch

    try:
        return torch.export.export(network, example, strict=False)
    # Capturing runs the network's own Python on stand-ins, which can raise anything.
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), "")
        msg = (
            f"the network cannot be captured by torch.export to see which layers follow each other "
            f"({type(error).__name__}: {first}); leave the step 'fuse' out"
        )
        raise UnfitError(msg) from error


def _found(network: torch.nn.Module, program: ExportedProgram) -> Iterator[Fold]:
    signature = program.graph_signature
    owned = dict(signature.inputs_to_parameters) | dict(signature.inputs_to_buffers)
    holders = Counter(id(p) for _, p in network.named_parameters(remove_duplicate=False))
    shared = {name for name, p in network.named_parameters(remove_duplicate=False) if holders[id(p)] > 1}
    for norm in program.graph.nodes:
        if _operator(norm) not in _BATCH_NORMS:
            continue
        layer = norm.all_input_nodes[0]
        names = [_module_of(node, owned, at) for node, at in ((norm, 3), (layer, 1))]
        called = [_called(node) for node in (norm, layer)] == names
        reason = _why_not(norm, layer, owned, shared) or _why_not_modules(network, *(names if called else ("", "")))
        activated = any(_operator(node) in _ACTIVATIONS for node in norm.users)
        yield Fold(norm=names[0] or norm.name, layer=names[1], activated=activated, reason=reason)


def _operator(node: Node) -> str:
    """The name of an ATen operator without its namespace and overload, empty for other nodes."""
    import torch

    return node.target.overloadpacket.__name__ if isinstance(node.target, torch._ops.OpOverload) else ""


def _module_of(node: Node, owned: dict[str, str], position: int) -> str:
    """The module that holds the tensor which ``node`` takes at ``position``; empty when no module does."""
    import torch

    held = node.args[position] if len(node.args) > position else None
    return owned.get(held.name, "").rpartition(".")[0] if isinstance(held, torch.fx.Node) else ""


def _called(node: Node) -> str:
    """The module in whose forward ``node`` is, empty for the network's own."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def _why_not(norm: Node, layer: Node, owned: dict[str, str], shared: set[str]) -> str | None:
    """Why the graph does not allow the folding."""
    if norm.args[5] is True:
        return "it takes the statistics of each batch"
    if _operator(layer) not in _LAYERS:
        return "what comes before it is no convolution or linear layer"
    if len(layer.users) > 1:
        return "something else reads what comes before it"
    if _operator(layer) == "linear" and layer.meta["val"].dim() != 2:
        return "its channels are not the features of the linear layer before it"
    for held in (*layer.all_input_nodes[1:], *norm.all_input_nodes[1:]):
        name = owned.get(held.name)
        if name is not None and (len(held.users) > 1 or name in shared):
            return f"{name} is used more than once"
    return None


def _why_not_modules(network: torch.nn.Module, norm: str, layer: str) -> str | None:
    """Why the modules that hold the tensors do not allow it: they must be the plain layers of torch."""
    from torch import nn

    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if not norm or type(network.get_submodule(norm)) not in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return "it is no layer of its own"
    found = network.get_submodule(layer) if layer else None
    if type(found) not in (*convolutions, *transposed, nn.Linear):
        return "the convolution or linear before it is no layer of its own"
    if isinstance(found, transposed) and found.groups > 1:
        return "the transposed convolution before it is grouped"
    return None


def _fold(network: torch.nn.Module, fold: Fold) -> None:
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    layer, norm = network.get_submodule(fold.layer), network.get_submodule(fold.norm)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    if isinstance(layer, nn.Linear):
        network.set_submodule(fold.layer, fuse_linear_bn_eval(layer, norm))
    else:
        transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        network.set_submodule(fold.layer, fuse_conv_bn_eval(layer, norm, transpose=transposed))  # type: ignore[type-var]
    network.set_submodule(fold.norm, nn.Identity())
