"""Pruning removes the right channels from every layer that shares them, and gives a reason for those that stay."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import BuildError
from harness.model.card import Task
from harness.records.steps import Figure
from harness.spec.recipe import FineTune, Importance, Prune, Scope
from harness.variants import channels
from harness.variants.make import make_variant
from harness.variants.step import UnfitError
from harness.variants.steps.prune import Pruned, prune
from tests.variants.contexts import (
    Attention,
    Residual,
    digits_accuracy,
    digits_context,
    image_context,
    image_network,
    images,
    mlp,
    ring_context,
    unlabelled,
    weights,
)


def cut(network: nn.Module, step: Prune | None = None, **changes: Any) -> Pruned:
    """Prune by half without retraining."""
    step = step or Prune(ratio=0.5, round_to=1, fine_tune=False)
    return prune(copy.deepcopy(network), step, image_context(network, **changes))


def outcomes(pruned: Pruned) -> dict[str, str]:
    """The outcome of each layer, by name."""
    return {layer.layer: layer.outcome for layer in pruned.layers}


def size(network: nn.Module) -> int:
    """The number of parameters."""
    return sum(p.numel() for p in network.parameters())


def test_digits_is_pruned_by_half_and_keeps_its_accuracy() -> None:
    context = digits_context()
    variant = make_variant((Prune(ratio=0.5),), context)
    report = variant.reports[0]
    assert report.parameters_after < 0.32 * report.parameters_before
    assert report.macs_before is not None
    assert report.macs_after is not None
    assert report.macs_after < 0.35 * report.macs_before
    assert report.figures == {Figure.CHANNELS_BEFORE: 386, Figure.CHANNELS_AFTER: 194}
    assert digits_accuracy(variant.network) >= 0.985
    assert size(context.original) == report.parameters_before


def test_two_runs_give_the_same_weights() -> None:
    network = image_network(Residual(16))
    step = Prune(ratio=0.5, fine_tune=FineTune(epochs=2))
    first, second = (make_variant((step,), image_context(network)).network for _ in range(2))
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("importance", list(Importance))
@pytest.mark.parametrize("scope", list(Scope))
def test_channels_that_say_nothing_go_first(importance: Importance, scope: Scope) -> None:
    network = image_network(Residual(16))
    with torch.no_grad():
        for name in ("3.first.weight", "3.norm.weight", "3.norm.bias"):
            network.get_parameter(name)[::2] = 0
        network.get_parameter("3.second.weight")[:, ::2] = 0
    step = Prune(ratio=0.5, scope=scope, importance=importance, round_to=1, keep=("0",), fine_tune=False)
    pruned = cut(network, step)
    x = torch.randn(5, 3, 8, 8)
    assert outcomes(pruned)["3.first"] == "16 of 32 channels"
    assert torch.allclose(pruned.network(x), network(x), atol=1e-4)


def test_layers_that_are_added_lose_the_same_channels() -> None:
    pruned = cut(image_network(Residual(16), Residual(16)))
    assert outcomes(pruned)["0"] == "8 of 16 channels, shared with 3.second, 4.second"
    assert pruned.network.get_parameter("4.second.weight").shape == (8, 16, 3, 3)


@pytest.mark.parametrize(
    ("middle", "left", "why"),
    [
        (Residual(16, groups=4), "3.first", channels.GROUPED),
        (nn.GroupNorm(4, 16), "0", channels.GROUP_NORM),
        (Attention(), "3.qkv", channels.ATTENTION),
        (nn.Identity(), "7", channels.OUTPUT),
    ],
)
def test_what_must_stay_stays_with_a_reason(middle: nn.Module, left: str, why: str) -> None:
    network = image_network(middle, Residual(16))
    pruned = cut(network)
    assert outcomes(pruned)[left] == f"left alone: {why}"
    assert size(pruned.network) < size(network)
    assert pruned.network(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_a_cut_that_the_network_does_not_run_with_is_taken_back() -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(-1, 16, 8, 8)

    network = image_network(Fixed(), Residual(16))
    pruned = cut(network)
    assert outcomes(pruned)["0"].startswith("left alone: the network does not run with fewer of its channels")
    assert outcomes(pruned)["4.first"] == "16 of 32 channels"
    assert pruned.network(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_attention_of_torch_is_left_alone() -> None:
    class Torch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.flatten(2).transpose(1, 2)
            y: torch.Tensor = rows + self.attention(rows, rows, rows, need_weights=False)[0]
            return y.transpose(1, 2).reshape(x.shape)

    pruned = cut(image_network(Torch(), Residual(16)))
    assert outcomes(pruned)["0"] == f"left alone: {channels.ATTENTION}"
    assert outcomes(pruned)["4.first"] == "16 of 32 channels"


def test_kept_layers_and_multiples() -> None:
    network = image_network(Residual(16), Residual(16))
    pruned = cut(network, Prune(ratio=0.45, round_to=8, keep=("3",), fine_tune=False))
    assert outcomes(pruned)["3.first"] == "left alone: keep names 3"
    assert outcomes(pruned)["4.first"] == "16 of 32 channels"
    assert outcomes(pruned)["0"] == "left alone: keep names 3"


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_gradients_rate_without_labels_too(task: Task) -> None:
    network = image_network(Residual(16))
    card = replace(image_context(network).card, task=task)
    step = Prune(ratio=0.5, importance=Importance.TAYLOR, round_to=1, fine_tune=False)
    pruned = cut(network, step, card=card, calibration=unlabelled(images(20, seed=1)))
    assert outcomes(pruned)["3.first"] == "16 of 32 channels"


@pytest.mark.parametrize(
    ("network", "step", "words"),
    [
        (image_network(), Prune(ratio=0.99, round_to=1), "ratio 0.99 and scope 'layer' would remove all 16"),
        (image_network(), Prune(ratio=0.5, keep=("O",)), "keep names 'O', which is not a layer of the network"),
    ],
)
def test_a_step_that_cannot_be_done_is_reported(network: nn.Module, step: Prune, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        cut(network, step)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), "no channel of the network can be removed"),
        (nn.Sequential(nn.Flatten()), "no convolution and no linear layer"),
        (image_network(channels=8), r"it has 8 channels, not more than round_to \(8\)"),
    ],
)
def test_a_network_with_nothing_to_prune_is_reported(network: nn.Module, words: str) -> None:
    with pytest.raises(UnfitError, match=words):
        cut(network.eval(), Prune(ratio=0.5, fine_tune=False))


def test_a_ratio_that_removes_nothing_is_reported() -> None:
    with pytest.raises(UnfitError, match="ratio 0.1 removes nothing in multiples of 8; raise it or lower round_to"):
        cut(image_network(), Prune(ratio=0.1, fine_tune=False))


def test_the_least_important_of_all_layers_together_go() -> None:
    network = image_network(Residual(16))
    with torch.no_grad():
        for name in ("3.first.weight", "3.norm.weight", "3.second.weight"):
            network.get_parameter(name).mul_(1e-3)
        network.get_parameter("3.first.weight")[:4].mul_(1e6)
    pruned = cut(network, Prune(ratio=0.5, scope=Scope.GLOBAL, round_to=1, fine_tune=False))
    kept = {name: int(outcome.split()[0]) for name, outcome in outcomes(pruned).items() if " of " in outcome}
    assert kept["0"] + kept["3.first"] == 24
    assert kept["3.first"] < 12


def test_linear_layers_are_pruned_too() -> None:
    context = ring_context(mlp(width=16))
    pruned = prune(mlp(width=16), Prune(ratio=0.5, fine_tune=False), context)
    assert [layer.outcome for layer in pruned.layers][:2] == ["8 of 16 channels"] * 2
