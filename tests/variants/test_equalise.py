"""Equalising keeps what a network computes, gives neighbouring layers equal ranges, and says what it leaves alone.

Right values come from torch on the original network, from counting the weights here, and from ONNX Runtime.
"""

from __future__ import annotations

import copy
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
from harness.model.data import Dataset
from harness.records.steps import Figure, StepReport
from harness.spec.recipe import CalibrationFrom, Equalise
from harness.spec.shorthand import parse_recipe
from harness.variants.make import make_variant
from harness.variants.step import StepContext, UnfitError
from harness.wire import Format
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model
from tests.variants.floats import accuracy, context_for, digits_context

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE = (1, 3, 8, 8)

Join = Callable[[Any, torch.Tensor], torch.Tensor]


def seeded(build: Callable[[], nn.Module]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


def unbalanced(network: nn.Module, *pairs: tuple[int, int], decades: float = 1.5) -> nn.Module:
    """Scale the channels between layers of a Sequential by up to ``decades`` powers of ten; the function stays."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for first, second in pairs:
            made, read = network.get_submodule(str(first)), network.get_submodule(str(second))
            weight, bias = made.get_parameter("weight"), made.get_parameter("bias")
            factor = 10 ** ((torch.rand(len(weight), generator=generator) * 2 - 1) * decades)
            weight.mul_(factor.reshape(-1, *[1] * (weight.dim() - 1)))
            bias.mul_(factor)
            other = read.get_parameter("weight")
            depthwise = getattr(read, "groups", 1) > 1
            shape = [-1, 1] if depthwise else [1, -1]
            other.div_(factor.reshape(*shape, *[1] * (other.dim() - 2)))
    return network


def separable() -> nn.Module:
    """A convolution, a depthwise and a pointwise one, pooling and a linear layer, with badly scaled channels."""

    def build() -> nn.Module:
        layers = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU()]
        return nn.Sequential(
            *layers, nn.Conv2d(16, 24, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5)
        )

    return unbalanced(seeded(build), (0, 2), (2, 4), (4, 8))


def equalised(
    network: nn.Module, *shapes: tuple[int, ...], step: Equalise | None = None
) -> tuple[nn.Module, StepReport]:
    context = context_for(network, *shapes)
    variant = make_variant([step or Equalise()], context)
    return variant.network, variant.reports[0]


def apart(network: nn.Module, other: nn.Module, *shapes: tuple[int, ...], size: float = 1.0) -> float:
    """The largest difference of the outputs on noise, relative to the largest output."""
    generator = torch.Generator().manual_seed(7)
    inputs = [[torch.randn(shape, generator=generator) * size for shape in shapes] for _ in range(8)]
    with torch.no_grad():
        before, after = (torch.stack([n(*x) for x in inputs]) for n in (network, other))
    return float((before - after).abs().max() / before.abs().max())


def weight_ranges(network: nn.Module, first: str, second: str) -> tuple[Array, Array]:
    """The largest weight of each channel where it is made and where it is read, counted by numpy."""
    made, read = (network.get_submodule(name).get_parameter("weight").detach().numpy() for name in (first, second))
    depthwise = read.shape[1] == 1 and made.shape[0] > 1
    return (
        np.abs(made).reshape(len(made), -1).max(1),
        np.array([np.abs(read[c] if depthwise else read[:, c]).max() for c in range(made.shape[0])]),
    )


def test_two_layers_by_hand() -> None:
    network: Any = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[4.0], [1.0]]))
        network[0].bias.copy_(torch.tensor([8.0, -1.0]))
        network[2].weight.copy_(torch.tensor([[1.0, 4.0]]))
    made, _ = equalised(network, (1, 1))
    # The factors are sqrt(4/1) = 2 and sqrt(1/4) = 1/2.
    assert made.get_parameter("0.weight").flatten().tolist() == pytest.approx([2, 2])
    assert made.get_parameter("0.bias").tolist() == pytest.approx([4, -2])
    assert made.get_parameter("2.weight").flatten().tolist() == pytest.approx([2, 2])
    assert torch.equal(made.get_parameter("2.bias"), network.get_parameter("2.bias"))


def test_channels_that_differ_by_powers_of_ten_become_equal_and_the_outputs_stay() -> None:
    network = separable()
    original = copy.deepcopy(network)
    made, report = equalised(network, IMAGE)
    assert apart(original, made, IMAGE) < 1e-5
    assert report.figures == {Figure.PAIRS_EQUALISED: 3}
    for pair in (("0", "2"), ("2", "4"), ("4", "8")):
        before, after = weight_ranges(original, *pair), weight_ranges(made, *pair)
        assert not np.allclose(*before, rtol=0.5)
        np.testing.assert_allclose(*after, rtol=1e-3)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.LeakyReLU(), nn.Conv1d(8, 4, 3, groups=2)),
        lambda: nn.Sequential(nn.ConvTranspose1d(3, 8, 3, groups=1), nn.ReLU(), nn.ConvTranspose1d(8, 4, 3, groups=2)),
        lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU(), nn.MaxPool1d(2), nn.ZeroPad1d(1), nn.Conv1d(8, 8, 3)),
        lambda: nn.Sequential(nn.Linear(8, 6), nn.Dropout(), nn.ReLU(), nn.Linear(6, 4)),
        lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 4, 3)),
    ],
)
def test_layers_of_other_kinds_keep_their_outputs(build: Callable[[], nn.Module]) -> None:
    network = seeded(build)
    made, report = equalised(copy.deepcopy(network), (1, 3, 8))
    assert report.figures[Figure.PAIRS_EQUALISED] == 1
    assert apart(network, made, (1, 3, 8)) < 1e-5


class Awkward(nn.Module):
    """Three layers, the first two joined by ``join``, so that the second and third are always a pair."""

    def __init__(self, join: Join) -> None:
        super().__init__()
        self.one, self.two, self.three, self.four = (nn.Conv2d(3, 3, 1) for _ in range(4))
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.four(torch.relu(self.three(self.join(self, x))))
        return y


def _branch(net: Any, x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = net.one(x)
    return functional.relu(y) + y


def _twice(net: Any, x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = net.one(torch.relu(net.one(x)))
    return y


@pytest.mark.parametrize(
    ("join", "says"),
    [
        (_branch, "something else reads its output"),
        (_twice, "one.weight is used more than once"),
        (lambda net, x: net.two(functional.hardswish(net.one(x))), "hardswish comes between it and the next layer"),
        (lambda net, x: net.two(net.one(x) + 1), "add comes between it and the next layer"),
        (lambda net, x: net.two(functional.pad(net.one(x), (1, 1), value=2.0)), "pad comes between"),
        (lambda net, x: net.two(functional.relu6(net.one(x))), "its output is clamped"),
        (lambda net, x: net.two(net.one(x).clamp(-1.0, 1.0)), "its output is clamped (clamp)"),
        (lambda net, x: functional.conv2d(torch.relu(net.one(x)), net.two.weight), "not a convolution or linear layer"),
    ],
)
def test_what_cannot_be_scaled_is_left_alone_with_a_reason(join: Join, says: str) -> None:
    network = seeded(lambda: Awkward(join))
    made, report = equalised(copy.deepcopy(network), IMAGE)
    assert torch.equal(made.get_parameter("one.weight"), network.get_parameter("one.weight"))
    assert says in next(line.outcome for line in report.layers if line.layer == "one")
    assert report.figures[Figure.PAIRS_EQUALISED] >= 1
    assert apart(network, made, IMAGE) < 1e-5


def test_a_tied_weight_is_left_alone() -> None:
    network: Any = seeded(lambda: Awkward(lambda net, x: net.two(torch.relu(net.one(x)))))
    network.two.weight = network.one.weight
    made, report = equalised(copy.deepcopy(network), IMAGE)
    reasons = [line.outcome for line in report.layers if "is used more than once" in line.outcome]
    assert len(reasons) == 2
    assert made.get_parameter("one.weight") is made.get_parameter("two.weight")
    assert torch.equal(made.get_parameter("one.weight"), network.get_parameter("one.weight"))
    assert apart(network, made, IMAGE) < 1e-5


def test_without_a_pair_the_network_is_unfit() -> None:
    network = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1)))
    with pytest.raises(UnfitError, match="no two layers between which channels can be scaled .*silu comes between"):
        equalised(network, IMAGE)


def test_a_channel_of_tiny_weights_and_a_large_bias_does_not_widen_the_activations() -> None:
    network = seeded(lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1)))
    with torch.no_grad():
        network[0].weight[0] *= 1e-8
        network[0].bias[0] = 1.0
    made: Any = equalised(copy.deepcopy(network), IMAGE)[0]
    images = torch.from_numpy(context_for(network, IMAGE).calibration.inputs[0][:, 0])
    with torch.no_grad():
        largest = made[0](images).abs().amax((0, 2, 3))
    assert apart(network, made, IMAGE) < 1e-5
    # Unlimited, the channel would become about 10 000 times as large as the others.
    assert float(largest[0]) <= 8.01 * float(largest.median())


def normed() -> Any:
    """Two layers with batch norms that have seen noise, the first with channels of very different size."""

    def build() -> Any:
        network: Any = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
        )
        with torch.no_grad():
            network[1].weight.copy_(torch.logspace(-1.5, 0, 8))
            for _ in range(60):
                network(torch.randn(32, 3, 8, 8))
        return network

    return seeded(build)


def test_without_data_the_inputs_come_from_the_batch_norms() -> None:
    network = normed()
    context = context_for(copy.deepcopy(network), IMAGE)
    # Were this split read, the channels and the outputs would not be finite.
    far = Dataset(inputs=(np.full((4, *IMAGE), np.inf, np.float32),), labels=None)
    step = Equalise(calibration=CalibrationFrom.BATCH_NORM)
    variant = make_variant([step], replace(context, calibration=far))
    assert variant.reports[0].figures == {Figure.PAIRS_EQUALISED: 1}
    assert apart(network, variant.network, IMAGE) < 1e-5


def test_without_data_and_batch_norms_the_network_is_unfit() -> None:
    with pytest.raises(UnfitError, match="needs batch-norm layers"):
        equalised(separable(), IMAGE, step=Equalise(calibration=CalibrationFrom.BATCH_NORM))


def test_the_digits_stay_as_good() -> None:
    context = digits_context()
    variant = make_variant([Equalise()], context)
    assert variant.reports[0].figures[Figure.PAIRS_EQUALISED] >= 1
    assert accuracy(variant.network) == accuracy(context.original)


def int8_sqnr_db(network: nn.Module, variant: str, folder: Path) -> float:
    """The signal-to-noise ratio of the ``.onnx`` file of ``variant``, run here by ONNX Runtime."""
    import onnxruntime

    inputs = np.random.default_rng(5).standard_normal((24, *IMAGE)).astype(np.float32)
    context: StepContext = replace(context_for(network, IMAGE), calibration=Dataset(inputs=(inputs,), labels=None))
    recipe = parse_recipe(variant)
    made = make_variant(recipe.steps, context).network
    path = folder / f"{variant}.onnx"
    EXPORTERS[Format.ONNX](float_model(made, inputs)).export(recipe, None, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    outputs = np.stack([session.run(None, {entry.name: x})[0] for x in inputs])
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    return float(10 * np.log10((expected**2).sum() / ((outputs - expected) ** 2).sum()))


def test_badly_scaled_channels_are_much_better_per_tensor_once_equalised(tmp_path: Path) -> None:
    network = separable()
    plain = int8_sqnr_db(network, "int8-tensor", tmp_path)
    better = int8_sqnr_db(network, "int8-tensor-equalised", tmp_path)
    assert better > plain + 10
    assert better > 20
