"""Splitting reaches the requested rank, loses only the dropped singular values, and leaves other layers alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.artifacts.sources.prepare_model import weights_sha256
from harness.errors import BuildError
from harness.records.steps import Figure
from harness.spec.recipe import FineTune, LowRank
from harness.spec.shorthand import parse_recipe
from harness.variants.make import Variant, make_variant
from harness.variants.step import UnfitError
from tests.variants.floats import accuracy, context_for, digits_context

IMAGE = (1, 8, 12, 12)


def split(network: nn.Module, shape: tuple[int, ...], **fields: object) -> Variant:
    """``network`` with its layers split, without retraining."""
    step = LowRank(fine_tune=False, **fields)  # type: ignore[arg-type]
    return make_variant([step], context_for(network, shape))


def lossless(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear, rank: int) -> nn.Module:
    """Give ``layer`` a weight of rank ``rank``, so that splitting it there loses nothing."""
    torch.manual_seed(0)
    matrix = torch.randn(layer.weight.shape[0], rank) @ torch.randn(rank, layer.weight[0].numel())
    layer.weight.data = matrix.reshape(layer.weight.shape)
    return nn.Sequential(layer)


def apart(network: nn.Module, variant: Variant, shape: tuple[int, ...]) -> float:
    """The largest difference of the outputs on noise, relative to the largest output."""
    x = torch.randn(shape)
    with torch.no_grad():
        expected = network(x)
        return float((expected - variant.network(x)).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("layer", "shape", "outcome"),
    [
        (nn.Linear(24, 16), (1, 24), "rank 3 of 16, two linear layers"),
        (nn.Conv1d(8, 16, 5, stride=2, padding=2), (1, 8, 20), "rank 3 of 16, 5 then 1"),
        (nn.Conv2d(8, 16, 1, bias=False), IMAGE, "rank 3 of 8, 1x1 then 1x1"),
        (nn.Conv2d(8, 16, 3, padding="same", dilation=2), IMAGE, "rank 3 of 16, 3x3 then 1x1"),
        (nn.Conv2d(8, 16, 3, padding=1, padding_mode="reflect"), IMAGE, "rank 3 of 16, 3x3 then 1x1"),
        (nn.Conv3d(8, 16, 3, padding=1), (1, 8, 5, 5, 5), "rank 3 of 16, 3x3x3 then 1x1x1"),
    ],
)
def test_a_layer_of_that_rank_computes_the_same(layer: nn.Module, shape: tuple[int, ...], outcome: str) -> None:
    network = lossless(layer, rank=3)  # type: ignore[arg-type]
    variant = split(network, shape, rank=3)
    assert apart(network, variant, shape) < 1e-4
    assert [r.outcome for r in variant.reports[0].layers] == [outcome]
    assert variant.reports[0].parameters_after < variant.reports[0].parameters_before


@pytest.mark.parametrize("geometry", [{"stride": (2, 1), "padding": (1, 2)}, {"padding": 2, "dilation": (2, 1)}])
def test_the_spatial_scheme_computes_the_same(geometry: dict[str, int]) -> None:
    layer = nn.Conv2d(8, 16, 3, **geometry)  # type: ignore[arg-type]
    torch.manual_seed(0)
    down, across = torch.randn(8, 3, 2), torch.randn(16, 3, 2)
    layer.weight.data = torch.einsum("ihr,owr->oihw", down, across)
    variant = split(nn.Sequential(layer), IMAGE, rank=2)
    assert [r.outcome for r in variant.reports[0].layers] == ["rank 2 of 24, 3x1 then 1x3"]
    assert apart(nn.Sequential(layer), variant, IMAGE) < 1e-4


@pytest.mark.parametrize(
    ("fields", "rank"), [({"rank": 5}, 5), ({"ratio": 0.25}, 4), ({"energy": 0.85}, 2), ({"energy": 0.93}, 3)]
)
def test_the_rank_is_what_was_asked(fields: dict[str, float], rank: int) -> None:
    layer = nn.Linear(32, 16, bias=False)
    squares = torch.tensor([80.0, 10.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, *[0.0] * 8])
    torch.manual_seed(0)
    layer.weight.data = squares.sqrt()[:, None] * torch.linalg.qr(torch.randn(32, 16))[0].T
    made = split(nn.Sequential(layer), (1, 32), **fields)
    first, second = made.network.get_submodule("0.0"), made.network.get_submodule("0.1")
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert torch.linalg.matrix_rank(second.weight @ first.weight) == rank
    assert made.reports[0].layers[0].outcome == f"rank {rank} of 16, two linear layers"


class Attending(nn.Module):
    """Attention, which reads the weight of its last layer without calling it, and a layer that is called normally."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 16)
        self.tied, self.tied_too = nn.Linear(16, 16), nn.Linear(16, 16)
        self.tied_too.weight = self.tied.weight
        self.read = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.tied_too(self.tied(self.attention(x, x, x)[0]))
        return self.out(nn.functional.linear(x, self.read.weight)).mean(1)  # type: ignore[no-any-return]


