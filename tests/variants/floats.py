"""Contexts for steps on float networks of any shape without data, and on the bundled digits."""

from __future__ import annotations

import functools

import torch

from harness.model.card import ModelCard, ModelOptions, SourceKind, Task
from harness.model.data import Dataset, Split, load_split, synthetic
from harness.model.network import load_network
from harness.model.resolve import resolve
from harness.variants.step import StepContext
from harness.wire import DType, TensorSpec

# On small tensors, two threads spend more time waiting for each other than working.
torch.set_num_threads(1)


def context_for(network: torch.nn.Module, *shapes: tuple[int, ...]) -> StepContext:
    """A context without data for ``network``, whose inputs are floats of ``shapes``."""
    inputs = tuple(TensorSpec(name=f"x{i}", dtype=DType.FLOAT32, shape=shape) for i, shape in enumerate(shapes))
    card = ModelCard(
        name="small",
        task=Task.OTHER,
        kind=SourceKind.PYTHON,
        source="network:build",
        folder=None,
        weights=None,
        license="",
        inputs=inputs,
        data=None,
        random_weights=False,
        seed=0,
    )
    return StepContext(
        card=card,
        inputs=inputs,
        original=network.eval(),
        calibration=synthetic(inputs, count=4, seed=0),
        random_calibration=True,
        train=lambda: None,
    )


@functools.cache
def split_of(split: Split) -> Dataset:
    """A split of the digits."""
    found = load_split(resolve("digits", ModelOptions()), split)
    assert found is not None
    return found


def digits_context() -> StepContext:
    """The context of the bundled digits, with all their data."""
    card = resolve("digits", ModelOptions())
    return StepContext(
        card=card,
        inputs=card.inputs,
        original=load_network(card),
        calibration=split_of(Split.CALIBRATION),
        random_calibration=False,
        train=lambda: split_of(Split.TRAIN),
    )


def accuracy(network: torch.nn.Module, split: Split = Split.TEST) -> float:
    """The accuracy (0…1) of ``network`` on the digits of ``split``."""
    data = split_of(split)
    assert data.labels is not None
    with torch.no_grad():
        guesses = network(torch.from_numpy(data.inputs[0][:, 0])).argmax(1).numpy()
    return float((guesses == data.labels).mean())
