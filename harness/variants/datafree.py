"""Calibration inputs without data: inputs fitted to the batch norms of a network, or noise over a declared range.

``batch-norm``: the batch norms of a trained network hold the mean and variance of what they saw in training. Gradient
descent finds inputs for which each of them sees the same statistics again (Cai et al. 2020, arXiv:2001.00281, §3.1;
Haroush et al. 2020, arXiv:1912.01274; Nagel et al. 2019, arXiv:1906.04721, use the same statistics analytically).
Everything is seeded and counted in steps, not in seconds, so the same network always gives the same inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from harness.model.card import InputRange, Task
from harness.spec.recipe import CalibrationFrom
from harness.variants.determinism import reproducible
from harness.variants.step import StepContext, UnfitError, tensors_of
from harness.wire import DType, TensorSpec, shape_text
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

# The most inputs that a step observes.
MOST_ITEMS = 100
# The number of inputs that `from_ranges` draws.
DRAWN = 100
# Gradient descent is expensive, so it finds as many inputs as hold this many elements together, within the two limits.
ELEMENTS, FEWEST, MOST = 1_200_000, 8, 32
# The number of batches. A single batch would give less variety, and the statistics of small batches are poor.
BATCHES = 2
STEPS, LEARNING_RATE = 25, 0.2
# The weight of the loss for the classes, relative to that for the statistics.
CLASS_WEIGHT = 0.02

_FLOATS = (DType.FLOAT32, DType.FLOAT16)


def calibration_items(source: CalibrationFrom, context: StepContext) -> list[tuple[torch.Tensor, ...]]:
    """Return up to `MOST_ITEMS` calibration inputs for a step, each as one tensor per input of the network.

    Raises `UnfitError` if the network has no inputs of this source.
    """
    match source:
        case CalibrationFrom.DATA:
            arrays = context.calibration.inputs
        case CalibrationFrom.BATCH_NORM:
            classes = context.card.task is Task.CLASSIFICATION
            arrays = from_batch_norms(context.copy_of_original(), context.inputs, context.card.ranges, classes=classes)
        case CalibrationFrom.RANGE:
            arrays = from_ranges(context.inputs, context.card.ranges)
        case _:
            assert_never(source)
    return [tensors_of(arrays, index) for index in range(min(len(arrays[0]), MOST_ITEMS))]


def from_batch_norms(
    network: torch.nn.Module,
    inputs: Sequence[TensorSpec],
    ranges: Sequence[InputRange],
    *,
    classes: bool = False,
    seed: int = 0,
) -> tuple[Array, ...]:
    """Return fitted inputs, one array per input tensor, shape ``(count, *TensorSpec.shape)``, within declared ranges.

    ``classes``: the network's first output holds class scores. Each input is then also fitted to a class drawn for it
    (Yin et al. 2020, arXiv:1912.08795). Without that, the inputs would belong to no class, and a quantiser would clip
    the high scores that it never saw.

    Raises `UnfitError` for a network that calls no batch norm, or whose inputs are not float32 of batch 1.
    """
    import torch

    _check_inputs(inputs)
    limits = {declared.name: declared for declared in ranges}
    generator = torch.Generator().manual_seed(seed)
    elements = sum(math.prod(spec.shape) for spec in inputs)
    size = min(max(ELEMENTS // elements, FEWEST), MOST) // BATCHES
    batches: list[tuple[torch.Tensor, ...]] = []
    # An exporter may ask for its inputs while it calibrates, with gradients turned off.
    with torch.enable_grad(), reproducible(), _statistics(network) as gaps:
        for _ in range(BATCHES):
            start = tuple(_noise(spec, size, limits.get(spec.name), generator) for spec in inputs)
            classes_drawn = torch.rand(size, generator=generator) if classes else None
            goal = _Goal(gaps=gaps, classes=classes_drawn, limits=tuple(limits.get(spec.name) for spec in inputs))
            batches.append(_descended(network, start, goal))
    return tuple(torch.cat(parts).unsqueeze(1).numpy() for parts in zip(*batches, strict=True))


def from_ranges(inputs: Sequence[TensorSpec], ranges: Sequence[InputRange], *, seed: int = 0) -> tuple[Array, ...]:
    """Return `DRAWN` inputs, uniform over their declared ranges, in the shapes of `from_batch_norms`.

    Raises `UnfitError` naming the inputs that declare no range.
    """
    limits = {declared.name: declared for declared in ranges}
    missing = ", ".join(repr(spec.name) for spec in inputs if spec.name not in limits)
    if missing:
        msg = f"calibration from 'range' needs the range of every input; add range = [smallest, largest] to {missing}"
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
        if spec.dtype is not DType.FLOAT32 or spec.shape[:1] != (1,):
            msg = (
                f"calibration from 'batch-norm' needs float32 inputs of batch 1, but {spec.name!r} is "
                f"{spec.dtype.value} {shape_text(spec.shape)}; calibrate from 'data' or 'range'"
            )
            raise UnfitError(msg)


def _noise(spec: TensorSpec, size: int, limits: InputRange | None, generator: torch.Generator) -> torch.Tensor:
    """Normal noise, one batch of ``size``. With a declared range, it is centred and a quarter of the range wide."""
    import torch

    noise = torch.randn((size, *spec.shape[1:]), generator=generator)
    if limits is None:
        return noise
    return (noise * (limits.high - limits.low) / 4 + (limits.high + limits.low) / 2).clamp(limits.low, limits.high)


@contextmanager
def _statistics(network: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which each call of the network adds the gap of every batch norm from its stored statistics."""
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
    # Only the gradients of the inputs are needed, and they cost less without those of the weights.
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
    """The squared distance of each channel's mean and deviation from the stored ones, in units of stored variance."""
    dims = [dim for dim in range(seen.dim()) if dim != 1]
    variance = norm.running_var + norm.eps
    mean = (seen.mean(dims) - norm.running_mean).square() / variance
    deviation = ((seen.var(dims, unbiased=False) + norm.eps).sqrt() - variance.sqrt()).square() / variance
    gap: torch.Tensor = (mean + deviation).mean()
    return gap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Goal:
    """What inputs are fitted to: small ``gaps``, a class each (as a fraction 0…1 of the class count), ``limits``."""

    gaps: list[torch.Tensor]
    classes: torch.Tensor | None
    limits: tuple[InputRange | None, ...]

    def loss(self, result: object) -> torch.Tensor:
        """Return the loss after a call that returned ``result``."""
        import torch
        from torch.nn import functional

        if not self.gaps:
            msg = "calibration from 'batch-norm' needs batch-norm layers, but the network never calls one"
            raise UnfitError(msg)
        loss = torch.stack(self.gaps).mean()
        scores = result
        if isinstance(result, dict | tuple | list):
            scores = next(iter(result.values() if isinstance(result, dict) else result), None)
        if self.classes is None or not isinstance(scores, torch.Tensor) or scores.dim() != 2:
            return loss
        targets = (self.classes * scores.shape[1]).long()
        return loss + CLASS_WEIGHT * functional.cross_entropy(scores, targets)


def _descended(network: torch.nn.Module, start: tuple[torch.Tensor, ...], goal: _Goal) -> tuple[torch.Tensor, ...]:
    """Minimise the goal's loss with Adam from ``start``, and return the inputs reached."""
    import torch

    inputs = tuple(x.clone().requires_grad_() for x in start)
    scale = [1.0 if limit is None else (limit.high - limit.low) / 2 for limit in goal.limits]
    groups: list[dict[str, Any]] = [
        {"params": [x], "lr": LEARNING_RATE * s} for x, s in zip(inputs, scale, strict=True)
    ]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        goal.gaps.clear()
        gradients = torch.autograd.grad(goal.loss(network(*inputs)), inputs, allow_unused=True)
        for x, gradient in zip(inputs, gradients, strict=True):
            x.grad = gradient
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for x, limit in zip(inputs, goal.limits, strict=True):
                if limit is not None:
                    x.clamp_(limit.low, limit.high)
    return tuple(x.detach() for x in inputs)
