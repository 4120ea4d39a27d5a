"""The float network as the exporters take it, and what they share: example inputs, calibration inputs, quiet files."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from harness.plan import Backend
from harness.recipe import Recipe
from harness.tensors import Array
from harness.wire import TensorSpec

if TYPE_CHECKING:
    import torch


class UnsupportedError(Exception):
    """This exporter cannot make that variant of this network; the message is the reason that users read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatModel:
    """A float network in eval mode with what exporting it takes.

    ``calibration``: one array an input tensor, shape ``(count, *TensorSpec.shape)``. ``scripted`` is set when the
    network came as TorchScript: the formats that need `torch.export` convert it first.
    """

    network: torch.nn.Module
    inputs: tuple[TensorSpec, ...]
    calibration: tuple[Array, ...]
    scripted: bool

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return the first calibration input, one tensor an input."""
        return next(self.calibration_items(1))

    def calibration_items(self, limit: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield at most ``limit`` calibration inputs, one tensor an input tensor."""
        import torch

        for index in range(min(limit, len(self.calibration[0]))):
            yield tuple(torch.from_numpy(array[index].copy()) for array in self.calibration)

    def exportable(self) -> torch.nn.Module:
        """Return the network as `torch.export` takes it: TorchScript is converted to a graph module."""
        if not self.scripted:
            return self.network
        from torch._export.converter import TS2EPConverter

        program = TS2EPConverter(cast("torch.jit.ScriptModule", self.network), self.example()).convert()
        module: torch.nn.Module = program.module()
        return module


class Exporter(Protocol):
    """Makes the files of one format from one float network, and keeps what its variants share."""

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:
        """Write the variant to ``path``. Raises `UnsupportedError` with a reason when it cannot be."""


def half_with_float_io(network: torch.nn.Module) -> torch.nn.Module:
    """Return a float16 copy of ``network`` that takes and gives float32, so that every variant has one interface."""
    import torch

    class HalfInside(torch.nn.Module):
        """Casts at both ends."""

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *inputs: torch.Tensor) -> object:
            """Run the float16 network on ``inputs``."""
            halves = [x.half() if x.is_floating_point() else x for x in inputs]
            outputs = self.inner(*halves)
            if isinstance(outputs, torch.Tensor):
                return outputs.float()
            return tuple(y.float() if y.is_floating_point() else y for y in outputs)

    return HalfInside(copy.deepcopy(network).half()).eval()