def test_layers_that_cannot_be_split_say_why() -> None:
    report = split(Attending(), (1, 5, 16), ratio=0.25).reports[0]
    outcomes = {layer.layer: layer.outcome for layer in report.layers}
    assert outcomes.pop("out") == "rank 4 of 16, two linear layers"
    assert outcomes == {
        "attention.out_proj": "left alone: NonDynamicallyQuantizableLinear is not a plain layer of torch.nn",
        "tied": "left alone: another layer shares its weight",
        "tied_too": "left alone: another layer shares its weight",
        "read": "left alone: its weight is read without calling the layer, as in attention",
    }
    assert report.figures == {Figure.LAYERS_SPLIT: 1}


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nn.Sequential(nn.Conv2d(8, 8, 3, groups=8)), r"0: left alone: depthwise"),
        (nn.Sequential(nn.Conv2d(8, 8, 3, groups=2)), r"0: left alone: grouped"),
        (nn.Sequential(nn.Conv2d(8, 8, 1)), r"rank 7 of 8 would have 112 weights, the layer has 64"),
        (nn.Sequential(nn.ReLU()), r"there is no linear or convolution layer"),
    ],
)
def test_a_network_that_would_not_get_smaller_is_unfit(network: nn.Module, says: str) -> None:
    with pytest.raises(UnfitError, match=says):
        split(network, IMAGE, ratio=0.9)


def test_a_forward_that_looks_into_its_layers_is_unfit() -> None:
    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.layer(x) * self.layer.out_features
            return y

    with pytest.raises(UnfitError, match=r"its forward looks into them .*out_features"):
        split(Looking(), (1, 16), ratio=0.25)


def test_without_training_data_it_is_refused_unless_told_not_to_train() -> None:
    context = context_for(nn.Sequential(nn.Linear(16, 16)), (1, 16))
    with pytest.raises(BuildError, match=r"no train split.*fine_tune = false"):
        make_variant([LowRank(ratio=0.25)], context)
    report = make_variant([LowRank(ratio=0.25, fine_tune=False)], context).reports[0]
    assert report.training is None
    assert report.notes == ("not retrained, because of fine_tune = false",)


@pytest.fixture(scope="module")
def trained() -> Variant:
    """Digits at half of the full rank, retrained."""
    return make_variant(parse_recipe("low-rank50").steps, digits_context())


def test_digits_at_half_rank_get_smaller_and_stay_good(trained: Variant) -> None:
    report = trained.reports[0]
    assert (report.parameters_before, report.parameters_after) == (30730, 27928)
    assert report.macs_after is not None
    assert report.macs_before is not None
    assert report.macs_after < 0.95 * report.macs_before
    assert report.figures == {Figure.LAYERS_SPLIT: 5}
    assert report.training is not None
    assert (report.training.score_before or 1) < (report.training.score_after or 0)
    assert accuracy(trained.network) >= 0.985


def test_split_digits_are_the_same_bit_for_bit_the_second_time() -> None:
    step = LowRank(ratio=0.5, fine_tune=FineTune(epochs=1))
    first, second = (make_variant([step], digits_context()) for _ in range(2))
    assert weights_sha256(first.network) == weights_sha256(second.network)
