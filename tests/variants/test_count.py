"""What a step leaves is counted again: sizes that layers state, and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.errors import BuildError
from harness.variants.count import check_layers, check_macs, layer_macs

IMAGE = (torch.zeros(1, 4, 6, 6),)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 4, 2, 2, groups=4),
        nn.Flatten(1), nn.LayerNorm(4 * 144), nn.Linear(4 * 144, 5),
    ).eval()  # fmt: skip


def set_to(at: int, name: str, value: object) -> Callable[[nn.Sequential], None]:
    return lambda layers: setattr(layers[at], name, value)


def test_a_network_that_is_right_passes() -> None:
    layers = network()
    check_layers(layers, "prune")
    # By hand: 36 places of 8 channels that read 2 of 9, 36 of 8 that make 1 of 4, and 576 by 5.
    macs = 36 * 8 * 2 * 9 + 36 * 8 * 1 * 4 + 576 * 5
    assert layer_macs(layers, IMAGE) == macs
    check_macs(layers, IMAGE, macs, "prune")
    check_macs(layers, IMAGE, None, "prune")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to(0, "out_channels", 6), "layer '0' with channels"),
        (set_to(0, "groups", 4), "layer '0' with channels"),
        (set_to(0, "bias", nn.Parameter(torch.zeros(3))), "layer '0' with biases 8, but its tensors have 3"),
        (set_to(1, "num_features", 4), "layer '1' with channels 4, but its tensors have 8"),
        (set_to(2, "in_channels", 4), "layer '2' with channels"),
        (set_to(4, "normalized_shape", (3,)), "layer '4' with sizes"),
        (set_to(5, "weight", nn.Parameter(torch.zeros(5, 7))), "layer '5' with sizes"),
    ],
)
def test_a_layer_that_says_other_sizes_than_it_has_is_refused(
    change: Callable[[nn.Sequential], None], words: str
) -> None:
    layers = network()
    change(layers)
    with pytest.raises(BuildError, match=rf"step 'prune' left {words}"):
        check_layers(layers, "prune")


def test_a_count_below_that_of_the_layers_is_refused() -> None:
    with pytest.raises(BuildError, match="left a network of 10 multiply-accumulates, but its layers take"):
        check_macs(network(), IMAGE, 10, "prune")
