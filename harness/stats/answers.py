"""The answers in class scores, and a share of right answers where one input asks for several.

Scores of a batch, a sequence or a picture have one row of scores per item, token or pixel. Each row is an answer.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.stats.intervals import wilson_of_share
from harness.stats.means import LEAST_FOR_MEAN

Numbers = npt.NDArray[Any]
Answers = npt.NDArray[np.int64]

# The answer of a row without a largest value.
NO_ANSWER = -1


def top_answers(scores: Numbers, axis: int) -> Answers:
    """Return the class with the highest score of every row, shape ``(count, rows)``.

    ``scores`` has shape ``(count, *shape)``; ``axis`` is the position of the classes in ``shape``. A row with a NaN, or
    whose highest score is infinite, has no answer (-1): `argmax` would return its first NaN. A score of minus infinity
    is a class that is ruled out.
    """
    along = axis % (scores.ndim - 1) + 1
    # max() passes a NaN on, so one look at the highest score covers both.
    known = np.isfinite(scores.max(axis=along))
    return np.where(known, scores.argmax(axis=along), NO_ANSWER).reshape(len(scores), -1).astype(np.int64)


def in_top(scores: Numbers, axis: int, labels: Answers, *, top: int) -> npt.NDArray[np.bool_]:
    """Return whether each label is among the ``top`` highest scores of its row; both have shape ``(count, rows)``.

    Of equal scores, those of lower classes come first, as in `argmax`. A row without an answer is wrong.
    """
    classes = scores.shape[1:][axis]
    known = np.clip(labels, 0, classes - 1)
    right = np.zeros(labels.shape, dtype=bool)
    # Input by input: for pictures, all comparisons at once would take several times the memory of the scores.
    for index in range(len(scores)):
        rows = rows_of(scores[index : index + 1], axis)[0]
        label = known[index][:, np.newaxis]
        own = np.take_along_axis(rows, label, axis=1)
        ahead = (rows > own) | ((rows == own) & (np.arange(classes) < label))
        right[index] = ahead.sum(axis=1) < top
    return np.asarray(right & (known == labels) & (top_answers(scores, axis) != NO_ANSWER))


def rows_of(scores: Numbers, axis: int) -> Numbers:
    """Return ``scores``, of shape ``(count, *shape)``, as ``(count, rows, classes)``."""
    last = np.moveaxis(scores, axis % (scores.ndim - 1) + 1, -1)
    return last.reshape(len(scores), -1, last.shape[-1])


def agreement(reference: Numbers, outputs: Numbers, axis: int) -> float | None:
    """Return the share (0…1) of rows in which both have the same answer, of those for which ``reference`` has one.

    Both have shape ``(count, *shape)``. None for a single class, which is no answer, and if ``reference`` has none.
    """
    if reference.shape[1:][axis] < 2:
        return None
    expected, actual = top_answers(reference, axis), top_answers(outputs, axis)
    answered = expected != NO_ANSWER
    return float(np.mean((expected == actual)[answered])) if answered.any() else None


def clustered_share(right: Sequence[int], asked: Sequence[int]) -> tuple[float, float]:
    """Return the 95 % interval (low, high) of Σ``right`` / Σ``asked``, with one entry of each per input.

    The answers of one input depend on each other: neighbouring pixels are right or wrong together. Wilson's interval
    therefore counts as many answers as would be equally informative if they were independent (Rao and Scott 1992; Korn
    and Graubard 1998). That is the number of inputs where the spread between inputs cannot be known: below twenty
    inputs, or if all answers are right or all are wrong. Raises ValueError if none was asked.
    """
    counted = [(r, a) for r, a in zip(right, asked, strict=True) if a]
    if not counted:
        msg = "no answers were asked for, so there is no share of right ones"
        raise ValueError(msg)
    total, inputs = sum(a for _, a in counted), len(counted)
    share = sum(r for r, _ in counted) / total
    effective: float = inputs
    if inputs >= LEAST_FOR_MEAN and 0 < share < 1:
        # The variance of a ratio of sums, linearised: the spread of what each input adds beyond its expected part.
        spread = statistics.variance([r - share * a for r, a in counted], xbar=0.0)
        variance = inputs * spread / total**2
        effective = min(float(total), share * (1 - share) / variance) if variance else float(total)
    return wilson_of_share(share, effective)
