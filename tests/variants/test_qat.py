"""Training for int8 returns weights that tolerate rounding, under their original names."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.spec.recipe import FineTune, Qat
from harness.variants.make import Variant, make_variant
from harness.variants.objective import PLAIN
from harness.variants.step import UnfitError
from harness.variants.steps.qat import apply
from harness.variants.training import load_lessons, train
from tests.variants.contexts import forward, image_context, image_network, mlp, ring_context, weights

# Importing executorch uses a resource API that newer libraries warn about.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
LEARN = FineTune(epochs=6, learning_rate=2e-2, patience=6)


def rounded(network: nn.Module) -> nn.Module:
    """A copy with its linear weights rounded to int8 per output channel."""
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for module in copied.modules():
            if isinstance(module, nn.Linear):
                scale = module.weight.abs().amax(1, keepdim=True) / 127
                module.weight.copy_((module.weight / scale).round() * scale)
    return copied


STEP = Qat(fine_tune=FineTune(epochs=1))


@pytest.fixture(scope="module")
def made() -> Variant:
    """An image network trained for int8."""
    return make_variant((STEP,), image_context(image_network()))


def test_the_network_keeps_its_layers_and_gets_new_weights(made: Variant) -> None:
    network = image_network()
    before, after = network.state_dict(), made.network.state_dict()
    assert before.keys() == after.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert {"0.weight", "1.weight", "1.running_mean", "1.running_var", "5.weight", "5.bias"} <= set(changed)
    assert str(made.network) == str(network)
    assert "fake quantisers" in made.reports[0].notes[-1]


def test_two_runs_give_the_same_weights(made: Variant) -> None:
    again = make_variant((STEP,), image_context(image_network()))
    assert torch.equal(weights(made.network), weights(again.network))


def test_what_was_trained_is_what_comes_back() -> None:
    original = mlp()
    train(original, LEARN, load_lessons(ring_context(), LEARN), objective=PLAIN)
    context = ring_context(original)
    with torch.no_grad():
        damaged = copy.deepcopy(original)
        for parameter in damaged.parameters():
            parameter.mul_(0.5)
    outcome = apply(damaged, Qat(fine_tune=LEARN), context)
    assert outcome.training is not None
    assert outcome.training.score_before is not None
    assert outcome.training.score_after is not None
    assert outcome.training.score_after > outcome.training.score_before + 0.1
    points = torch.from_numpy(context.calibration.inputs[0][:, 0])
    right = rounded(outcome.network)(points).argmax(1).numpy() == context.calibration.labels
    assert right.mean() >= outcome.training.score_after - 0.05


def by_size(y: torch.Tensor) -> torch.Tensor:
    """A network that export cannot follow, because its control flow depends on values."""
    return y if float(y.detach().sum()) > 0 else y + 0


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: forward(by_size), "cannot be exported with batches of any size"),
        (lambda: forward(torch.neg, nn.Sequential(nn.ReLU())), "no layer that int8 rounds"),
    ],
)
def test_a_network_that_cannot_be_trained_so_is_reported(network: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(UnfitError, match=words):
        apply(network(), Qat(fine_tune=FineTune(epochs=1)), ring_context())
