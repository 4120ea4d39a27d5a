"""Sparse weights: the requested number of zeros, the smallest ones, kept through training; surgery lets some back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import BuildError
from harness.records.steps import Figure
from harness.spec.recipe import FineTune, Sparsify
from harness.variants.make import Variant, make_variant
from harness.variants.step import UnfitError
from harness.variants.steps.sparse import apply
from tests.variants.contexts import digits_accuracy, digits_context, mlp, ring_context, weights

BUDGET = FineTune(epochs=4, learning_rate=2e-2)


def made(step: Sparsify) -> Variant:
    """A classifier of rings with ``step`` applied."""
    return make_variant((step,), ring_context())


def zeros(network: nn.Module) -> torch.Tensor:
    """A mask of the zero weights of the linear layers."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    return torch.cat([layer.weight.detach().flatten() == 0 for layer in layers])


@pytest.mark.parametrize("dynamic", [False, True])
def test_digits_with_four_fifths_of_its_weights_zero_keeps_its_accuracy(dynamic: bool) -> None:
    variant = make_variant((Sparsify(ratio=0.8, dynamic=dynamic, fine_tune=FineTune(epochs=15)),), digits_context())
    figures = variant.reports[0].figures
    assert figures[Figure.SPARSITY] == pytest.approx(0.8, abs=1e-3)
    assert digits_accuracy(variant.network) >= 0.985
    assert figures.get(Figure.REVIVED, 0) > 100 if dynamic else Figure.REVIVED not in figures


def test_the_smallest_of_all_layers_together_are_cut() -> None:
    network = mlp()
    outcome = apply(copy.deepcopy(network), Sparsify(ratio=0.5, fine_tune=False), ring_context(train=lambda: None))
    before = torch.cat([m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Linear)]).abs()
    cut = zeros(outcome.network)
    assert before[cut].max() <= before[~cut].min()
    assert outcome.figures == {Figure.SPARSITY: pytest.approx(0.5, abs=2e-3)}
    assert len(outcome.layers) == 3
    assert "fine_tune = false" in outcome.notes[0]


def test_weights_below_a_threshold_are_cut() -> None:
    variant = made(Sparsify(threshold=0.1, fine_tune=False))
    kept = [m.weight.detach() for m in variant.network.modules() if isinstance(m, nn.Linear)]
    assert all(float(w[w != 0].abs().min()) >= 0.1 for w in kept)
    assert 0.1 < variant.reports[0].figures[Figure.SPARSITY] < 0.9


def test_zeros_are_held_while_training() -> None:
    before = made(Sparsify(ratio=0.6, fine_tune=False))
    after = made(Sparsify(ratio=0.6, fine_tune=BUDGET))
    assert torch.equal(zeros(before.network), zeros(after.network))
    assert not torch.equal(weights(before.network), weights(after.network))


@pytest.mark.parametrize("asked", [{"ratio": 0.6}, {"threshold": 0.1}])
def test_surgery_lets_weights_back(asked: dict[str, Any]) -> None:
    before = made(Sparsify(fine_tune=False, **asked))
    after = made(Sparsify(fine_tune=BUDGET, dynamic=True, **asked))
    back = int((zeros(before.network) & ~zeros(after.network)).sum())
    figures = after.reports[0].figures
    assert 0 < back <= figures[Figure.REVIVED]
    if "ratio" in asked:
        assert figures[Figure.SPARSITY] == pytest.approx(0.6, abs=2e-3)


@pytest.mark.parametrize("dynamic", [False, True])
def test_two_runs_give_the_same_weights_in_plain_layers(dynamic: bool) -> None:
    first, second = (made(Sparsify(ratio=0.6, fine_tune=BUDGET, dynamic=dynamic)).network for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert first.state_dict().keys() == mlp().state_dict().keys()


def test_a_threshold_that_cuts_nothing_says_so() -> None:
    report = made(Sparsify(threshold=1e-9, fine_tune=False)).reports[0]
    assert report.figures[Figure.SPARSITY] == 0
    assert "nothing was set to zero" in report.notes[-1]


def dead_layer() -> nn.Module:
    network = mlp()
    with torch.no_grad():
        network.get_parameter("3.weight").mul_(1e-6)
    return network


@pytest.mark.parametrize(
    ("step", "network", "words"),
    [
        (Sparsify(threshold=1e3), mlp, "threshold 1000 would set every weight of layer '0' to zero"),
        (Sparsify(ratio=0.9), dead_layer, "ratio 0.9 would set every weight of layer '3' to zero; use a smaller"),
    ],
)
def test_a_layer_without_any_weight_is_refused(step: Sparsify, network: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(BuildError, match=words):
        apply(network(), step, ring_context())


def test_a_network_without_weights_is_reported() -> None:
    with pytest.raises(UnfitError, match="no convolution and no linear layer"):
        apply(nn.ReLU(), Sparsify(ratio=0.5), ring_context())
