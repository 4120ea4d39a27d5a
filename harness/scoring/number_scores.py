"""Metrics of numbers: correlations, and the equal error rate of a detector. All are over all inputs at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.scoring.corpus import Corpus, Rows, of_rows

Floats = npt.NDArray[np.float64]


def pearson(predictions: Floats, truth: Floats) -> Corpus:
    """Return Pearson's correlation over inputs, averaged over columns; both have shape ``(count, columns)``."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, truth)


def spearman(predictions: Floats, truth: Floats) -> Corpus:
    """Return Spearman's rank correlation over inputs, averaged over columns, in the shapes of `pearson`."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, truth)


def _correlation(function: Callable[..., Any], predictions: Floats, truth: Floats) -> Corpus:
    def value(rows: Rows) -> float:
        columns = [(predictions[rows, i], truth[rows, i]) for i in range(truth.shape[1])]
        # A correlation with a constant is not defined; scipy would warn and return NaN.
        if any(np.ptp(side) == 0 for pair in columns for side in pair):
            return float("nan")
        return float(np.mean([function(x, y).statistic for x, y in columns]))

    return of_rows(len(truth), value)


def equal_error_rate(scores: Floats, labels: npt.NDArray[np.int64]) -> Corpus:
    """Return the rate at which as many genuine inputs (label 1) are rejected as others (label 0) are accepted.

    ``scores`` and ``labels`` have shape ``(count,)``; a higher score speaks for 1. Between two thresholds, both rates
    are interpolated along a straight line. The rate is NaN with labels of one kind only, or with a score that is not
    finite.
    """
    from sklearn.metrics import roc_curve

    def value(rows: Rows) -> float:
        drawn = labels[rows]
        if drawn.min() == drawn.max() or not np.isfinite(scores[rows]).all():
            return float("nan")
        accepted, genuine, _ = roc_curve(drawn, scores[rows], drop_intermediate=False)
        rejected = 1 - genuine
        # `rejected - accepted` falls from 1 to -1 along the curve; the rates are equal where it crosses 0.
        gap = rejected - accepted
        after = int(np.argmax(gap <= 0))
        before = max(after - 1, 0)
        step = gap[before] - gap[after]
        share = gap[before] / step if step else 0.0
        return float(accepted[before] + share * (accepted[after] - accepted[before]))

    return of_rows(len(labels), value)
