"""Retraining learns, gives the same result each time, keeps the best weights, and says why when it cannot run."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import BuildError
from harness.records.steps import TrainingReport
from harness.spec.recipe import FineTune, Prune
from harness.variants.objective import FINE_TUNING, PLAIN, judge
from harness.variants.step import UnfitError
from harness.variants.training import Trained, fine_tune, load_lessons, rate, train
from tests.variants.contexts import forward, mlp, regression_context, ring_context, rings, unlabelled, weights

BUDGET = FineTune(epochs=20, learning_rate=2e-2, patience=20)


def learn(network: nn.Module, budget: FineTune = BUDGET, **more: Any) -> TrainingReport:
    """Train a classifier of rings on its labels."""
    return reported(train(network, budget, load_lessons(ring_context(), budget), objective=PLAIN, **more))


def reported(trained: Trained) -> TrainingReport:
    """The report, which must be there."""
    assert trained.report is not None
    return trained.report


def test_it_learns() -> None:
    report = learn(network := mlp())
    assert report.score_before is not None
    assert report.score_after is not None
    assert report.score_after > max(0.75, report.score_before + 0.3)
    assert report.last_loss < report.first_loss
    assert report.epochs == 20
    assert not network.training
    assert all(p.grad is None for p in network.parameters())


def test_two_runs_give_the_same_weights_and_another_seed_gives_others() -> None:
    first, second, third = mlp(), mlp(), mlp()
    learn(first)
    torch.rand(5)
    learn(second)
    learn(third, replace_seed(1))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(third))


def replace_seed(seed: int) -> FineTune:
    """The budget with another seed."""
    return FineTune(epochs=20, learning_rate=2e-2, patience=20, seed=seed)


def test_training_leaves_the_generator_alone() -> None:
    torch.manual_seed(3)
    learn(mlp())
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


def test_what_is_put_right_after_each_update_stays_true() -> None:
    network = mlp()
    layer = next(network.parameters())
    spent: list[float] = []

    def hold(share: float) -> None:
        spent.append(share)
        with torch.no_grad():
            layer[:12] = 0

    hold(0.0)
    report = learn(network, after_update=hold)
    assert not layer[:12].any()
    assert layer[12:].all()
    assert len(spent) == 1 + report.epochs * 7
    assert spent == sorted(spent)
    assert spent[-1] < 1


def test_the_best_weights_are_kept() -> None:
    network = mlp()
    learn(network)
    good = weights(network)
    wild = FineTune(epochs=3, learning_rate=0.9)
    report = learn(network, wild)
    assert torch.equal(weights(network), good)
    assert report.score_after == report.score_before


def test_the_score_is_that_of_the_kept_weights() -> None:
    lessons = load_lessons(ring_context(), BUDGET)
    report = reported(train(network := mlp(), BUDGET, lessons))
    assert judge(network, lessons.calibration, PLAIN, batch=7).score == report.score_after


def test_it_stops_when_nothing_becomes_better() -> None:
    network = mlp()
    learn(network)
    report = learn(network, FineTune(epochs=40, learning_rate=0.9, patience=2))
    assert (report.epochs, report.stopped_early) == (2, True)


def test_seconds_end_it_and_the_report_says_so() -> None:
    budget = FineTune(epochs=10_000, seconds=0.2, patience=10_000)
    trained = train(mlp(), budget, load_lessons(ring_context(), budget))
    assert 0 < reported(trained).epochs < 10_000
    assert any("seconds" in note for note in trained.notes)


def test_without_labels_it_learns_from_the_float_network() -> None:
    original = mlp()
    learn(original)
    damaged = copy.deepcopy(original)
    with torch.no_grad():
        for parameter in damaged.parameters():
            parameter.mul_(0.7)
    step = Prune(ratio=0.5, fine_tune=BUDGET)
    trained = fine_tune(damaged, step, regression_context(original))
    report = reported(trained)
    assert (report.score_before, report.score_after) == (None, None)
    assert report.last_loss < report.first_loss / 4
    assert "without labels" in trained.notes[0]


def test_what_the_float_network_says_is_learned_beside_the_labels() -> None:
    original = mlp()
    learn(original)
    context = ring_context(original, train=lambda: replace(rings(400, seed=0), labels=rings(400, seed=5).labels))
    lessons = load_lessons(context, BUDGET)
    misled, led = mlp(), mlp()
    train(misled, BUDGET, lessons, objective=PLAIN)
    train(led, BUDGET, lessons, objective=FINE_TUNING)
    scores = [judge(n, lessons.calibration, PLAIN, batch=64).score for n in (misled, led)]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[1] > scores[0] + 0.2


def test_a_made_up_calibration_split_judges_nothing() -> None:
    context = ring_context(calibration=unlabelled(rings(20, seed=9)), random_calibration=True)
    budget = FineTune(epochs=3, learning_rate=0.9, patience=1)
    trained = train(mlp(), budget, load_lessons(context, budget))
    assert (reported(trained).epochs, reported(trained).stopped_early) == (3, False)
    assert "last epoch" in trained.notes[-1]


def test_a_batch_of_one_is_never_trained_on() -> None:
    budget = FineTune(epochs=1, batch=4)
    context = ring_context(train=lambda: rings(9, seed=0))
    assert reported(train(mlp(), budget, load_lessons(context, budget))).epochs == 1


def test_without_training_data_the_way_out_is_named() -> None:
    context = ring_context(train=lambda: None)
    with pytest.raises(BuildError, match="fine_tune = false"):
        fine_tune(mlp(), Prune(ratio=0.5), context)
    trained = fine_tune(network := mlp(), Prune(ratio=0.5, fine_tune=False), context)
    assert trained.report is None
    assert "fine_tune = false" in trained.notes[0]
    assert torch.equal(weights(network), weights(mlp()))


def test_a_loss_that_is_not_finite_names_the_learning_rate() -> None:
    network = mlp()

    def blow_up(spent: float) -> None:
        with torch.no_grad():
            next(network.parameters()).mul_(1e30 + spent)

    with pytest.raises(BuildError, match=r"diverged in epoch 1: .* use a learning_rate smaller than 0\.02"):
        learn(network, after_update=blow_up)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (forward(lambda y: y.reshape(1, 3)), "takes batches along the first dimension; this one does not"),
        (forward(lambda y: y.sum()), "takes batches along the first dimension; this one does not"),
        (forward(lambda y: y.softmax(0)), "keeps the calls of a batch apart"),
        (forward(lambda y: y.argmax(1)), "a float output"),
    ],
)
def test_a_network_that_takes_no_batches_is_reported(network: nn.Module, words: str) -> None:
    with pytest.raises(UnfitError, match=words):
        load_lessons(ring_context(network), BUDGET)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (ring_context(mlp(outputs=2)), "has the label 2; its output has classes 0 to 1"),
        (ring_context(train=lambda: rings(1, seed=0)), "has 1 input; training needs at least two"),
    ],
)
def test_data_that_cannot_be_learned_from_are_reported(context: Any, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        load_lessons(context, BUDGET)


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(share / 20) for share in range(21)]
    assert rates[2] == max(rates) == 1
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0)
