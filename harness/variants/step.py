"""The interface of a step: what it is given beside the network, and what it returns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness.errors import BuildError
from harness.model.card import ModelCard
from harness.model.data import Dataset
from harness.records.steps import Figure, LayerReport, TrainingReport
from harness.spec.recipe import Step
from harness.wire import TensorSpec
from harness.wire.tensors import Array

if TYPE_CHECKING:
    import torch

_Step = TypeVar("_Step", bound=Step, contravariant=True)


class UnfitError(BuildError):
    """A step does not apply to a model. Reported as a cell without result, with the reason, not as a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step may use beside the network.

    ``original``: the float network before any step, in eval mode; steps must not change it. ``calibration``: the
    calibration split, or random inputs where the model has none (``random_calibration``). ``train``: loads the train
    split on its first call; returns None where the model has none.
    """

    card: ModelCard
    inputs: tuple[TensorSpec, ...]
    original: torch.nn.Module
    calibration: Dataset
    random_calibration: bool
    train: Callable[[], Dataset | None]

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return the first calibration input: one tensor per input of the network, in the shape of one call."""
        return tensors_of(self.calibration.inputs, 0)

    def copy_of_original(self) -> torch.nn.Module:
        """Return a copy of the float network that a step may change."""
        return copy.deepcopy(self.original)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a step: a network in eval mode, and the facts for its report."""

    network: torch.nn.Module
    figures: dict[Figure, float] = field(default_factory=dict)
    layers: tuple[LayerReport, ...] = ()
    training: TrainingReport | None = None
    notes: tuple[str, ...] = ()


class Apply(Protocol[_Step]):
    """Applies one kind of step. Each module in ``steps/`` has one such function, named ``apply``."""

    def __call__(self, network: torch.nn.Module, step: _Step, context: StepContext, /) -> Outcome:
        """Return the outcome for ``network``, which may be changed in place.

        Raises `UnfitError` when the step does not apply to the network, `BuildError` when it applies but fails.
        """


def tensors_of(arrays: Sequence[Array], index: int) -> tuple[torch.Tensor, ...]:
    """Return the inputs of call ``index`` as tensors that share no memory with ``arrays``.

    ``arrays``: one per input of the network, of shape ``(count, *shape of one call)``.
    """
    import numpy as np
    import torch

    # A call of an input without dimensions is a number of numpy, which `torch.from_numpy` does not take.
    return tuple(torch.from_numpy(np.array(array[index])) for array in arrays)
