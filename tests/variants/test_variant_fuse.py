"""Folding keeps what a network computes, finds the pairs of layers, and says why it leaves others alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.artifacts.sources.prepare_model import weights_sha256
from harness.records.steps import Figure, StepReport
from harness.spec.recipe import Fuse
from harness.variants.make import make_variant
from harness.variants.step import UnfitError
from harness.variants.steps.fuse import NOTHING
from tests.variants.floats import accuracy, context_for, digits_context

IMAGE, ROW, SEQUENCE = (1, 3, 8, 8), (1, 6), (1, 3, 16)


def stirred(network: nn.Module) -> nn.Module:
    """Give the batch norms of ``network`` seeded statistics and weights far from the identity."""
    generator = torch.Generator().manual_seed(3)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and norm.running_mean is not None:
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                if tensor is not None:
                    tensor.data.uniform_(0.5, 2.0, generator=generator)
    return network.eval()


def fused(network: nn.Module, *shapes: tuple[int, ...]) -> tuple[nn.Module, StepReport, float]:
    """The fused network, its report, and the largest change of its outputs on noise."""
    torch.manual_seed(0)
    context = context_for(stirred(network), *shapes)
    variant = make_variant([Fuse()], context)
    inputs = [torch.randn(shape) for shape in shapes]
    with torch.no_grad():
        apart = (network(*inputs) - variant.network(*inputs)).abs().max()
    return variant.network, variant.reports[0], float(apart)


class Functional(nn.Module):
    """A convolution, its norm, and a functional activation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = functional.relu(self.norm(self.conv(x)))
        return y


class Branching(Functional):
    """Branches on the shape of its input, which symbolic tracing cannot follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.flatten().shape[0] > 10:
            x = self.norm(self.conv(x))
        y: torch.Tensor = x * len(x)
        return y


class Residual(Functional):
    """Both the norm and a sum read the convolution's output."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return torch.add(y, self.norm(y))


class Twice(nn.Module):
    """One convolution is called twice, each time with another norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.two(self.conv(self.one(self.conv(x))))
        return y


class ByHand(Functional):
    """Uses the tensors of its norm without calling it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(self.conv(x), self.norm.running_mean, self.norm.running_var)


def block(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """A layer, its norm, an activation layer."""
    return nn.Sequential(layer, norm, nn.ReLU6())


@pytest.mark.parametrize(
    ("network", "shape", "activated"),
    [
        (block(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)), SEQUENCE, 1),
        (block(nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.BatchNorm2d(6, affine=False)), IMAGE, 1),
        (block(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4)), (1, 3, 8, 8, 8), 1),
        (block(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.BatchNorm2d(4)), IMAGE, 1),
        (block(nn.Linear(6, 4), nn.BatchNorm1d(4)), ROW, 1),
        (Functional(), IMAGE, 1),
        (Branching(), IMAGE, 0),
    ],
)
def test_a_norm_is_folded_and_the_outputs_stay(network: nn.Module, shape: tuple[int, ...], activated: int) -> None:
    made, report, apart = fused(network, shape)
    assert apart < 1e-4
    assert not any("BatchNorm" in type(module).__name__ for module in made.modules())
    assert report.figures == {Figure.FOLDED: 1, Figure.FOLLOWED_BY_ACTIVATION: activated}
    assert report.notes == ()


@pytest.mark.parametrize(
    ("network", "shape", "says"),
    [
        (Residual(), IMAGE, "something else reads"),
        (Twice(), IMAGE, "conv.weight is used more than once"),
        (ByHand(), IMAGE, "layer of torch.nn"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)), IMAGE, "does not follow a convolution or linear"),
        (nn.Sequential(nn.Linear(16, 3), nn.BatchNorm1d(3)), SEQUENCE, "channels are not the features"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), IMAGE, "statistics of each"),
        (nn.Sequential(nn.ConvTranspose2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)), IMAGE, "grouped"),
    ],
)
def test_what_cannot_be_folded_is_left_alone_with_a_reason(
    network: nn.Module, shape: tuple[int, ...], says: str
) -> None:
    made, report, apart = fused(network, shape)
    assert apart == 0
    assert weights_sha256(made) == weights_sha256(network)
    assert report.figures[Figure.FOLDED] == 0
    assert all(says in layer.outcome for layer in report.layers)
    assert report.layers
    assert report.notes == (NOTHING,)


def test_a_network_without_norms_says_that_nothing_was_done() -> None:
    _, report, apart = fused(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), IMAGE)
    assert (apart, report.figures[Figure.FOLDED], report.layers, report.notes) == (0, 0, (), (NOTHING,))


def test_a_network_that_cannot_be_captured_is_unfit() -> None:
    class ByValue(Functional):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.norm(self.conv(x)) if float(x.sum()) > 0 else x
            return y

    with pytest.raises(UnfitError, match=r"torch.export cannot capture the network .*leave out the step 'fuse'"):
        fused(ByValue(), IMAGE)


def test_the_norms_of_digits_are_all_folded_and_it_stays_as_good() -> None:
    context = digits_context()
    variant = make_variant([Fuse()], context)
    report = variant.reports[0]
    assert report.figures == {Figure.FOLDED: 9, Figure.FOLLOWED_BY_ACTIVATION: 9}
    # A norm has two parameters per channel, and a folded layer without a bias gets one.
    assert report.parameters_before - report.parameters_after == 640
    assert accuracy(variant.network) == accuracy(context.original)
