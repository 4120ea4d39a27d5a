"""Scales of channels that make the weights of two layers equally large (Nagel et al. 2019, arXiv:1906.04721, §4.1).

The first layer's channel i is divided by s_i and the second layer's weights for it are multiplied by s_i. With weight
ranges r1_i and r2_i, s_i = sqrt(r1_i / r2_i) gives both the same range. Layers that are in two pairs make this an
iteration. One limit is not in the paper: no channel grows far beyond the others, because all share one range of
activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.variants.pairs import Pair

if TYPE_CHECKING:
    import torch

# A channel may become this many times as large as the typical one, or stay as large relative to it as it is.
OUTLIER = 8.0
# The scales have settled once none changes by more than this share.
SETTLED, ROUNDS = 1e-5, 200


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """One pair with the scale of each channel. ``largest``: the largest observed magnitude of each channel.

    ``scale`` and ``largest`` have the shape ``(channels,)``.
    """

    pair: Pair
    largest: torch.Tensor
    scale: torch.Tensor


def link(pair: Pair, largest: torch.Tensor) -> Link:
    """Return ``pair`` with scales of 1."""
    import torch

    largest = largest.double()
    return Link(pair=pair, largest=largest, scale=torch.ones_like(largest))


def settle(links: Sequence[Link], layers: Mapping[str, torch.nn.Module]) -> None:
    """Find the scales of ``links``; ``layers`` are the modules by name, which stay unchanged."""
    weights = {name: blocks(layer) for name, layer in layers.items()}
    for _ in range(ROUNDS):
        if max((_improve(one, weights) for one in links), default=0.0) < SETTLED:
            return


def write(links: Sequence[Link], layers: Mapping[str, torch.nn.Module]) -> None:
    """Scale the weights and biases of ``layers`` in place."""
    import torch

    weights = {name: blocks(layer) for name, layer in layers.items()}
    with torch.no_grad():
        for one in links:
            _scale(weights, one.pair, one.scale)
            bias = layers[one.pair.first].bias
            if isinstance(bias, torch.Tensor):
                bias.copy_(bias.double() / one.scale)
        for name, layer in layers.items():
            weight = layer.get_parameter("weight")
            block = weights[name].transpose(1, 2) if _is_transposed(layer) else weights[name]
            weight.copy_(block.reshape(weight.shape))


def blocks(layer: torch.nn.Module) -> torch.Tensor:
    """Return a float64 copy of the weight, shape ``(groups, outputs per group, inputs per group, kernel elements)``."""
    weight = layer.get_parameter("weight").detach().double()
    groups = int(getattr(layer, "groups", 1))
    # The weight of a transposed convolution has its input channels first.
    block = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    return (block.transpose(1, 2) if _is_transposed(layer) else block).clone()


def _is_transposed(layer: torch.nn.Module) -> bool:
    from torch.nn.modules.conv import _ConvTransposeNd

    return isinstance(layer, _ConvTransposeNd)


def ranges(weights: Mapping[str, torch.Tensor], pair: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest magnitude of each channel's weights in the first and in the second layer of ``pair``."""
    made = weights[pair.first].abs().amax(dim=(2, 3)).flatten()
    read = weights[pair.second].abs().amax(dim=(1, 3)).flatten()
    return made, read


def _scale(weights: Mapping[str, torch.Tensor], pair: Pair, scale: torch.Tensor) -> None:
    first, second = weights[pair.first], weights[pair.second]
    first.div_(scale.reshape(first.shape[0], first.shape[1], 1, 1))
    second.mul_(scale.reshape(second.shape[0], 1, second.shape[2], 1))


def _improve(one: Link, weights: Mapping[str, torch.Tensor]) -> float:
    """Scale one pair, and return by how much any scale changed, as a logarithm."""
    import torch

    made, read = ranges(weights, one.pair)
    # A channel without weights has no range to equalise.
    free = (made > 0) & (read > 0)
    if not bool(free.any()):
        return 0.0
    whole = torch.where(free, one.scale * (made / read).sqrt(), one.scale)
    whole = torch.where(free, torch.maximum(whole, _least(one, whole)), one.scale)
    change = whole / one.scale
    _scale(weights, one.pair, change)
    one.scale = whole
    return float(change.log().abs().max())


def _least(one: Link, scale: torch.Tensor) -> torch.Tensor:
    """The smallest scale of each channel, below which it would become too large."""
    import torch

    live = one.largest > 0
    if not bool(live.any()):
        return torch.zeros_like(scale)
    was = one.largest / one.largest[live].median()
    return one.largest / ((one.largest / scale)[live].median() * was.clamp(min=OUTLIER))
