"""``sparse``: sets single weights to zero, the smallest over all layers together, then retrains.

Weights are chosen by magnitude (Han et al. 2015, arXiv:1506.02626). They stay zero during training. With ``dynamic``,
those that become large come back: dynamic network surgery (Guo, Yao and Chen 2016, arXiv:1608.04493).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import BuildError
from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Sparsify
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.surgery import Surgery
from harness.variants.training import Trained, fine_tune

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A layer and the mask of its weights: the weight's shape, True where the weight stays."""

    name: str
    layer: torch.nn.Module
    mask: torch.Tensor


def apply(network: torch.nn.Module, step: Sparsify, context: StepContext) -> Outcome:
    """Set weights to zero, and retrain. Raises `BuildError` when all weights of a layer would be zero."""
    layers = weighted_layers(network)
    if not layers:
        msg = "sparse: the network has no convolution and no linear layer"
        raise UnfitError(msg)
    masks = [Masked(name=name, layer=layers[name], mask=mask) for name, mask in _masks(layers, step).items()]
    for masked in masks:
        _check_left(masked, step)
        _hold(masked)
    figures: dict[Figure, float] = {}
    if step.dynamic:
        surgery = Surgery([(masked.layer, masked.mask) for masked in masks], step)
        trained = fine_tune(network, step, context, after_update=surgery.after_update)
        figures[Figure.REVIVED] = surgery.finish()
    else:
        trained = fine_tune(network, step, context, after_update=lambda _: _hold_all(masks))
    return _outcome(network, masks, figures, trained)


def weighted_layers(network: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the convolution and linear layers by name; of layers that share one weight, only the first."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    layer_by_weight: dict[int, tuple[str, nn.Module]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | _ConvNd):
            layer_by_weight.setdefault(id(module.weight), (name, module))
    return dict(layer_by_weight.values())


def _masks(layers: Mapping[str, torch.nn.Module], step: Sparsify) -> dict[str, torch.Tensor]:
    """Choose with torch's own global pruning, and leave the layers unchanged."""
    from torch.nn.utils import prune

    if step.threshold is not None:
        return {name: _weight(layer).abs() >= step.threshold for name, layer in layers.items()}
    weights = [(layer, "weight") for layer in layers.values()]
    prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=step.ratio)
    masks = {name: layer.get_buffer("weight_mask").bool() for name, layer in layers.items()}
    for layer, weight in weights:
        prune.remove(layer, weight)
    return masks


def _weight(layer: torch.nn.Module) -> torch.Tensor:
    return layer.get_parameter("weight").detach()


def _check_left(masked: Masked, step: Sparsify) -> None:
    if bool(masked.mask.any()):
        return
    setting = f"ratio {step.ratio:g}" if step.ratio is not None else f"threshold {step.threshold:g}"
    msg = f"sparse: {setting} would set every weight of layer {masked.name!r} to zero; use a smaller one"
    raise BuildError(msg)


def _hold(masked: Masked) -> None:
    # The detached tensor shares its storage with the parameter, so this changes the parameter in place.
    _weight(masked.layer).mul_(masked.mask)


def _hold_all(masks: list[Masked]) -> None:
    for masked in masks:
        _hold(masked)


def _outcome(network: torch.nn.Module, masks: list[Masked], figures: dict[Figure, float], trained: Trained) -> Outcome:
    zeros = {masked.name: int((_weight(masked.layer) == 0).sum()) for masked in masks}
    sizes = {masked.name: masked.mask.numel() for masked in masks}
    sparsity = sum(zeros.values()) / sum(sizes.values())
    notes = trained.notes if sparsity > 0 else (*trained.notes, "nothing was set to zero: no weight is that small")
    return Outcome(
        network=network.eval(),
        figures={Figure.SPARSITY: sparsity, **figures},
        layers=tuple(
            LayerReport(layer=name, outcome=f"{zeros[name]} of {size} weights are zero") for name, size in sizes.items()
        ),
        training=trained.report,
        notes=notes,
    )
