"""``correct-bias``: takes from each layer's bias what rounding its weights to int8 adds to its outputs on average.

Rounded weights are a little too large or too small. Inputs after an activation are mostly positive, so the errors do
not cancel: a whole channel moves, which no range of activations can repair. Every format rounds weights to the same
symmetric grid, so the mean shift over calibration inputs is known before quantising, and the bias makes up for it
(Nagel et al. 2019, arXiv:1906.04721, §4.2; here measured on inputs instead of derived from the batch norms).
With ``rounding = "learnt"``, the weights are rounded here already (`harness.variants.rounding`).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.records.steps import Figure
from harness.spec.recipe import CorrectBias, Rounding
from harness.stats.fidelity import compare_outputs
from harness.variants.datafree import calibration_items
from harness.variants.rounding import learnt_weights
from harness.variants.simulate import rounded_weight
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.steps.fuse import fold_batch_norms
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

    Items = Sequence[tuple[torch.Tensor, ...]]
    Layers = dict[str, torch.nn.Module]
    Weights = dict[str, torch.Tensor]


def apply(network: torch.nn.Module, step: CorrectBias, context: StepContext) -> Outcome:
    """Correct the biases of all convolutions and linear layers, adding one where a layer has none.

    Raises `UnfitError` if the network cannot be captured, has no such layer, or gains nothing on the calibration inputs
    with its weights rounded and all else in float.
    """
    items = calibration_items(step.calibration, context)
    fold_batch_norms(network, context.example(), step="correct-bias")
    layers = {name: layer for name, layer in network.named_modules() if _is_rounded_everywhere(layer)}
    nearest = {name: rounded_weight(layer, per_channel=step.per_channel) for name, layer in layers.items()}
    learnt = _learnt(network, layers, items, step)
    expected = _first_outputs(network, items)
    before = _sqnr_db(expected, network, items, nearest)
    shifts = _shifts(network, items, nearest | learnt)
    if not shifts:
        msg = "correct-bias: the network calls no convolution or linear layer whose weights are rounded"
        raise UnfitError(msg)
    for name, shift in shifts.items():
        _subtract(layers[name], shift)
    after = _sqnr_db(expected, network, items, nearest | learnt)
    if not after > before:
        msg = (
            "correct-bias: gains nothing on the calibration inputs: with rounded weights alone, the outputs have "
            f"{after:.1f} dB instead of {before:.1f}"
        )
        raise UnfitError(msg)
    for name, weight in learnt.items():
        layers[name].get_parameter("weight").data = weight
    figures: dict[Figure, float] = {Figure.BIASES_CORRECTED: len(shifts)}
    if learnt:
        figures[Figure.ROUNDINGS_LEARNT] = len(learnt)
    note = (
        f"with rounded weights alone, the outputs on the calibration inputs have {after:.1f} dB instead of {before:.1f}"
    )
    return Outcome(network=network, figures=figures, notes=(note,))


def _learnt(network: torch.nn.Module, layers: Layers, items: Items, step: CorrectBias) -> Weights:
    if step.rounding is Rounding.NEAREST:
        return {}
    run = functools.partial(_first_outputs, network, items)
    return learnt_weights(network, layers, run, per_channel=step.per_channel)


def _is_rounded_everywhere(layer: torch.nn.Module) -> bool:
    """Whether every format rounds the weights of ``layer`` in static int8; some leave the other kinds in float."""
    from torch import nn

    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return layer.groups == 1
    return isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)


def _shifts(network: torch.nn.Module, items: Items, rounded: Weights) -> Weights:
    """How far the ``rounded`` weight of each layer moves its output channels on average, by name.

    The inputs of the layers are those of the float network. A layer that is never called has no entry.
    """
    import torch

    sums: dict[str, tuple[torch.Tensor, int]] = {}

    def look(name: str, errors: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        moved = torch.nn.Module.__call__(errors, *inputs)
        kernel = getattr(errors, "kernel_size", None)
        axis = moved.dim() - 1 - (0 if kernel is None else len(kernel))
        channels = moved.movedim(axis, 0).flatten(1).double()
        total, count = sums.get(name, (torch.zeros(len(channels), dtype=torch.float64), 0))
        sums[name] = total + channels.sum(1), count + channels.shape[1]

    hooks = []
    for name, weight in rounded.items():
        layer = network.get_submodule(name)
        errors = _errors(layer, weight)
        # ``_layer`` is the layer itself; the layer of rounding errors is another one, which has no hooks.
        hooks.append(layer.register_forward_hook(lambda _layer, x, _y, name=name, errors=errors: look(name, errors, x)))
    try:
        _first_outputs(network, items)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / count for name, (total, count) in sums.items() if count}


def _errors(layer: torch.nn.Module, rounded: torch.Tensor) -> torch.nn.Module:
    """A copy of ``layer`` with the rounding errors of its weights as weights, and no bias."""
    errors = copy.deepcopy(layer)
    weight = errors.get_parameter("weight")
    weight.data = rounded - weight.data
    errors.register_parameter("bias", None)
    return errors


def _subtract(layer: torch.nn.Module, shift: torch.Tensor) -> None:
    import torch

    weight = layer.get_parameter("weight")
    bias = getattr(layer, "bias", None)
    old = torch.zeros_like(shift) if bias is None else bias.detach().double()
    # A new parameter: the old one may belong to another layer as well.
    layer.register_parameter("bias", torch.nn.Parameter((old - shift).to(weight.dtype)))


def _sqnr_db(expected: Array, network: torch.nn.Module, items: Items, rounded: Weights) -> float:
    """The median SQNR of the first output with ``rounded`` weights, and all else in float."""
    weights = {name: network.get_submodule(name).get_parameter("weight") for name in rounded}
    kept = {name: weight.data for name, weight in weights.items()}
    try:
        for name, weight in weights.items():
            weight.data = rounded[name]
        outputs = _first_outputs(network, items)
    finally:
        for name, weight in weights.items():
            weight.data = kept[name]
    return compare_outputs(expected, outputs, classes=False).sqnr_db


def _first_outputs(network: torch.nn.Module, items: Items) -> Array:
    """The first float output of each call, shape ``(count, elements)``."""
    import torch
    from torch.utils._pytree import tree_leaves

    rows: list[Array] = []
    with torch.no_grad():
        for item in items:
            # Clones, because a network may change its inputs in place.
            leaves: list[Any] = tree_leaves(network(*(tensor.clone() for tensor in item)))
            floats = (leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point())
            first = next(floats, None)
            if first is None:
                msg = "correct-bias: the network has no float output to judge the correction by"
                raise UnfitError(msg)
            rows.append(first.flatten().float().numpy())
    if len({row.size for row in rows}) > 1:
        msg = "correct-bias: the first output has another size for each input"
        raise UnfitError(msg)
    return np.stack(rows)
