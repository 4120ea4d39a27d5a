"""Rounding learnt from inputs: a weight goes up or down, whichever brings the outputs of its layer closer to float.

Rounding each weight to the nearest step makes the errors of weights small, not those of outputs. What a layer adds to
its outputs on average is left to the bias. The rest of the squared error is a quadratic function of the rounding
errors, given by the covariance of the layer's inputs (Nagel et al. 2020, arXiv:2004.10568, §3.1). AdaRound relaxes that
problem and solves it by gradient descent. Here one weight after the other takes the better of its two steps until none
changes (coordinate descent, as in Behdin et al. 2023, arXiv:2309.01885), which takes seconds instead of minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.variants.simulate import rounded_weight

if TYPE_CHECKING:
    import torch

    Layers = dict[str, torch.nn.Module]

# A layer with more inputs per output keeps the nearest steps: the covariance would take hundreds of megabytes.
MOST_INPUTS = 4608
# About this many positions of one call count. More of them change no rounding.
POSITIONS = 1000
# The share of the mean variance that is added to each input's variance, because the covariance comes from few inputs.
# Chosen on photos and digits that are neither calibration nor test inputs.
DAMPING = 0.1
# The most times that every weight is looked at, and the number of weights after which the others hear of changes.
SWEEPS, BLOCK = 8, 64
_HIGHEST = 127


def learnt_weights(
    network: torch.nn.Module, layers: Layers, run: Callable[[], object], *, per_channel: bool
) -> dict[str, torch.Tensor]:
    """Return the rounded weight of each of ``layers`` whose rounding can be learnt from the calls that ``run`` makes.

    Those are convolutions over one or two dimensions that pad with zeros, and linear layers, with a weight of their
    own and at most `MOST_INPUTS` inputs per output. The largest weight of a scale keeps its step, so that a quantiser
    finds the same scale again.
    """
    shared = _shared(network)
    learnable = {name: layer for name, layer in layers.items() if _is_learnable(layer) and name not in shared}
    covariances = _covariances(learnable, run)
    return {
        name: _learnt_weight(learnable[name], covariance, per_channel=per_channel)
        for name, covariance in covariances.items()
    }


def _shared(network: torch.nn.Module) -> set[str]:
    """The names of the modules whose weight belongs to another module as well."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name.removesuffix(".weight"))
    return {name for group in names.values() if len(group) > 1 for name in group}


def _is_learnable(layer: torch.nn.Module) -> bool:
    from torch import nn

    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return (
            layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str)
            and layer.weight[0].numel() <= MOST_INPUTS
        )
    return isinstance(layer, nn.Linear) and layer.in_features <= MOST_INPUTS


def _covariances(layers: Layers, run: Callable[[], object]) -> dict[str, torch.Tensor]:
    """The covariance of the inputs of each layer that is called, shape ``(groups, inputs, inputs)``."""
    sums: dict[str, tuple[torch.Tensor, torch.Tensor, int]] = {}

    def look(name: str, rows: torch.Tensor) -> None:
        products, total, count = sums.get(name, (0.0, 0.0, 0))
        sums[name] = products + rows.transpose(1, 2) @ rows, total + rows.sum(1), count + rows.shape[1]

    hooks = [
        layer.register_forward_pre_hook(lambda called, x, name=name: look(name, _rows(called, x[0].detach())))
        for name, layer in layers.items()
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _covariance(*parts) for name, parts in sums.items() if parts[2]}


def _covariance(products: torch.Tensor, total: torch.Tensor, count: int) -> torch.Tensor:
    mean = total / count
    return products / count - mean[:, :, None] * mean[:, None, :]


def _rows(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """What the outputs of one call are computed from, at up to `POSITIONS` of them: ``(groups, positions, inputs)``."""
    from torch import nn
    from torch.nn import functional

    if isinstance(layer, nn.Linear):
        rows = x.reshape(1, -1, x.shape[-1])
    else:
        flat = isinstance(layer, nn.Conv1d)
        images = x.reshape(-1, layer.in_channels, 1 if flat else x.shape[-2], x.shape[-1])
        sides = [(first, *pair) if flat else pair for first, pair in zip((1, 1, 0, 1), _geometry(layer), strict=True)]
        patches = functional.unfold(images, *sides)
        parts = patches.reshape(len(patches), layer.groups, -1, patches.shape[-1])
        rows = parts.permute(1, 0, 3, 2).reshape(layer.groups, -1, parts.shape[2])
    # An odd distance, because sizes of images are even and a column of pixels is no sample.
    return rows[:, :: max(rows.shape[1] // POSITIONS, 1) | 1]


def _geometry(layer: Any) -> tuple[tuple[int, ...], ...]:
    """What `unfold` takes after the images."""
    return layer.kernel_size, layer.dilation, layer.padding, layer.stride


def _learnt_weight(layer: torch.nn.Module, covariance: torch.Tensor, *, per_channel: bool) -> torch.Tensor:
    import torch

    weight = layer.get_parameter("weight").detach()
    if not torch.isfinite(covariance).all():
        return rounded_weight(layer, per_channel=per_channel)
    groups, inputs = covariance.shape[:2]
    rows = weight.double().reshape(groups, -1, inputs)
    largest = rows.abs().amax(2, keepdim=True) if per_channel else rows.abs().amax()
    scale = (largest / _HIGHEST).clamp(min=2**-24)
    steps = _learnt_steps(rows / scale, _damped(covariance.double()))
    return (steps * scale).reshape(weight.shape).to(weight.dtype)


def _damped(covariance: torch.Tensor) -> torch.Tensor:
    import torch

    variances = covariance.diagonal(dim1=1, dim2=2)
    # The smallest term is for layers whose inputs never change.
    extra = DAMPING * variances.mean(1) + 1e-12
    return covariance + extra[:, None, None] * torch.eye(covariance.shape[1], dtype=covariance.dtype)


def _learnt_steps(exact: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Whole steps next to the ``exact`` ones, shape ``(groups, outputs, inputs)``, with the least error of outputs."""
    import torch

    steps = exact.round().clamp(-_HIGHEST, _HIGHEST)
    fixed = exact.abs() > _HIGHEST - 1e-3
    low, high = torch.where(fixed, steps, exact.floor()), torch.where(fixed, steps, exact.ceil())
    limits = torch.stack((low, high))
    slope = (steps - exact) @ covariance
    for _ in range(SWEEPS):
        before = steps.clone()
        for start in range(0, steps.shape[2], BLOCK):
            block = slice(start, start + BLOCK)
            moved = _move(steps[:, :, block], slope[:, :, block], limits[..., block], covariance[:, block, block])
            slope += moved @ covariance[:, block]
        if torch.equal(steps, before):
            break
    return steps


def _move(steps: torch.Tensor, slope: torch.Tensor, limits: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Move ``steps``, a part of all, to the better side, one after the other, and return by how much each moved."""
    before, slope = steps.clone(), slope.clone()
    for i in range(steps.shape[2]):
        best = (steps[:, :, i] - slope[:, :, i] / covariance[:, i, i, None]).round()
        moved = best.clamp(limits[0, :, :, i], limits[1, :, :, i]) - steps[:, :, i]
        steps[:, :, i] += moved
        slope += moved[:, :, None] * covariance[:, i, None, :]
    return steps - before
