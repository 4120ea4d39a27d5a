"""``equalise``: scales channels between two layers until both have weights of the same range.

Cross-layer equalisation (Nagel et al. 2019, arXiv:1906.04721, §4.1; Meller et al. 2019, arXiv:1902.01917). Where the
channels of a layer differ much in size, one scale for all of them rounds the small ones to nothing. Batch norms are
folded first. The network computes what it did before, which is checked on the calibration inputs, so any format and any
quantiser can follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Equalise
from harness.variants.captured import captured
from harness.variants.datafree import calibration_items
from harness.variants.pairs import Pair, find_pairs
from harness.variants.scales import Link, link, settle, write
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.steps.fuse import fold_batch_norms

if TYPE_CHECKING:
    import torch

    Items = Sequence[tuple[torch.Tensor, ...]]
    Outputs = list[list[torch.Tensor]]

# How far outputs may move, relative to the largest value of the same output. Float rounding is far below.
TOLERANCE = 1e-3


def apply(network: torch.nn.Module, step: Equalise, context: StepContext) -> Outcome:
    """Equalise every pair of layers that are joined only by operations that keep a scale. Others are left alone.

    Raises `UnfitError` when there is no such pair, when the network cannot be captured, or when there are no inputs of
    the kind that ``step`` asks for.
    """
    items = calibration_items(step.calibration, context)
    fold_batch_norms(network, context.example(), step="equalise")
    pairs = tuple(find_pairs(network, captured(network, context.example(), step="equalise")))
    free = [pair for pair in pairs if pair.reason is None]
    largest, expected = _observe(network, free, items)
    links = [link(pair, largest[pair.first]) for pair in free if pair.first in largest]
    different = _scale_what_stays_equal(network, links, items, expected)
    scaled = [one for one in links if one.pair.first not in different and _is_scaled(one)]
    if not scaled:
        reasons = sorted({pair.reason for pair in pairs if pair.reason} | set(different.values()))
        msg = f"equalise: the network has no two layers between which channels can be scaled ({'; '.join(reasons[:3])})"
        raise UnfitError(msg)
    return Outcome(
        network=network,
        figures={Figure.PAIRS_EQUALISED: len(scaled)},
        layers=tuple(_reports(pairs, {one.pair.first: one for one in links}, different)),
    )


def _outputs(network: torch.nn.Module, items: Items) -> Outputs:
    """The float tensors that ``network`` returns for each of ``items``."""
    import torch
    from torch.utils._pytree import tree_leaves

    outputs = []
    with torch.no_grad():
        for item in items:
            # Clones, because a network may change its inputs in place, and may return one of its buffers.
            leaves: list[Any] = tree_leaves(network(*(tensor.clone() for tensor in item)))
            floats = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
            outputs.append([leaf.clone() for leaf in floats])
    return outputs


def _observe(network: torch.nn.Module, pairs: Sequence[Pair], items: Items) -> tuple[dict[str, torch.Tensor], Outputs]:
    """The largest magnitude of each channel of the first layers, by name, and the outputs, over all ``items``."""
    import torch
    from torch import nn

    largest: dict[str, torch.Tensor] = {}

    def look(name: str, layer: torch.nn.Module, output: torch.Tensor) -> None:
        axis = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
        sizes = output.detach().movedim(axis, 0).flatten(1).abs().amax(1)
        largest[name] = torch.maximum(largest.get(name, sizes), sizes)

    hooks = [
        network.get_submodule(pair.first).register_forward_hook(lambda m, _x, y, name=pair.first: look(name, m, y))
        for pair in pairs
    ]
    try:
        outputs = _outputs(network, items)
    finally:
        for hook in hooks:
            hook.remove()
    return largest, outputs


def _scale_what_stays_equal(
    network: torch.nn.Module, links: Sequence[Link], items: Items, expected: Outputs
) -> dict[str, str]:
    """Scale ``links``, and return why those that change the outputs are left alone, by their first layer."""
    before = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
    if _scaled_apart(network, links, items, expected) <= TOLERANCE:
        return {}
    different = {}
    for one in links:
        _restore(network, before)
        apart = _scaled_apart(network, [one], items, expected)
        if apart > TOLERANCE:
            different[one.pair.first] = f"the outputs differ by {apart:.2g} of the largest one with its channels scaled"
    _restore(network, before)
    apart = _scaled_apart(network, [one for one in links if one.pair.first not in different], items, expected)
    if apart > TOLERANCE:
        msg = f"equalise: the outputs differ by {apart:.2g} of the largest one with scaled channels"
        raise UnfitError(msg)
    return different


def _scaled_apart(network: torch.nn.Module, links: Sequence[Link], items: Items, expected: Outputs) -> float:
    """Scale ``links``, and return how far the outputs then are from ``expected``, relative to the largest value."""
    import torch

    layers = {name: network.get_submodule(name) for one in links for name in (one.pair.first, one.pair.second)}
    for one in links:
        one.scale = torch.ones_like(one.scale)
    settle(links, layers)
    write(links, layers)
    return max(
        (_apart(old, new) for old, new in zip(_columns(expected), _columns(_outputs(network, items)), strict=True)),
        default=0.0,
    )


def _columns(outputs: Outputs) -> list[torch.Tensor]:
    """Each output over all calls, flat: calls may have outputs of different sizes."""
    import torch

    return [torch.cat([tensor.flatten() for tensor in column]) for column in zip(*outputs, strict=True)]


def _apart(old: torch.Tensor, new: torch.Tensor) -> float:
    if old.numel() == 0:
        return 0.0
    # Equal infinities are no difference.
    return float((old - new).nan_to_num(posinf=1e30, neginf=-1e30).abs().max()) / max(float(old.abs().max()), 1e-12)


def _restore(network: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(tensors[name])


def _is_scaled(one: Link) -> bool:
    return bool((one.scale != 1).any())


def _reports(pairs: Sequence[Pair], links: dict[str, Link], different: dict[str, str]) -> Iterator[LayerReport]:
    for pair in pairs:
        reason = pair.reason or different.get(pair.first)
        one = links.get(pair.first)
        if reason is None and (one is None or not _is_scaled(one)):
            reason = "its channels have equal ranges already" if one else "no input reaches it"
        if reason is not None or one is None:
            yield LayerReport(layer=pair.first, outcome=f"left alone: {reason}")
            continue
        words = f"scaled with {pair.second}, by {float(one.scale.min()):.2g} to {float(one.scale.max()):.2g}"
        yield LayerReport(layer=pair.first, outcome=words)
