"""Judges the outputs of a device: accuracy if there are labels, and fidelity to the float model always.

Everything is computed here, on this computer, from the outputs that the device returned. A runner never sees a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.artifacts.sources.made_variant import VariedModel, own_reference
from harness.artifacts.sources.prepared_model import PreparedModel, correct_rows
from harness.measure.targets import judge_correct, judge_scores
from harness.measure.task_metric import score
from harness.model.card import ModelCard, Task
from harness.model.targets import PRESETS, Preset
from harness.records.measurement import Accuracy, ClassAccuracy, Fidelity, OutputFacts, Share, TargetFacts, TaskScores
from harness.stats.fidelity import OutputFidelity, compare_outputs
from harness.stats.intervals import wilson
from harness.stats.proportions import bits_to_correct, correct_to_bits
from harness.wire.tensors import Array, first_output

# Top-5 accuracy, as ImageNet models report it.
TOP = 5


def accuracy_of(card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...] | None) -> Accuracy | None:
    """Return top-1, top-5 and per-class accuracy; None without labels, trained weights or outputs."""
    labels = model.labels()
    if outputs is None or labels is None or card.task is not Task.CLASSIFICATION or card.random_weights:
        return None
    scores = first_output(outputs)
    right = correct_rows(scores, labels)
    share = _share(sum(right), len(right))
    return Accuracy(
        metric="top-1",
        value=share.value,
        low=share.low,
        high=share.high,
        correct=share.correct,
        count=share.count,
        correct_bits=correct_to_bits(right),
        top5=_top5(scores, labels),
        classes=_per_class(right, labels),
    )


def fidelity_of(
    card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...] | None, *, varied: VariedModel | None = None
) -> Fidelity | None:
    """Return how close ``outputs`` are to the float model's outputs; None if either is missing.

    The figures are those of the first output; ``outputs`` has every output. With ``varied``, the reference is the
    network that the graph steps made, instead of the float model.
    """
    reference = own_reference(model, varied)
    if outputs is None or reference is None:
        return None
    classes = card.task is Task.CLASSIFICATION
    lead = compare_outputs(first_output(reference), first_output(outputs), classes=classes)
    return Fidelity(
        sqnr_db=lead.sqnr_db,
        sqnr_worst_db=lead.sqnr_worst_db,
        cosine=lead.cosine,
        max_error=lead.max_error,
        agreement=lead.agreement,
        count=lead.count,
        outputs=_per_output(model, reference, outputs, lead),
    )


def task_scores(card: ModelCard, model: PreparedModel, outputs: tuple[Array, ...] | None) -> TaskScores | None:
    """Return the scores of the model's own metric, one per input; None if it has no metric."""
    return None if outputs is None or card.random_weights else score(card, model, outputs)


def target_of(
    card: ModelCard, model: PreparedModel, accuracy: Accuracy | None, scores: TaskScores | None
) -> TargetFacts | None:
    """Return whether the outputs meet the target that the card names; None without a target or without its inputs."""
    if card.target is None:
        return None
    preset, labels, reference = Preset(card.target), model.labels(), model.reference()
    if scores is not None and (scores.float_scores or PRESETS[preset].absolute is not None):
        return judge_scores(preset, scores.float_scores, scores.scores)
    if accuracy is None or labels is None or reference is None:
        return None
    float_right = correct_rows(first_output(reference), labels)
    return judge_correct(preset, float_right, bits_to_correct(accuracy.correct_bits, accuracy.count))


def _per_output(
    model: PreparedModel, reference: tuple[Array, ...], outputs: tuple[Array, ...], lead: OutputFidelity
) -> tuple[OutputFacts, ...]:
    """One record per output; outputs whose shape differs from the float model's cannot be compared and are left out."""
    names = [tensor.name for tensor in model.facts.outputs]
    facts: list[OutputFacts] = []
    for index, (name, expected, actual) in enumerate(zip(names, reference, outputs, strict=False)):
        rows = _rows(expected), _rows(actual)
        if index and rows[0].shape != rows[1].shape:
            continue
        one = compare_outputs(*rows, classes=False) if index else lead
        facts.append(
            OutputFacts(
                name=name,
                sqnr_db=one.sqnr_db,
                sqnr_worst_db=one.sqnr_worst_db,
                cosine=one.cosine,
                max_error=one.max_error,
            )
        )
    return tuple(facts)


def _rows(output: Array) -> Array:
    return output.reshape(len(output), -1)


def _share(correct: int, count: int) -> Share:
    low, high = wilson(correct, count)
    return Share(value=correct / count, low=low, high=high, correct=correct, count=count)


def _top5(scores: Array, labels: Sequence[int]) -> Share | None:
    """The share of inputs with the label among the five highest scores; None with five classes or fewer.

    An input with a score that is not finite counts as wrong.
    """
    if scores.shape[1] <= TOP:
        return None
    # float64 before the sign changes: the smallest value of an integer type has no negative.
    best = np.argpartition(-scores.astype(np.float64), TOP - 1, axis=1)[:, :TOP]
    right = (best == np.asarray(labels)[:, None]).any(axis=1) & np.isfinite(scores).all(axis=1)
    return _share(int(right.sum()), len(right))


def _per_class(right: Sequence[bool], labels: Sequence[int]) -> tuple[ClassAccuracy, ...]:
    by_label: dict[int, list[bool]] = {}
    for label, hit in zip(labels, right, strict=True):
        by_label.setdefault(label, []).append(hit)
    return tuple(
        ClassAccuracy(label=label, share=_share(sum(hits), len(hits))) for label, hits in sorted(by_label.items())
    )
