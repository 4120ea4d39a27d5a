"""Rounding learnt from inputs: checked against every other choice, against plain convolutions, and in a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.registry import EXPORTERS
from harness.records.steps import Figure
from harness.report.step_words import step_words
from harness.spec.recipe import CalibrationFrom, CorrectBias, Rounding
from harness.spec.shorthand import parse_recipe
from harness.variants.rounding import DAMPING, learnt_weights
from harness.wire import Format
from tests.artifacts.shop import float_model
from tests.variants.test_correct_bias import corrected, positive, rounded, seeded

pytestmark = pytest.mark.filterwarnings("ignore")


def correlated(*shape: int) -> torch.Tensor:
    """Positive inputs that rise and fall together, as channels of real layers do."""
    generator = torch.Generator().manual_seed(1)
    common = torch.rand(shape[0], *(1 for _ in shape[1:]), generator=generator)
    return common + 0.3 * torch.rand(*shape, generator=generator)


def learnt(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return learnt_weights(layer, {"": layer}, lambda: layer(x), per_channel=True)[""]


def test_no_other_choice_of_steps_is_much_better_and_no_single_change_is() -> None:
    layer: Any = seeded(lambda: nn.Linear(9, 3))
    weight, x = layer.weight.detach().double(), correlated(300, 9)
    step = weight.abs().amax(1, keepdim=True) / 127
    covariance = torch.cov(x.T.double(), correction=0)
    covariance += DAMPING * covariance.diagonal().mean() * torch.eye(9)
    steps = learnt(layer, x).double() / step
    for row, exact in zip(steps, weight / step, strict=True):

        def error(choice: torch.Tensor, exact: torch.Tensor = exact) -> float:
            return float((choice - exact) @ covariance @ (choice - exact))

        assert torch.allclose(row, row.round(), atol=1e-3)
        sides = [sorted({float(e.floor()), float(e.ceil())}) if abs(e) < 126.99 else [float(e.round())] for e in exact]
        assert all(
            any(abs(float(value) - side) < 1e-3 for side in pair) for value, pair in zip(row, sides, strict=True)
        )
        best = min(error(torch.tensor(choice).double()) for choice in itertools.product(*sides))
        own, nearest = error(row.round()), error(exact.round())
        assert own <= nearest
        assert own <= 1.5 * best
        for place, pair in enumerate(sides):
            for side in pair:
                other = row.round()
                other[place] = side
                assert error(other) >= own * (1 - 1e-3)


KINDS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "strided": (lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1), correlated(40, 6, 9, 9)),
    "dilated, two groups": (lambda: nn.Conv2d(6, 8, (1, 3), dilation=2, groups=2), correlated(40, 6, 9, 9)),
    "depthwise": (lambda: nn.Conv2d(6, 12, 5, groups=6, bias=False), correlated(40, 6, 9, 9)),
    "one dimension": (lambda: nn.Conv1d(6, 8, 3, stride=2, padding=2), correlated(40, 6, 20)),
    "one dimension without a batch": (lambda: nn.Conv1d(6, 8, 3), correlated(200, 6).T),
    "rows": (lambda: nn.Linear(16, 8), correlated(40, 5, 16)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_vary_less_from_the_float_ones_than_with_the_nearest_steps(kind: str) -> None:
    build, x = KINDS[kind]
    layer: Any = seeded(build)
    weight = layer.weight.detach()

    def spread(candidate: torch.Tensor) -> float:
        """The variance of the error in the outputs; its mean is for the bias."""
        other: Any = seeded(build)
        other.weight.data, other.bias = candidate - weight, None
        moved = other(x).detach()
        channels = moved.flatten(0, -2) if kind == "rows" else moved.movedim(-3 if moved.dim() == 4 else -2, -1)
        return float(channels.reshape(-1, len(weight)).var(0).sum())

    assert spread(learnt(layer, x)) < 0.75 * spread(rounded(weight, axis=0))


def test_weights_stay_where_they_are_when_they_are_rounded_again(tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    network: Any = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 5, 3))
    )
    variant = corrected(network, "int8-learnt")
    made: Any = variant.network
    layers = [layer for layer in made if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        torch.testing.assert_close(rounded(layer.weight.detach(), axis=0), layer.weight.detach(), rtol=0, atol=1e-6)
    assert variant.reports[0].figures == {Figure.BIASES_CORRECTED: 2, Figure.ROUNDINGS_LEARNT: 2}
    assert "rounding of 2 layers learnt" in step_words(variant.reports[0])
    EXPORTERS[Format.ONNX](float_model(made, positive())).export(parse_recipe("int8-learnt"), None, tmp_path / "a.onnx")
    stored = [numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "a.onnx").graph.initializer]
    steps = [array for array in stored if array.dtype == np.int8 and array.ndim == 4]
    for layer in layers:
        weight = layer.weight.detach()
        expected = (weight / (weight.abs().amax((1, 2, 3), keepdim=True) / 127)).round().numpy()
        assert any(array.shape == expected.shape and np.array_equal(array, expected) for array in steps)


def test_weights_that_are_shared_or_of_other_kinds_are_left_to_the_quantiser() -> None:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain, self.round = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
            self.same, self.up = nn.Conv2d(4, 4, 3, padding="same"), nn.ConvTranspose2d(4, 4, 3)
            self.one, self.two = nn.Linear(10, 10), nn.Linear(10, 10)
            self.two.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = functional.relu(self.up(self.same(self.round(functional.relu(self.plain(x))))))
            scores: torch.Tensor = self.two(functional.relu(self.one(y)))
            return scores

    network: Any = seeded(Kinds)
    made: Any = corrected(network, "int8-learnt").network
    assert not torch.equal(made.plain.weight, network.plain.weight)
    for name in ("round", "same", "up", "one", "two"):
        assert torch.equal(getattr(made, name).weight, getattr(network, name).weight)
        assert not torch.equal(getattr(made, name).bias, getattr(network, name).bias)
    assert made.two.weight is made.one.weight


def test_inputs_that_never_change_or_are_not_finite_leave_the_nearest_steps() -> None:
    layer: Any = seeded(lambda: nn.Linear(5, 4))
    nearest = rounded(layer.weight.detach(), axis=0)
    for value in (0.0, 1.0, float("inf")):
        torch.testing.assert_close(learnt(layer, torch.full((20, 5), value)), nearest, rtol=0, atol=1e-6)


def test_the_word_learnt_is_the_correction_with_learnt_rounding() -> None:
    for name in ("int8-learnt", "int8-corrected-learnt"):
        assert parse_recipe(name).steps == (CorrectBias(rounding=Rounding.LEARNT),)
    assert parse_recipe("fuse+int16x8-tensor-range-learnt").steps[1:] == (
        CorrectBias(calibration=CalibrationFrom.RANGE, per_channel=False, rounding=Rounding.LEARNT),
    )
