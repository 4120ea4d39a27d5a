"""Metrics of class answers: top-1 and top-5 per input, F1 and mean IoU over all inputs, from counts per class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.scoring.corpus import Corpus, of_counts
from harness.stats.answers import NO_ANSWER

Counts = npt.NDArray[np.int64]


def class_counts(answers: npt.NDArray[Any], labels: npt.NDArray[Any], classes: int, ignored: int | None) -> Counts:
    """Return how often each class was hit, answered wrongly and missed, per input: shape ``(count, 3, classes)``.

    ``answers`` and ``labels`` have shape ``(count, rows)``. Rows with the label ``ignored`` do not count. A row without
    an answer is a miss.
    """
    counts = np.zeros((len(labels), 3, classes), dtype=np.int64)
    asked = np.ones(labels.shape, dtype=bool) if ignored is None else labels != ignored
    for index, (mine, truth, counted) in enumerate(zip(answers, labels, asked, strict=True)):
        hit = counted & (mine == truth)
        wrong = counted & (mine != truth)
        counts[index, 0] = np.bincount(truth[hit], minlength=classes)
        counts[index, 1] = np.bincount(mine[wrong & (mine != NO_ANSWER)], minlength=classes)
        counts[index, 2] = np.bincount(truth[wrong], minlength=classes)
    return counts


def mean_iou(counts: Counts) -> Corpus:
    """Return hits / (hits + wrong answers + misses), averaged over the classes that occur in labels or answers."""
    return _by_class(counts, lambda total: (total[0], total.sum(axis=0)))


def f1_macro(counts: Counts) -> Corpus:
    """Return the F1 score of each class that occurs in labels or answers, averaged."""
    return _by_class(counts, lambda total: (2 * total[0], 2 * total[0] + total[1] + total[2]))


def f1_micro(counts: Counts) -> Corpus:
    """Return the F1 score of the counts of all classes together."""
    return of_counts(counts, lambda total: _ratio(2 * total[0].sum(), (2 * total[0] + total[1] + total[2]).sum()))


def f1_binary(counts: Counts) -> Corpus:
    """Return the F1 score of class 1."""
    return of_counts(counts, lambda total: _ratio(2 * total[0, 1], 2 * total[0, 1] + total[1, 1] + total[2, 1]))


def _by_class(counts: Counts, ratio: Callable[[Counts], tuple[Counts, Counts]]) -> Corpus:
    """The score that averages over classes the first result of ``ratio`` divided by the second."""

    def value(total: Counts) -> float:
        parts, wholes = ratio(total)
        seen = wholes > 0
        return float(np.mean(parts[seen] / wholes[seen])) if seen.any() else float("nan")

    parts, wholes = ratio(counts.sum(axis=0))
    classes = {int(label): float(parts[label] / wholes[label]) for label in np.flatnonzero(wholes)}
    return replace(of_counts(counts, value), by_class=classes)


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")
