"""The graph that `torch.export` captures of a network, and which of the network's modules its nodes belong to.

It is the graph that exporters see, so steps that read it judge Python control flow, functional activations and layers
that are called twice by what really runs.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.errors import typed_line
from harness.variants.step import UnfitError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Node = torch.fx.Node

# The operators of convolution and linear layers.
LAYERS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear")


def captured(network: torch.nn.Module, example: tuple[torch.Tensor, ...], *, step: str) -> ExportedProgram:
    """Return the graph of ``network`` for ``example``, one tensor per input.

    Raises `UnfitError`, which advises to leave out ``step``, when the network cannot be captured.
    """
    import torch

    try:
        # Non-strict export runs the forward as ordinary Python, which works for more networks than tracing bytecode.
        return torch.export.export(network, example, strict=False)
    # Capturing runs the network's own Python on placeholder tensors, which can raise anything.
    except Exception as error:
        msg = (
            f"torch.export cannot capture the network to find the batch norms and the layers before them "
            f"({typed_line(error)}); leave out the step {step!r}"
        )
        raise UnfitError(msg) from error


def owned_tensors(program: ExportedProgram) -> dict[str, str]:
    """Return, by the name of its node, the full name of each parameter and buffer in the network."""
    signature = program.graph_signature
    return dict(signature.inputs_to_parameters) | dict(signature.inputs_to_buffers)


def shared_parameters(network: torch.nn.Module) -> set[str]:
    """Return the names of parameters that have more than one name."""
    named = list(network.named_parameters(remove_duplicate=False))
    holders = Counter(id(parameter) for _, parameter in named)
    return {name for name, parameter in named if holders[id(parameter)] > 1}


def operator(node: Node) -> str:
    """Return the name of an ATen operator without namespace and overload; empty for other nodes."""
    import torch

    return node.target.overloadpacket.__name__ if isinstance(node.target, torch._ops.OpOverload) else ""


def owner_of(node: Node, owned: dict[str, str], position: int) -> str:
    """Return the name of the module that owns the tensor which ``node`` takes at ``position``; empty if none does."""
    import torch

    argument = node.args[position] if len(node.args) > position else None
    return owned.get(argument.name, "").rpartition(".")[0] if isinstance(argument, torch.fx.Node) else ""


def caller_of(node: Node) -> str:
    """Return the name of the module whose forward contains ``node``; empty for the network itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""
