"""The float network as exporters take it, and what exporters share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from harness.model.unscript import scripts_in
from harness.spec.formats import Backend
from harness.spec.recipe import CalibrationFrom, Quantisation, Recipe
from harness.variants.step import UnfitError, tensors_of
from harness.wire import TensorSpec
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch


class UnsupportedError(Exception):
    """This exporter cannot make that variant of this network. The message is the reason that users read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatModel:
    """A float network in eval mode, with everything needed to export it.

    ``calibration`` returns the inputs of a source, one array per input tensor, of shape ``(count, *TensorSpec.shape)``.
    ``scripted`` is set if the network came as TorchScript: formats that need `torch.export` must convert it first.
    """

    network: torch.nn.Module
    inputs: tuple[TensorSpec, ...]
    calibration: Callable[[CalibrationFrom], tuple[Array, ...]]
    scripted: bool

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return the first calibration input, one tensor per input of the network."""
        return next(self._items(CalibrationFrom.DATA, 1))

    def calibration_items(self, quantisation: Quantisation) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the calibration inputs that ``quantisation`` asks for, each as one tensor per input of the network."""
        return self._items(quantisation.calibration, quantisation.calibration_inputs)

    def _items(self, source: CalibrationFrom, limit: int) -> Iterator[tuple[torch.Tensor, ...]]:
        arrays = self.calibration(source)
        for index in range(min(limit, len(arrays[0]))):
            yield tensors_of(arrays, index)

    def folded(self) -> torch.nn.Module:
        """Return the network like `exportable`, with its batch norms folded if it can be captured.

        Lowering walks the graph dozens of times and takes half as long on the folded network. It would fold the same
        norms itself.
        """
        from harness.variants.steps.fuse import fold_batch_norms

        if self.scripted or scripts_in(self.network):
            return self.exportable()
        # Folding works in place, and the graph that other code sees must stay as it is.
        network = copy.deepcopy(self.network)
        try:
            fold_batch_norms(network, self.example())
        except UnfitError:
            return self.exportable()
        return network

    def exportable(self) -> torch.nn.Module:
        """Return the network in a form that `torch.export` takes: TorchScript is converted to a graph module."""
        for name in scripts_in(self.network):
            msg = (
                f"its part {name!r} is TorchScript, which only .ptl takes as it is, and it cannot be captured because "
                "it branches on values or changes its shapes; use the plain nn.Module instead of torch.jit.script"
            )
            raise UnsupportedError(msg)
        if not self.scripted:
            return self.network
        from torch._export.converter import TS2EPConverter

        program = TS2EPConverter(cast("torch.jit.ScriptModule", self.network), self.example()).convert()
        module: torch.nn.Module = program.module()
        return module


class Exporter(Protocol):
    """Makes the files of one format from one float network, and keeps what its variants share."""

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:
        """Write the variant to ``path``. Raises `UnsupportedError` with a reason if that is impossible.

        The graph steps have been applied already. ``recipe.quantisation.keep_float`` is None, or has the names of
        layers.
        """


@runtime_checkable
class MayTrace(Protocol):
    """An exporter that records one run of the network where `torch.export` cannot capture it.

    ``fallback`` says why it did so, None if it did not.
    """

    fallback: str | None


def no_precision(recipe: Recipe, path: Path) -> UnsupportedError:
    """Return the error for a precision that an exporter does not make. Known holes are in the table of formats."""
    return UnsupportedError(f"phonebench cannot build {path.suffix.removeprefix('.')} in {recipe.precision.value}")


def cast_example(example: tuple[torch.Tensor, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return the inputs of one call with all floats converted to ``dtype``."""
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in example)


def half_network(network: torch.nn.Module, dtype: torch.dtype, *, float_io: bool) -> torch.nn.Module:
    """Return a copy of ``network`` in ``dtype``, a 16-bit float.

    With ``float_io`` it takes and returns float32, so that all variants have the same interface.
    """
    import torch

    class HalfInside(torch.nn.Module):
        """Converts at both ends."""

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *inputs: torch.Tensor) -> object:
            """Run the inner network on ``inputs``."""
            outputs = self.inner(*cast_example(inputs, dtype))
            if isinstance(outputs, torch.Tensor):
                return outputs.float()
            return tuple(y.float() if y.is_floating_point() else y for y in outputs)

    inner = copy.deepcopy(network).to(dtype)
    return HalfInside(inner).eval() if float_io else inner
