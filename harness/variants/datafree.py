"""Calibration inputs without data: noise that a network's batch norms recognise, or noise over a declared range.

``batch-norm``: the batch norms of a trained network have stored the mean and variance of what they saw in training, so
inputs are found by gradient descent for which each sees them again (Cai et al. 2020, arXiv:2001.00281, §3.1; Haroush et
al. 2020, arXiv:1912.01274; the same statistics are used analytically by Nagel et al. 2019, arXiv:1906.04721). The one
decision: everything is seeded and counted in steps, not in seconds, so that the same network gives the same inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model.card import InputRange
from harness.variants.make import reproducible
from harness.variants.step import UnfitError
from harness.wire import DType, TensorSpec
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

# How many inputs are drawn.
DRAWN = 100
# How many are found by gradient descent, where each costs: as many as have so many elements, within these limits.
ELEMENTS, FEWEST, MOST = 1_200_000, 8, 32
# They are found in so many batches: one batch's statistics are met with less variety, small batches have poor ones.
BATCHES = 2
STEPS, LEARNING_RATE = 25, 0.2
# How much the classes count beside the statistics.
CLASS_WEIGHT = 0.02

_FLOATS = (DType.FLOAT32, DType.FLOAT16)


def from_batch_norms(
    network: torch.nn.Module,
    inputs: Sequence[TensorSpec],
    ranges: Sequence[InputRange],
    *,
    classes: bool = False,
    seed: int = 0,
) -> tuple[Array, ...]:
    """Return found inputs, one array a tensor, shape ``(count, *TensorSpec.shape)``, within their declared ranges.

    With ``classes`` the network's first output holds scores, and each input is made to score for a class drawn for it
    (Yin et al. 2020, arXiv:1912.08795): statistics alone are met by inputs of no class, and scores that nothing has
    reached are cut off by a quantiser.

    Raises `UnfitError` for a network without batch norms that it calls, or whose inputs are not floats of batch 1.
    """
    import torch

    _check_inputs(inputs)
    limits = {found.name: found for found in ranges}
    generator = torch.Generator().manual_seed(seed)
    elements = sum(math.prod(spec.shape) for spec in inputs)
    size = min(max(ELEMENTS // elements, FEWEST), MOST) // BATCHES
    batches: list[tuple[torch.Tensor, ...]] = []
    with reproducible(), _statistics(network) as gaps:
        for _ in range(BATCHES):
            start = tuple(_noise(spec, size, limits.get(spec.name), generator) for spec in inputs)
            classes_drawn = torch.rand(size, generator=generator) if classes else None
            goal = _Goal(gaps=gaps, classes=classes_drawn, limits=tuple(limits.get(spec.name) for spec in inputs))
            batches.append(_descended(network, start, goal))
    return tuple(torch.cat(parts).unsqueeze(1).numpy() for parts in zip(*batches, strict=True))


def from_ranges(inputs: Sequence[TensorSpec], ranges: Sequence[InputRange], *, seed: int = 0) -> tuple[Array, ...]:
    """Return `DRAWN` inputs, uniform over their declared ranges, shaped as those of `from_batch_norms`.

    Raises `UnfitError` naming the inputs that declare none.
    """
    limits = {found.name: found for found in ranges}
    bare = ", ".join(repr(spec.name) for spec in inputs if spec.name not in limits)
    if bare:
        msg = f"calibration from 'range' needs the range of every input: add range = [least, greatest] to {bare}"
        raise UnfitError(msg)
    rng = np.random.default_rng(seed)
    return tuple(_uniform(spec, limits[spec.name], rng) for spec in inputs)


def _uniform(spec: TensorSpec, limits: InputRange, rng: np.random.Generator) -> Array:
    shape = (DRAWN, *spec.shape)
    if spec.dtype in _FLOATS:
        return rng.uniform(limits.low, limits.high, shape).astype(spec.dtype.value)
    return rng.integers(int(limits.low), int(limits.high), shape, endpoint=True).astype(spec.dtype.value)


def _check_inputs(inputs: Sequence[TensorSpec]) -> None:
    for spec in inputs:
        if spec.dtype is not DType.FLOAT32 or spec.shape[0] != 1:
            shape = "x".join(map(str, spec.shape))
            msg = (
                f"calibration from 'batch-norm' finds float32 inputs of batch 1, and {spec.name!r} is "
                f"{spec.dtype.value} {shape}: calibrate from 'data' or 'range'"
            )
            raise UnfitError(msg)


def _noise(spec: TensorSpec, size: int, limits: InputRange | None, generator: torch.Generator) -> torch.Tensor:
    """Normal noise, one batch of ``size``; over a declared range it has its centre and a quarter of its width."""
    import torch

    noise = torch.randn((size, *spec.shape[1:]), generator=generator)
    if limits is None:
        return noise
    return (noise * (limits.high - limits.low) / 4 + (limits.high + limits.low) / 2).clamp(limits.low, limits.high)


@contextmanager
def _statistics(network: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which each call of the network adds how far every batch norm is from what it stored."""
    from torch import nn

    gaps: list[torch.Tensor] = []

    def look(norm: Any, args: tuple[torch.Tensor, ...]) -> None:
        gaps.append(_gap(norm, args[0]))

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    norms = [module for module in network.modules() if isinstance(module, kinds) and module.running_mean is not None]
    if not norms:
        msg = "calibration from 'batch-norm' needs batch-norm layers with statistics, and the network has none"
        raise UnfitError(msg)
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    # The gradient of the inputs alone is wanted, and costs less without the weights'.
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield gaps
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in trained:
            parameter.requires_grad_()


