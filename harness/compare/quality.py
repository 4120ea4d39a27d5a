"""Whether a variant is as good as its float model: by labels, input by input, and where they cannot tell by fidelity.

A cell is called worse only if its answers show it. What a small test set can neither show nor exclude is left open, and
then the distance of its outputs from the float model's decides. The report and the search share these rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from harness.plan.cells import Cell
from harness.records.conditions import ConditionId
from harness.records.measurement import Accuracy, Measurement, TaskScores
from harness.records.metric import Reading
from harness.records.metrics import ACCURACY, scores_reading
from harness.spec.recipe import Precision
from harness.stats.losses import (
    Loss,
    LossVerdict,
    loss_of_answers,
    loss_of_replicates,
    loss_of_scores,
    loss_of_shares,
    share_bounds,
)
from harness.stats.proportions import bits_to_correct, weighted_scores
from harness.store.records import ModelFacts

# From this SQNR on, the noise is at most 0.01 % of the signal, and an accuracy could only differ by chance.
EXACT_DB = 40.0
# Outputs are close to the float model's if the noise is at most 3 % of the signal and only the largest output counts,
# as for classes, or 1 % where every value counts. Sound static int8 files reach that; damaged ones have 10 dB and less.
CLOSE_CLASSES_DB = 15.0
CLOSE_DB = 20.0
# A file is only as good as its worst inputs. Those of a sound file are up to 10 dB below its median.
WORST_BELOW_MEDIAN_DB = 10.0
# A measured loss says something if its interval reaches at most this many limits to either side. With a wider one, a
# single photo would decide.
RESOLUTION = 3.0

# With untrained weights, or noise as input, the distance of the outputs from the float model's means nothing.
NO_FIDELITY = (ConditionId.RANDOM_WEIGHTS, ConditionId.RANDOM_INPUTS)
# In floating point a loss of 0.01 may come out as 0.010000000000000009; it must still be within 0.01.
_SLACK = 1e-9


class Quality(StrEnum):
    """Whether a cell's answers are as good as the float model's.

    ``holds``: shown to lose less than the limit. ``likely``: not shown, but its outputs are close to the float model's,
    or it was trained again and the measured loss is within the limit. ``open``: neither. ``lost``: shown to lose more
    than the limit. ``unknown``: nothing could be judged.
    """

    HOLDS = "holds"
    LIKELY = "likely"
    OPEN = "open"
    LOST = "lost"
    UNKNOWN = "unknown"


# Good enough to be recommended.
GOOD = (Quality.HOLDS, Quality.LIKELY)


class QualityBasis(StrEnum):
    """What quality was judged by, best first."""

    SCORE = "the metric of the model's folder"
    ACCURACY = "accuracy"
    AGREEMENT = "agreement with the float model"
    SQNR = "SQNR against the float model"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a variant may lose.

    ``loss`` is in the unit of accuracy (0.01 = one percentage point), also for a model's own metric that is a share
    from 0 to 1; for other metrics it is a share of the float model's value. ``disagreement`` is the share of inputs
    that may have another answer than the float model's, where there are no labels.
    """

    loss: float = ACCURACY.absolute_tolerance
    disagreement: float = 0.10


LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the cells of one model on one device are compared with: the float model on the same inputs.

    ``value`` is its accuracy (0…1) or score. ``correct_bits`` or ``scores`` have one entry per input, ``replicates``
    one per draw of a bootstrap, see `Accuracy` and `TaskScores`; older runs only know how many answers were ``correct``
    of ``count``. ``cell`` is the key of the cell that serves as the reference, empty for the float model itself.
    ``share``: the score is a share from 0 to 1, and its losses count in percentage points, as those of accuracy do.
    """

    basis: QualityBasis = QualityBasis.NOTHING
    value: float | None = None
    count: int = 0
    correct: int = 0
    correct_bits: str = ""
    scores: tuple[float, ...] = ()
    cell: str = ""
    replicates: tuple[float, ...] = ()
    higher_is_better: bool = True
    metric: str = ""
    unit: str = ""
    share: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFacts:
    """The quality of one cell, and what it was judged by.

    ``closeness_db`` is the median SQNR over inputs against the float model, lowered if the worst inputs are far worse;
    None if it means nothing. For a network that graph steps changed and that is shown to be as good, it is the SQNR
    against that network.
    """

    quality: Quality
    basis: QualityBasis
    loss: Loss | None = None
    closeness_db: float | None = None


def reference_of(measured: Sequence[tuple[Cell, Measurement]], facts: ModelFacts | None) -> Reference:
    """Return what to compare with: the float model, else the best fp32 cell, else the best cell.

    ``measured`` are the cells of one model on one device that ran to their end.
    """
    return _reference_scores(measured) or _reference_answers(measured, facts) or Reference()


def _reference_scores(measured: Sequence[tuple[Cell, Measurement]]) -> Reference | None:
    scored = [(cell, m.scores) for cell, m in measured if m.scores is not None]
    own = next((scores for _, scores in scored if scores.float_scores or scores.float_value is not None), None)
    if own is not None:
        return _scores(own, scores_reading(own, floats=True))
    if not scored:
        return None
    floats = [pair for pair in scored if pair[0].variant == Precision.FP32]
    cell, best = max(floats or scored, key=lambda pair: pair[1].value if pair[1].higher_is_better else -pair[1].value)
    return _scores(best, scores_reading(best), cell.key)


def _scores(scores: TaskScores, reading: Reading, cell: str = "") -> Reference:
    return Reference(
        basis=QualityBasis.SCORE,
        value=reading.value,
        count=reading.count,
        scores=reading.scores,
        cell=cell,
        replicates=reading.replicates,
        higher_is_better=scores.higher_is_better,
        metric=scores.metric,
        unit=scores.unit,
        share=scores.share,
    )


def _reference_answers(measured: Sequence[tuple[Cell, Measurement]], facts: ModelFacts | None) -> Reference | None:
    judged = [(cell, m.accuracy) for cell, m in measured if m.accuracy is not None]
    own = next((accuracy for _, accuracy in judged if accuracy.float_bits or accuracy.float_right), None)
    if own is not None:
        correct = sum(own.float_right or bits_to_correct(own.float_bits, own.count))
        return _answers(replace(own, correct_bits=own.float_bits, right=own.float_right, correct=correct))
    floats = [pair for pair in judged if pair[0].variant == Precision.FP32]
    if judged and not floats and facts is not None and facts.float_accuracy is not None:
        count = facts.float_answers or facts.test_count
        return Reference(
            basis=QualityBasis.ACCURACY, value=facts.float_accuracy, count=count, correct=facts.float_correct or 0
        )
    if not judged:
        return None
    cell, best = max(floats or judged, key=lambda pair: pair[1].value)
    return _answers(best, cell.key)


def _answers(accuracy: Accuracy, cell: str = "") -> Reference:
    return Reference(
        basis=QualityBasis.ACCURACY,
        value=accuracy.correct / accuracy.count,
        count=accuracy.count,
        correct=accuracy.correct,
        correct_bits=accuracy.correct_bits,
        scores=weighted_scores(accuracy.right, accuracy.asked),
        cell=cell,
    )


def judge_quality(measurement: Measurement, reference: Reference, limits: Limits = LIMITS) -> QualityFacts:
    """Judge a cell that ran to its end by the best evidence that there is."""
    loss = _loss(measurement, reference, limits.loss)
    if loss is None:
        quality, basis = _by_fidelity(measurement, limits)
    else:
        quality, basis = _by_loss(measurement, loss, limits), reference.basis
        if reference.cell == measurement.cell:
            quality = Quality.HOLDS
    if quality is Quality.LOST and any(c.id is ConditionId.HOST_KERNEL for c in measurement.conditions):
        # The kernels of this computer are wrong, which says nothing about the file.
        quality = Quality.OPEN
    own_db, float_db = _own_db(measurement), _float_db(measurement)
    closeness = own_db if quality is Quality.HOLDS and own_db is not None else float_db
    return QualityFacts(quality=quality, basis=basis, loss=loss, closeness_db=closeness)


def _own_db(measurement: Measurement) -> float | None:
    """The SQNR against the network that the graph steps left; None without such steps."""
    artifact = measurement.artifact
    return None if artifact is None or is_noise(measurement) else artifact.own_sqnr_db


def _float_db(measurement: Measurement) -> float | None:
    """The median SQNR over inputs against the float model, or 10 dB over that of the worst inputs, if that is lower."""
    artifact, fidelity = measurement.artifact, measurement.fidelity
    if is_noise(measurement):
        return None
    if fidelity is not None:
        return min(fidelity.sqnr_db, fidelity.sqnr_worst_db + WORST_BELOW_MEDIAN_DB)
    return artifact.sqnr_db if artifact is not None else None


def is_noise(measurement: Measurement) -> bool:
    """Return whether the network is untrained or its inputs are noise, so that its outputs mean nothing."""
    return any(condition.id in NO_FIDELITY for condition in measurement.conditions)


def _agreement(measurement: Measurement) -> float | None:
    if measurement.fidelity is not None:
        return measurement.fidelity.agreement
    return measurement.artifact.agreement if measurement.artifact is not None else None


def _loss(measurement: Measurement, reference: Reference, limit: float) -> Loss | None:
    """The loss by the labels; None without labels, or if they are not those of the reference."""
    scores, accuracy = measurement.scores, measurement.accuracy
    if reference.basis is QualityBasis.SCORE and scores is not None and scores.count == reference.count:
        return _loss_of_scores(reference, scores, limit)
    if reference.basis is not QualityBasis.ACCURACY or accuracy is None or accuracy.count != reference.count:
        return None
    if reference.scores and len(reference.scores) == len(accuracy.right):
        # The answers of one input depend on each other, so that inputs are compared and not answers.
        return loss_of_scores(reference.scores, weighted_scores(accuracy.right, accuracy.asked), limit)
    if not reference.correct_bits or not accuracy.correct_bits:
        return loss_of_shares((reference.correct, accuracy.correct), accuracy.count, limit)
    right = [bits_to_correct(bits, accuracy.count) for bits in (reference.correct_bits, accuracy.correct_bits)]
    return loss_of_answers(right[0], right[1], limit)


def _loss_of_scores(reference: Reference, scores: TaskScores, limit: float) -> Loss | None:
    """The loss on the scale of the metric; the limit counts in percentage points, or as a share of the value."""
    value = reference.value or 0.0
    # A reference of 0 has no share; the limit then counts on the scale of the metric itself.
    allowed = limit if reference.share else limit * abs(value) or limit
    if len(reference.scores) != len(scores.scores):
        return None
    if scores.scores:
        better = reference.higher_is_better
        return loss_of_scores(reference.scores, scores.scores, allowed, higher_is_better=better)
    sign = 1.0 if reference.higher_is_better else -1.0
    own = scores_reading(scores).replicates
    sides = [sign * one for one in reference.replicates], [sign * one for one in own]
    return loss_of_replicates(sign * (scores.value - value), sides, scores.count, allowed)


def _by_loss(measurement: Measurement, loss: Loss, limits: Limits) -> Quality:
    match loss.verdict:
        case LossVerdict.WITHIN:
            return Quality.HOLDS
        case LossVerdict.BEYOND:
            return Quality.LOST
        case LossVerdict.OPEN:
            return _where_labels_cannot_tell(measurement, loss, limits)
        case _:
            assert_never(loss.verdict)


def _where_labels_cannot_tell(measurement: Measurement, loss: Loss, limits: Limits) -> Quality:
    distance = _float_db(measurement)
    if distance is not None and distance >= EXACT_DB:
        return Quality.HOLDS
    if loss.is_real:
        return Quality.OPEN
    likely = _is_close(measurement, distance, limits) or _trained_within(measurement, loss)
    return Quality.LIKELY if likely else Quality.OPEN


def _trained_within(measurement: Measurement, loss: Loss) -> bool:
    """Whether a network that was trained again lost no more than the limit, as far as the inputs can resolve it.

    Its outputs differ from the float model's, whether it is worse or not. Only the file must be close to the network.
    """
    artifact = measurement.artifact
    if artifact is None or not any(step.training for step in artifact.steps):
        return False
    if loss.low is None or loss.high is None or loss.high - loss.low > 2 * RESOLUTION * loss.limit:
        return False
    return loss.loss <= loss.limit + _SLACK and _is_close_db(measurement, _own_db(measurement))


def _is_close(measurement: Measurement, distance: float | None, limits: Limits) -> bool:
    fidelity = measurement.fidelity
    if fidelity is not None and fidelity.agreement is not None:
        agreed = round(fidelity.agreement * fidelity.count)
        if share_bounds(agreed, fidelity.count)[1] < 1 - limits.disagreement:
            return False
    return _is_close_db(measurement, distance)


def _is_close_db(measurement: Measurement, distance: float | None) -> bool:
    least = CLOSE_DB if _agreement(measurement) is None else CLOSE_CLASSES_DB
    return distance is not None and distance >= least


def _by_fidelity(measurement: Measurement, limits: Limits) -> tuple[Quality, QualityBasis]:
    """Judge a cell without labels. Only agreement can show that answers were lost; a low SQNR leaves it open."""
    distance, agreement = _float_db(measurement), _agreement(measurement)
    if distance is None:
        return Quality.UNKNOWN, QualityBasis.NOTHING
    fidelity = measurement.fidelity
    basis = QualityBasis.SQNR if agreement is None else QualityBasis.AGREEMENT
    if fidelity is not None and agreement is not None:
        low, high = share_bounds(round(agreement * fidelity.count), fidelity.count)
        if high < 1 - limits.disagreement:
            return Quality.LOST, basis
        # Where the answers are the same, the accuracy is.
        if low >= 1 - limits.loss:
            return Quality.HOLDS, basis
    if distance >= EXACT_DB:
        return Quality.HOLDS, basis
    return (Quality.LIKELY if _is_close_db(measurement, distance) else Quality.OPEN), basis
