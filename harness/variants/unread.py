"""Checks a cut without the code that made it: removing channels must do the same as reading none of them.

torch-pruning follows channels through reshapes, flips and concatenations, and sometimes loses count: the network then
runs, with the wrong channels gone. So the columns that a cut removes are set to zero in the whole network instead. That
must give the outputs of the cut one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.variants.channels import ChannelGroup

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]

# Functions whose result for one channel depends on the others. Channels that nothing reads still count in them.
_MIXING = (
    "layer_norm", "rms_norm", "group_norm", "local_response_norm", "normalize", "rsqrt", "var", "std", "var_mean",
    "norm", "vector_norm", "linalg_norm", "linalg_vector_norm",
)  # fmt: skip
# Float sums in another order differ by far less; other channels by far more.
_TOLERANCE = 1e-3


def mixes_channels(network: torch.nn.Module, example: Tensors) -> bool:
    """Return whether ``network`` normalises over its channels, so that a cut cannot be checked. Runs it once."""
    import torch
    from torch.overrides import TorchFunctionMode

    called: set[str] = set()

    class Names(TorchFunctionMode):
        """Collects the names of all functions that are called."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
            called.add(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Names():
        network(*example)
    return not called.isdisjoint(_MIXING)


def why_other_outputs(
    network: torch.nn.Module, pruned: torch.nn.Module, cuts: Mapping[str, list[int]], groups: list[ChannelGroup],
    example: Tensors,
) -> str | None:  # fmt: skip
    """Return that ``pruned`` does not compute what ``network`` does if it reads no channel of ``cuts``, or None."""
    import torch
    from torch.utils._pytree import tree_leaves

    with torch.no_grad():
        outputs = tree_leaves(pruned(*example))
        with _unread([group for group in groups if group.name in cuts], cuts):
            expected = tree_leaves(network(*example))
    pairs = [(a, b) for a, b in zip(outputs, expected, strict=True) if isinstance(b, torch.Tensor)]
    for output, right in pairs:
        if right.is_floating_point() and float((output - right).abs().max()) > _TOLERANCE * float(right.abs().max()):
            return "removing its channels would change what the other channels compute"
    return None


@contextmanager
def _unread(groups: list[ChannelGroup], cuts: Mapping[str, list[int]]) -> Iterator[None]:
    """Set the weights that read the channels to zero, and put them back afterwards."""
    import torch
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    saved: dict[torch.Tensor, torch.Tensor] = {}
    try:
        for group in groups:
            graph, root = group.items._DG, group.items[0].dep
            for item in graph.get_pruning_group(root.target.module, root.handler, cuts[group.name]):
                layer = item.dep.target.module
                depthwise = getattr(layer, "groups", 1) > 1
                if depthwise or not (isinstance(layer, nn.Linear | _ConvNd) and _reads(graph, item.dep.handler)):
                    continue
                saved.setdefault(layer.weight, layer.weight.detach().clone())
                dim = 0 if isinstance(layer, _ConvTransposeNd) else 1
                layer.weight.data.index_fill_(dim, torch.tensor(item.idxs), 0)
        yield
    finally:
        for weight, values in saved.items():
            weight.data.copy_(values)


def _reads(graph: Any, handler: Any) -> bool:
    return bool(graph.is_in_channel_pruning_fn(handler))
