"""Judges the answers of a device: accuracy if there are labels, the folder's own metric, and the target.

Everything is computed here, on this computer, from the outputs that the device returned. A runner never sees a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.errors import BuildError, UsageError
from harness.measure.groups import groups_of_answers, groups_of_scores
from harness.measure.targets import judge_corpus, judge_correct, judge_scores
from harness.measure.task_metric import score, task_scores
from harness.model.card import ModelCard, Task
from harness.model.targets import PRESETS, Preset
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import Accuracy, ClassAccuracy, GroupFacts, Share, TargetFacts, TaskScores
from harness.scoring.marks import Flags, Marks, mark
from harness.stats.answers import clustered_share, in_top
from harness.stats.intervals import wilson
from harness.stats.proportions import bits_to_correct, correct_to_bits, weighted_scores
from harness.wire.tensors import Array

# Top-5 accuracy, as ImageNet models report it.
TOP = 5


def marks_of(
    card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...] | None
) -> tuple[Marks, Marks | None] | None:
    """Mark the answers of a device, and those of the float model, against the labels.

    The second is None for a ready-made file; there is nothing without labels, trained weights or outputs. Raises
    `UsageError` for labels that do not fit the outputs, which only a ready-made file leaves open until here.
    """
    labels = model.labels()
    if outputs is None or labels is None or card.task is not Task.CLASSIFICATION or card.random_weights:
        return None
    reference = model.reference()
    marks = mark(card, outputs[0], labels, None if reference is None else reference[0].shape[1:])
    return marks, None if reference is None else mark(card, reference[0], labels)


def accuracy_of(marks: Marks, floats: Marks | None) -> Accuracy:
    """Return top-1, top-5 and per-class accuracy of marked answers, with what paired comparisons need."""
    share = _share(marks, marks.right, marks.asked)
    return Accuracy(
        metric="top-1",
        value=share.value,
        low=share.low,
        high=share.high,
        correct=share.correct,
        count=share.count,
        top5=_top5(marks),
        classes=_per_class(marks),
        correct_bits=_bits(marks),
        float_bits="" if floats is None else _bits(floats),
        right=() if marks.single else _per_input(marks.right),
        asked=() if marks.single else _per_input(marks.asked),
        float_right=() if floats is None or marks.single else _per_input(floats.right),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswers:
    """The answers of a device against the labels; None where there is nothing to judge by."""

    accuracy: Accuracy | None = None
    scores: TaskScores | None = None
    target: TargetFacts | None = None
    groups: GroupFacts | None = None
    conditions: tuple[Condition, ...] = ()


def judge_answers(card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...] | None) -> JudgedAnswers:
    """Judge ``outputs``, one array per output of shape ``(count, *output shape)``, by accuracy and the card's metric.

    What cannot be scored becomes a condition: the other figures of the cell are right.
    """
    if outputs is None or card.random_weights:
        return JudgedAnswers()
    problems: list[str] = []
    accuracy, scores, groups = None, None, None
    try:
        if (marked := marks_of(card, model, outputs)) is not None:
            accuracy = accuracy_of(*marked)
            groups = None if marked[1] is None else groups_of_answers(model, marked[0], marked[1])
    except UsageError as error:
        problems.append(str(error))
    try:
        if (pair := score(card, model, outputs)) is not None:
            scores = task_scores(card, pair, len(outputs[0]))
            of_scores = groups_of_scores(card, model, pair)
            # What a card names itself goes before accuracy, where it says something about groups.
            groups = of_scores if of_scores is not None and (of_scores.groups or groups is None) else groups
    except (BuildError, UsageError) as error:
        problems.append(str(error))
    return JudgedAnswers(
        accuracy=accuracy,
        scores=scores,
        groups=groups,
        target=target_of(card, accuracy, scores),
        conditions=tuple(
            Condition(id=ConditionId.UNSCORED, summary=f"the answers could not be scored: {problem}")
            for problem in dict.fromkeys(problems)
        ),
    )


def target_of(card: ModelCard, accuracy: Accuracy | None, scores: TaskScores | None) -> TargetFacts | None:
    """Return whether the outputs meet the target that the card names; None without a target or without its inputs."""
    if card.target is None:
        return None
    preset = Preset(card.target)
    if scores is not None and scores.corpus:
        return judge_corpus(preset, scores)
    if scores is not None and (scores.float_scores or PRESETS[preset].absolute is not None):
        return judge_scores(preset, scores.float_scores, scores.scores)
    if accuracy is None or not (accuracy.float_bits or accuracy.float_right):
        return None
    if accuracy.asked:
        sides = (weighted_scores(right, accuracy.asked) for right in (accuracy.float_right, accuracy.right))
        return judge_scores(preset, *sides)
    return judge_correct(
        preset, *(bits_to_correct(bits, accuracy.count) for bits in (accuracy.float_bits, accuracy.correct_bits))
    )


def _share(marks: Marks, right: Flags, asked: Flags) -> Share:
    """The share of ``right`` among ``asked``, which may be a part of the answers that were marked."""
    correct, count = int((right & asked).sum()), int(asked.sum())
    low, high = (
        wilson(correct, count) if marks.single else clustered_share(_per_input(right & asked), _per_input(asked))
    )
    return Share(value=correct / count, low=low, high=high, correct=correct, count=count)


def _per_input(flags: Flags) -> tuple[int, ...]:
    return tuple(int(count) for count in flags.sum(axis=1))


def _bits(marks: Marks) -> str:
    return correct_to_bits(marks.right[:, 0].tolist()) if marks.single else ""


def _top5(marks: Marks) -> Share | None:
    """The share of labels among the five highest scores; None with five classes or fewer."""
    if marks.rows.classes <= TOP:
        return None
    return _share(marks, in_top(marks.scores, marks.rows.axis, marks.labels, top=TOP), marks.asked)


def _per_class(marks: Marks) -> tuple[ClassAccuracy, ...]:
    labels = np.unique(marks.labels[marks.asked])
    return tuple(
        ClassAccuracy(label=int(label), share=_share(marks, marks.right, marks.asked & (marks.labels == label)))
        for label in labels
    )
