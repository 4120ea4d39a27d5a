"""``distill``: a smaller student learns from the float model's outputs (Hinton et al. 2015, arXiv:1503.02531).

To show what the teacher is worth, an identical student is also trained on the labels only, from the same weights and
with the same batches. The report has the scores of both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import BuildError
from harness.model.user_code import load_object, running
from harness.records.steps import Figure, LayerReport
from harness.spec.recipe import Distill, FineTune, Prune, training_of
from harness.variants.examples import check_batches
from harness.variants.objective import PLAIN, Objective, judge
from harness.variants.step import Outcome, StepContext
from harness.variants.steps.prune import prune
from harness.variants.training import Lessons, load_lessons, train

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Student:
    """An untrained student network, and where it came from."""

    network: torch.nn.Module
    layers: tuple[LayerReport, ...] = ()
    figures: dict[Figure, float]
    note: str


def apply(network: torch.nn.Module, step: Distill, context: StepContext) -> Outcome:
    """Train the student that the card names, or ``network`` pruned, and return it in place of ``network``.

    Raises `BuildError` when the student cannot be built or its outputs differ in shape from the model's. Also raises as
    pruning and training do.
    """
    budget = training_of(step)
    assert budget is not None, "a distill step always has a budget"
    lessons = load_lessons(context, budget)
    student = _student(network, step, context, seed=budget.seed)
    _check_outputs(student.network, context)
    check_batches(student.network, lessons.train)
    plain = copy.deepcopy(student.network)
    objective = Objective(hard_weight=step.hard_weight, temperature=step.temperature)
    trained = train(student.network, budget, lessons, objective=objective)
    figures = student.figures | _scores(plain if step.compare_plain else None, budget, lessons, context)
    return Outcome(
        network=student.network,
        figures=figures,
        layers=student.layers,
        training=trained.report,
        notes=(student.note, *trained.notes),
    )


def _student(network: torch.nn.Module, step: Distill, context: StepContext, *, seed: int) -> _Student:
    if context.card.student is not None:
        note = f"the student is {context.card.student}, named by the model card"
        return _Student(network=_load(context, context.card.student, seed), figures={}, note=note)
    pruned = prune(network, Prune(ratio=step.ratio), context)
    note = f"the student is the model with {step.ratio:.0%} of its channels removed, since its card names no student"
    return _Student(network=pruned.network, layers=pruned.layers, figures=pruned.figures, note=note)


def _load(context: StepContext, reference: str, seed: int) -> torch.nn.Module:
    """Build the student with the factory ``reference``, its weights initialised from ``seed``."""
    import torch

    card = context.card
    factory = load_object(reference, card.folder, raises=BuildError)
    with torch.random.fork_rng(devices=[]), running(f"{reference}()", raises=BuildError, folder=card.folder):
        torch.manual_seed(seed)
        student = factory()
    if not isinstance(student, torch.nn.Module):
        msg = f"the student {reference}() returned a {type(student).__name__}; return an nn.Module"
        raise BuildError(msg)
    return student.eval()


def _check_outputs(student: torch.nn.Module, context: StepContext) -> None:
    import torch

    with torch.no_grad(), running("the student on the model's inputs", raises=BuildError, folder=context.card.folder):
        student_shapes = _shapes(student(*context.example()))
        model_shapes = _shapes(context.original(*context.example()))
    if student_shapes != model_shapes:
        msg = f"the student's outputs have the shapes {student_shapes}, the model's {model_shapes}; make them equal"
        raise BuildError(msg)


def _shapes(result: object) -> list[list[int]]:
    items = result.values() if isinstance(result, dict) else result if isinstance(result, tuple | list) else [result]
    return [list(getattr(item, "shape", ())) for item in items]


def _scores(
    plain: torch.nn.Module | None, budget: FineTune, lessons: Lessons, context: StepContext
) -> dict[Figure, float]:
    """The scores to compare the student with: that of the teacher, and that of the student trained without it."""
    teacher = judge(context.original, lessons.calibration, PLAIN, batch=budget.batch).score
    figures = {} if teacher is None else {Figure.TEACHER_SCORE: teacher}
    # Without labels, the plain student would have nothing to learn from.
    if plain is None or lessons.train.labels is None:
        return figures
    trained = train(plain, budget, lessons, objective=PLAIN).report
    if trained is not None and trained.score_after is not None:
        figures[Figure.PLAIN_SCORE] = trained.score_after
    return figures
