"""The layers that a mixed precision leaves in float, by their names as submodules of the float network."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.artifacts.export.exporter import UnsupportedError
from harness.errors import BuildError
from harness.spec.recipe import Recipe

if TYPE_CHECKING:
    import torch


def kept_layers(recipe: Recipe, network: torch.nn.Module) -> tuple[str, ...]:
    """Return the layers of ``recipe.quantisation.keep_float``; none if it is None.

    Raises `BuildError` for a name that the network does not have, with the nearest one, and for a layer without weights
    that a quantiser could take.
    """
    keep = recipe.quantisation.keep_float
    if keep is None:
        return ()
    if keep.layers is None:
        msg = f"recipe {recipe.name!r} asks for a number of sensitive layers; an exporter needs their names"
        raise BuildError(msg)
    names = [name for name, _ in network.named_modules() if name]
    for layer in keep.layers:
        if layer not in names:
            near = difflib.get_close_matches(layer, names, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}?" if near else "the network has no named layers"
            msg = f"keep_float names the layer {layer!r}, which the network does not have; {hint}"
            raise BuildError(msg)
        if all(weight.dim() < 2 for weight in network.get_submodule(layer).parameters()):
            msg = (
                f"keep_float names the layer {layer!r}, which has no weight matrix: name convolutions or linear layers"
            )
            raise BuildError(msg)
    return keep.layers


def is_within(name: str, layers: Iterable[str]) -> bool:
    """Return whether the submodule ``name`` is one of ``layers`` or part of one."""
    return any(name == layer or name.startswith(f"{layer}.") for layer in layers)


def nothing_kept(layers: tuple[str, ...]) -> UnsupportedError:
    """Return the error for kept layers without anything that could be quantised, such as a single activation."""
    return UnsupportedError(f"keep_float changes nothing: {', '.join(layers)} has no operator in this format's file")


def nothing_quantised(recipe: Recipe, lacking: str) -> UnsupportedError:
    """Return the error for a precision that would leave the float file unchanged."""
    return UnsupportedError(f"{recipe.precision.value} would change nothing here: the network has {lacking}")
