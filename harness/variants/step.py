"""What a step of a recipe looks like to the loop that applies it, and what it may use beside the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness.errors import BuildError
from harness.model.card import ModelCard
from harness.model.data import Dataset
from harness.records.steps import Figure, LayerReport, TrainingReport
from harness.spec.recipe import Step
from harness.wire import TensorSpec

if TYPE_CHECKING:
    import torch

_Step = TypeVar("_Step", bound=Step, contravariant=True)


class UnfitError(BuildError):
    """A model cannot take a step at all: a result with a reason, not a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step may use.

    ``original``: the float network before any step, in eval mode, not to be changed. ``calibration``: the calibration
    split, made up where the model has none (``random_calibration``). ``train`` loads the train split when it is first
    called, None where the model has none.
    """

    card: ModelCard
    inputs: tuple[TensorSpec, ...]
    original: torch.nn.Module
    calibration: Dataset
    random_calibration: bool
    train: Callable[[], Dataset | None]

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return the first calibration input, one tensor an input of the network, shaped as one call's."""
        import torch

        return tuple(torch.from_numpy(array[0].copy()) for array in self.calibration.inputs)

    def copy_of_original(self) -> torch.nn.Module:
        """Return a copy of the float network that a step may change."""
        return copy.deepcopy(self.original)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step made: a network in eval mode, and what it has to report."""

    network: torch.nn.Module
    figures: dict[Figure, float] = field(default_factory=dict)
    layers: tuple[LayerReport, ...] = ()
    training: TrainingReport | None = None
    notes: tuple[str, ...] = ()


class Apply(Protocol[_Step]):
    """Applies one kind of step; each sibling module has one such function."""

    def __call__(self, network: torch.nn.Module, step: _Step, context: StepContext, /) -> Outcome:
        """Return what became of ``network``, which it may change in place.

        Raises `UnfitError` when the network cannot take the step, `BuildError` when it was tried and failed.
        """
