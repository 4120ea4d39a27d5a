"""Distillation: the card's student or the pruned model learns from the teacher, and is compared with a plain twin."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import BuildError
from harness.records.steps import Figure
from harness.spec.recipe import Distill, FineTune
from harness.variants.make import make_variant
from harness.variants.objective import PLAIN
from harness.variants.step import StepContext
from harness.variants.steps.distill import apply
from harness.variants.training import load_lessons, train
from tests.model.folders import make_folder
from tests.variants.contexts import (
    digits_accuracy,
    digits_context,
    mlp,
    regression_context,
    ring_context,
    rings,
    weights,
)

BUDGET = FineTune(epochs=20, learning_rate=2e-2, patience=20)
STUDENT = """\
from torch import nn


def build():
    return nn.Sequential(nn.Linear(4, {width}), nn.ReLU(), nn.Linear({width}, {outputs}))


def plain():
    return "no module"
"""


def teacher() -> nn.Module:
    """A trained classifier of rings."""
    network = mlp()
    train(network, BUDGET, load_lessons(ring_context(), BUDGET), objective=PLAIN)
    return network


def with_student(folder: Path, *, factory: str = "build", outputs: int = 3, **changes: Any) -> StepContext:
    """The context of a model whose card names a small student."""
    home = make_folder(folder, network=STUDENT.format(width=8, outputs=outputs))
    context = ring_context(teacher(), **changes)
    return replace(context, card=replace(context.card, folder=home, student=f"network:{factory}"))


def distilled(context: StepContext, step: Distill | None = None) -> Any:
    """The outcome of a distill step."""
    return apply(copy.deepcopy(context.original), step or Distill(fine_tune=BUDGET), context)


def test_the_student_of_digits_learns_more_from_its_teacher() -> None:
    context = digits_context()
    alone = make_variant((Distill(hard_weight=1.0, compare_plain=False),), context)
    taught = make_variant((Distill(),), context)
    report = taught.reports[0]
    assert report.parameters_after < report.parameters_before / 8
    assert digits_accuracy(taught.network) > digits_accuracy(alone.network)
    assert report.figures[Figure.TEACHER_SCORE] >= 0.99
    assert alone.reports[0].training is not None
    assert report.figures[Figure.PLAIN_SCORE] == alone.reports[0].training.score_after


def test_the_student_of_the_card_takes_the_place_of_the_model(tmp_path: Path) -> None:
    outcome = distilled(with_student(tmp_path))
    assert outcome.network.state_dict()["0.weight"].shape == (8, 4)
    assert outcome.training.score_after > outcome.training.score_before + 0.2
    assert outcome.figures.keys() == {Figure.TEACHER_SCORE, Figure.PLAIN_SCORE}
    assert "network:build" in outcome.notes[0]


def test_it_learns_from_the_teacher_where_labels_mislead(tmp_path: Path) -> None:
    misleading = replace(rings(400, seed=0), labels=rings(400, seed=5).labels)
    context = with_student(tmp_path, train=lambda: misleading)
    outcome = distilled(context, Distill(hard_weight=0.0, fine_tune=BUDGET))
    assert outcome.training.score_after > outcome.figures[Figure.PLAIN_SCORE] + 0.2


def test_without_a_student_it_is_the_model_pruned() -> None:
    context = ring_context(teacher())
    outcome = distilled(context, Distill(ratio=0.6, compare_plain=False, fine_tune=BUDGET))
    assert outcome.figures.keys() == {Figure.TEACHER_SCORE, Figure.CHANNELS_BEFORE, Figure.CHANNELS_AFTER}
    assert outcome.network.state_dict()["3.weight"].shape == (8, 8)
    assert context.original.state_dict()["3.weight"].shape == (24, 24)
    assert "60%" in outcome.notes[0]


def test_without_labels_there_is_no_plain_twin() -> None:
    outcome = distilled(regression_context(mlp()))
    assert outcome.figures.keys() == {Figure.CHANNELS_BEFORE, Figure.CHANNELS_AFTER}
    assert outcome.training.last_loss < outcome.training.first_loss


def test_two_runs_give_the_same_weights(tmp_path: Path) -> None:
    context = with_student(tmp_path)
    first, second = (make_variant((Distill(fine_tune=FineTune(epochs=2)),), context).network for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    other = make_variant((Distill(fine_tune=FineTune(epochs=2, seed=1)),), context).network
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outputs": 5}, r"the student's outputs have the shapes \[\[1, 5\]\], the model's \[\[1, 3\]\]"),
        ({"factory": "plain"}, r"network:plain\(\) returned a str; return an nn.Module"),
        ({"factory": "gone"}, "gone"),
        ({"train": lambda: None}, "has no train split"),
    ],
)
def test_a_student_that_cannot_learn_is_reported(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=words):
        distilled(with_student(tmp_path, **changes))