def _gap(norm: Any, seen: torch.Tensor) -> torch.Tensor:
    """The squared distance of the mean and the deviation of each channel from the stored ones, in stored variances."""
    dims = [dim for dim in range(seen.dim()) if dim != 1]
    variance = norm.running_var + norm.eps
    mean = (seen.mean(dims) - norm.running_mean).square() / variance
    deviation = ((seen.var(dims, unbiased=False) + norm.eps).sqrt() - variance.sqrt()).square() / variance
    gap: torch.Tensor = (mean + deviation).mean()
    return gap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Goal:
    """What inputs are moved to: small ``gaps``, the class of each (a share, 0…1, of all), within ``limits``."""

    gaps: list[torch.Tensor]
    classes: torch.Tensor | None
    limits: tuple[InputRange | None, ...]

    def loss(self, result: object) -> torch.Tensor:
        """Return what is to become small after a call that gave ``result``."""
        import torch
        from torch.nn import functional

        if not self.gaps:
            msg = "calibration from 'batch-norm' needs batch-norm layers, and none of the network's is called"
            raise UnfitError(msg)
        loss = torch.stack(self.gaps).mean()
        scores = result
        if isinstance(result, dict | tuple | list):
            scores = next(iter(result.values() if isinstance(result, dict) else result), None)
        if self.classes is None or not isinstance(scores, torch.Tensor) or scores.dim() != 2:
            return loss
        wanted = (self.classes * scores.shape[1]).long()
        return loss + CLASS_WEIGHT * functional.cross_entropy(scores, wanted)


def _descended(network: torch.nn.Module, start: tuple[torch.Tensor, ...], goal: _Goal) -> tuple[torch.Tensor, ...]:
    """Move ``start`` down the gradient of the goal's loss by Adam, and return where it came to."""
    import torch

    found = tuple(x.clone().requires_grad_() for x in start)
    scale = [1.0 if limit is None else (limit.high - limit.low) / 2 for limit in goal.limits]
    groups: list[dict[str, Any]] = [{"params": [x], "lr": LEARNING_RATE * s} for x, s in zip(found, scale, strict=True)]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        goal.gaps.clear()
        gradients = torch.autograd.grad(goal.loss(network(*found)), found, allow_unused=True)
        for x, gradient in zip(found, gradients, strict=True):
            x.grad = gradient
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for x, limit in zip(found, goal.limits, strict=True):
                if limit is not None:
                    x.clamp_(limit.low, limit.high)
    return tuple(x.detach() for x in found)
