"""Simulates static int8: a float network in which chosen layers compute as they would in a quantised file.

Weights are rounded per channel, symmetrically. The input and output of a layer are rounded per tensor to the observed
range (Jacob et al. 2018, arXiv:1712.05877, §2 and §3). As in real quantisers, batch norms are folded first, and an
output is rounded after its activation. The simulation uses hooks on the modules instead of rewriting the graph, so it
works for every network whose layers run in Python.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from harness.spec.recipe import Quantisation
from harness.variants.activations import activations, clamps
from harness.variants.ranges import ObservedRange, Range
from harness.variants.step import UnfitError
from harness.variants.steps.fuse import fold_batch_norms
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

Items = Sequence[tuple["torch.Tensor", ...]]

# The observer of a recipe that names none.
OBSERVER = Quantisation().observer
_LOWEST, _HIGHEST = -128, 127


class Simulation:
    """Runs a network with any set of its layers quantised, on the inputs that gave the ranges."""

    def __init__(self, network: torch.nn.Module, items: Items) -> None:
        """Observe the ranges on ``items``, tuples of one tensor per input. ``network`` is not changed.

        Raises `UnfitError` when it has no layer that can be quantised.
        """
        self._network = copy.deepcopy(network).eval()
        self._items = items
        ends, limits = _fold(self._network, items[0])
        modules = dict(self._network.named_modules())
        self._sites = {n: _Site(m, modules[ends.get(n, n)], limits.get(n)) for n, m in modules.items() if is_layer(m)}
        if not self._sites:
            msg = "it has no convolution or linear layer whose quantisation can be simulated"
            raise UnfitError(msg)
        self.reference = self.run(())
        # A layer that these inputs never reach has no ranges and cannot change the output.
        self._sites = {name: site for name, site in self._sites.items() if site.observed}

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that can be quantised, in the order of the network's modules."""
        return tuple(self._sites)

    def parameters(self, layer: str) -> int:
        """Return the number of parameters of ``layer``; a folded batch norm counts as its bias."""
        return sum(p.numel() for p in self._sites[layer].layer.parameters())

    def kind(self, layer: str) -> str:
        """Return the name of the layer's class, such as ``Conv2d``."""
        return type(self._sites[layer].layer).__name__

    def run(self, quantised: Collection[str]) -> Array:
        """Return the first output with the layers ``quantised`` in int8, shape ``(count, elements of one call)``."""
        import numpy as np
        import torch

        for name, site in self._sites.items():
            site.switch(name in quantised)
        with torch.no_grad():
            # Clones, because a network may change its inputs in place.
            rows = [_first(self._network(*(tensor.clone() for tensor in item))) for item in self._items]
        array: Array = np.stack([row.detach().float().reshape(-1).numpy() for row in rows])
        return array


def is_layer(module: torch.nn.Module) -> bool:
    """Return whether ``module`` is a layer whose weights static int8 rounds."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    return isinstance(module, nn.Linear | _ConvNd)


def _fold(
    network: torch.nn.Module, example: tuple[torch.Tensor, ...]
) -> tuple[dict[str, str], dict[str, tuple[float, float]]]:
    """Fold batch norms, and return by layer the module whose output is rounded, and the limits of rounded outputs.

    The module is the activation that follows; limits are those of a clamp that follows. A network that cannot be
    traced keeps its batch norms, and the outputs of its layers are rounded before them.
    """
    try:
        fold_batch_norms(network, example)
        return activations(network), clamps(network)
    except UnfitError:
        return {}, {}


def _rounded(tensor: torch.Tensor, limits: Range) -> torch.Tensor:
    """Return ``tensor`` rounded to the values that int8 can hold between ``limits``, or zero."""
    import torch

    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    # The lower limit keeps a constant tensor from a scale of zero.
    scale = max((high - low) / (_HIGHEST - _LOWEST), 2**-24)
    zero = min(max(round(_LOWEST - low / scale), _LOWEST), _HIGHEST)
    return torch.fake_quantize_per_tensor_affine(tensor, scale, zero, _LOWEST, _HIGHEST)


class _Site:
    """One layer with its float and rounded weights, and hooks that first observe and later round its tensors."""

    def __init__(self, layer: torch.nn.Module, end: torch.nn.Module, clamp: tuple[float, float] | None) -> None:
        from torch import nn

        self.layer = layer
        self._clamp = clamp
        self._weights = layer.get_parameter("weight").detach().clone(), rounded_weight(layer)
        self._ranges = ObservedRange(OBSERVER), ObservedRange(OBSERVER)
        if isinstance(layer, nn.Linear) and end is layer and clamp is None:
            # A linear layer without activation gives the scores. The largest decides the answer, and a narrower range
            # would clip it.
            self._ranges[1].keep_whole()
        self._limits: list[Range] = []
        self._observing, self._on = True, False
        layer.register_forward_pre_hook(self._enter)
        end.register_forward_hook(self._leave)

    @property
    def observed(self) -> bool:
        """Whether a call has reached the layer."""
        return all(observed.seen for observed in self._ranges)

    def switch(self, on: bool) -> None:
        """Compute in int8 from now on, or in float. Ranges are observed only until the first call in int8."""
        self._observing = self._observing and not self._on and not self.observed
        self._on = on
        if on and not self._limits:
            self._limits = [observed.range(_HIGHEST - _LOWEST + 1) or (0.0, 0.0) for observed in self._ranges]
        self.layer.get_parameter("weight").data = self._weights[on]

    def _enter(self, _module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._pass(0, inputs[0]), *inputs[1:])

    def _leave(self, _module: torch.nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        # A clamped output saturates where the clamp does, so its range is that of the clamped values.
        if self._observing and self._clamp is not None:
            self._ranges[1].see(output.detach().clamp(*self._clamp).numpy())
            return output
        return self._pass(1, output)

    def _pass(self, end: int, tensor: torch.Tensor) -> torch.Tensor:
        if self._observing:
            self._ranges[end].see(tensor.detach().numpy())
        return _rounded(tensor, self._limits[end]) if self._on else tensor


def rounded_weight(layer: torch.nn.Module, *, per_channel: bool = True) -> torch.Tensor:
    """Return the weight of ``layer`` rounded to symmetric int8, with a scale per output channel or one for all."""
    import torch
    from torch.nn.modules.conv import _ConvTransposeNd

    weight = layer.get_parameter("weight").detach()
    # The weight of a transposed convolution has its input channels first.
    axis = 1 if isinstance(layer, _ConvTransposeNd) else 0
    if not per_channel:
        step = max(float(weight.abs().amax()) / _HIGHEST, 2**-24)
        return torch.fake_quantize_per_tensor_affine(weight, step, 0, -_HIGHEST, _HIGHEST)
    others = [d for d in range(weight.dim()) if d != axis]
    scale = (weight.abs().amax(dim=others) / _HIGHEST).clamp(min=2**-24)
    zeros = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, axis, -_HIGHEST, _HIGHEST)


def _first(result: Any) -> torch.Tensor:
    """The first output of a call, which is the one that is compared."""
    if isinstance(result, dict):
        result = next(iter(result.values()))
    tensor: torch.Tensor = result[0] if isinstance(result, tuple | list) else result
    return tensor
