"""Inputs without data: batch norms see their stored statistics, ranges are kept, and refusals give a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness.model.card import InputRange
from harness.variants.datafree import from_batch_norms, from_ranges
from harness.variants.step import UnfitError
from harness.wire import DType, TensorSpec
from harness.wire.tensors import Array
from tests.variants.floats import digits_context

IMAGE = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, 8, 8))


def normed(seed: int = 0) -> nn.Module:
    """A small network whose batch norms have seen inputs of mean 2 and deviation 3."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    for _ in range(60):
        network(torch.randn(32, 3, 8, 8) * 3 + 2)
    return network.eval()


def gap(network: nn.Module, inputs: Array) -> float:
    """The average distance of the means that batch norms see from the stored ones, in stored deviations."""
    gaps: list[float] = []

    def look(norm: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gaps.append(float(((args[0].mean((0, 2, 3)) - norm.running_mean) / norm.running_var.sqrt()).abs().mean()))

    hooks = [m.register_forward_pre_hook(look) for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        network(torch.from_numpy(inputs[:, 0].copy()))
    for hook in hooks:
        hook.remove()
    return sum(gaps) / len(gaps)


def test_batch_norms_see_on_the_inputs_what_they_have_stored() -> None:
    network = normed()
    (found,) = from_batch_norms(network, (IMAGE,), ())
    noise = np.random.default_rng(0).standard_normal(found.shape, dtype=np.float32)
    assert found.shape == (32, 1, 3, 8, 8)
    assert gap(network, found) < 0.5 * gap(network, noise)


def test_gradients_that_are_turned_off_make_no_difference() -> None:
    with torch.no_grad():
        off = from_batch_norms(normed(), (IMAGE,), ())[0]
    assert np.array_equal(off, from_batch_norms(normed(), (IMAGE,), ())[0])


def test_inputs_are_the_same_bit_for_bit_and_differ_by_seed_and_network() -> None:
    first, again, other = (from_batch_norms(normed(), (IMAGE,), (), seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, from_batch_norms(normed(1), (IMAGE,), ())[0])


def test_found_inputs_of_digits_are_nearer_to_them_than_noise_over_the_range() -> None:
    context = digits_context()
    (found,) = from_batch_norms(context.original, context.inputs, context.card.ranges)
    (drawn,) = from_ranges(context.inputs, context.card.ranges)
    assert (found.min(), found.max()) == (0, 1)
    assert gap(context.original, found) < 0.5 * gap(context.original, drawn)


def test_the_network_is_left_as_it_was() -> None:
    network = normed()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    from_batch_norms(network, (IMAGE,), ())
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_ranges_are_filled_evenly_and_by_type() -> None:
    whole = TensorSpec(name="word", dtype=DType.INT64, shape=(1, 50))
    limits = (InputRange(name="word", low=3, high=5), InputRange(name="image", low=-4, high=12))
    words, images = from_ranges((whole, IMAGE), limits)
    assert (words.dtype.name, images.dtype.name) == ("int64", "float32")
    assert sorted(np.unique(words)) == [3, 4, 5]
    assert -4 <= images.min() < -3.9
    assert 11.9 < images.max() <= 12
    assert abs(images.mean() - 4) < 0.1
    assert np.array_equal(images, from_ranges((whole, IMAGE), limits)[1])


def test_an_input_without_a_range_is_named() -> None:
    with pytest.raises(UnfitError, match=r"add range = \[smallest, largest\] to 'image'"):
        from_ranges((IMAGE,), ())


class Unused(nn.Module):
    """Has a batch norm that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nn.Conv2d(3, 4, 1), "the network has none"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), "the network has none"),
        (Unused(), "the network never calls one"),
    ],
)
def test_a_network_without_stored_statistics_is_unfit(network: nn.Module, says: str) -> None:
    with pytest.raises(UnfitError, match=says):
        from_batch_norms(network.eval(), (IMAGE,), ())


@pytest.mark.parametrize(
    ("dtype", "shape", "says"),
    [(DType.UINT8, (1, 3, 8, 8), "is uint8 1x3x8x8"), (DType.FLOAT32, (2, 3, 8, 8), "is float32 2x3x8x8")],
)
def test_an_input_that_cannot_be_found_is_named(dtype: DType, shape: tuple[int, ...], says: str) -> None:
    spec = TensorSpec(name="image", dtype=dtype, shape=shape)
    with pytest.raises(UnfitError, match=rf"'image' {says}.*'data' or 'range'"):
        from_batch_norms(normed(), (spec,), ())
