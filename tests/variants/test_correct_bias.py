"""Biases make up for the mean shift of weights rounded by hand, and the channels of files are no longer moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.export.registry import EXPORTERS
from harness.errors import UsageError
from harness.model.data import Dataset
from harness.records.steps import Figure
from harness.spec.recipe import CalibrationFrom, CorrectBias, KeepFloat, Precision, Quantisation, Recipe
from harness.spec.shorthand import parse_recipe
from harness.variants.make import Variant, make_variant
from harness.variants.step import UnfitError
from harness.wire import Format
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model, run_file
from tests.variants.floats import context_for

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (1, 3, 10, 10)


def positive(count: int = 24) -> Array:
    """Inputs like those after a ReLU, whose rounding errors do not cancel."""
    return np.random.default_rng(0).random((count, *SHAPE), dtype=np.float32)


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build().eval()


def corrected(network: nn.Module, variant: str = "int8-corrected") -> Variant:
    dataset = Dataset(inputs=(positive(),), labels=None)
    context = replace(context_for(network, SHAPE), calibration=dataset)
    return make_variant(parse_recipe(variant).steps, context)


def rounded(weight: torch.Tensor, *, axis: int | None) -> torch.Tensor:
    """Symmetric int8 by hand: the largest magnitude is 127 steps."""
    others = [d for d in range(weight.dim()) if d != axis]
    step = weight.abs().amax(dim=others, keepdim=True) / 127 if axis is not None else weight.abs().max() / 127
    return (weight / step).round() * step


@pytest.mark.parametrize(("variant", "axis"), [("int8-corrected", 0), ("int8-tensor-corrected", None)])
def test_a_bias_makes_up_for_the_mean_shift_of_rounded_weights(variant: str, axis: int | None) -> None:
    network: Any = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1)))
    variant_made = corrected(network, variant)
    made: Any = variant_made.network
    weight, bias = network[0].weight.detach(), network[0].bias.detach()
    errors = rounded(weight, axis=axis) - weight
    moved = functional.conv2d(torch.from_numpy(positive()[:, 0]), errors, stride=2, padding=1)
    torch.testing.assert_close(made[0].bias.detach(), bias - moved.mean((0, 2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(made[0].weight.detach(), weight)
    assert variant_made.reports[0].figures == {Figure.BIASES_CORRECTED: 1}
    assert "instead of" in variant_made.reports[0].notes[0]


def test_layers_without_a_bias_get_one_and_other_kinds_are_left_alone() -> None:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain, self.deep = nn.Conv2d(3, 4, 3, bias=False), nn.Conv3d(1, 2, 3)
            self.up, self.grouped = nn.ConvTranspose2d(4, 4, 3, bias=False), nn.ConvTranspose2d(4, 4, 3, groups=2)
            self.rows = nn.Linear(12, 5, bias=False)
            self.never = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.grouped(self.up(functional.relu(self.plain(x))))
            scores: torch.Tensor = functional.relu(self.rows(y)).mean() + self.deep(y.unsqueeze(1)).amax().reshape(1)
            return scores

    network: Any = seeded(Kinds)
    made: Any = corrected(network).network
    assert [tuple(layer.bias.shape) for layer in (made.plain, made.up, made.rows)] == [(4,), (4,), (5,)]
    for name in ("deep", "grouped", "never"):
        assert torch.equal(getattr(made, name).bias, getattr(network, name).bias)
    # By hand, with the output channels of the transposed weight in its second dimension.
    x = functional.relu(network.plain(torch.from_numpy(positive()[:, 0])))
    weight = network.up.weight.detach()
    moved = functional.conv_transpose2d(x, rounded(weight, axis=1) - weight)
    torch.testing.assert_close(made.up.bias.detach(), -moved.mean((0, 2, 3)).detach(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("format_", [Format.ONNX, Format.PTL])
def test_channels_of_files_are_no_longer_moved(format_: Format, tmp_path: Path) -> None:
    network = seeded(lambda: nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU6(), nn.Conv2d(64, 8, 3)))
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in positive()])
    moved = {}
    for variant in ("int8", "int8-corrected"):
        made = corrected(network, variant).network
        path = tmp_path / f"{variant}.{format_.value}"
        EXPORTERS[format_](float_model(made, positive())).export(parse_recipe(variant), None, path)
        apart = np.stack(list(run_file(path, positive()))) - expected
        moved[variant] = float(np.sqrt((apart.mean((0, 1, 3, 4)) ** 2).mean()))
    assert moved["int8-corrected"] < 0.5 * moved["int8"]


def test_a_network_without_such_layers_or_gain_is_unfit() -> None:
    with pytest.raises(UnfitError, match="calls no convolution or linear layer"):
        corrected(nn.Sequential(nn.ReLU()).eval())
    exact: Any = nn.Sequential(nn.Conv2d(3, 4, 1)).eval()
    exact[0].weight.data = torch.full((4, 3, 1, 1), 0.5)
    with pytest.raises(UnfitError, match="gains nothing"):
        corrected(exact)


def test_the_step_fits_a_recipe_that_rounds_all_weights_last() -> None:
    quantisation = Quantisation(per_channel=False, calibration=CalibrationFrom.RANGE)
    parsed = parse_recipe("fuse+int8-tensor-range-corrected")
    assert parsed.steps[1:] == (CorrectBias(calibration=CalibrationFrom.RANGE, per_channel=False),)
    assert parsed.quantisation == quantisation
    assert [type(step).__name__ for step in parse_recipe("int8-equalised-corrected").steps] == [
        "Equalise",
        "CorrectBias",
    ]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"precision": Precision.FP32}, "must be 'int8' or 'int16x8'"),
        ({"quantisation": Quantisation(keep_float=KeepFloat(count=1))}, "keep_float"),
        ({"quantisation": Quantisation(per_channel=False)}, "per_channel"),
        ({"steps": (CorrectBias(), *parse_recipe("fuse").steps)}, "must come last"),
    ]
    for fields, words in wrong:
        with pytest.raises(UsageError, match=words):
            Recipe(**{"name": "own", "precision": Precision.INT8, "steps": (CorrectBias(),), **fields})
    for name in ("int8-mixed-corrected", "qat-int8-corrected", "int8-dynamic-corrected"):
        with pytest.raises(UsageError):
            parse_recipe(name)
