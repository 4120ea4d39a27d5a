"""Percentiles, and how many samples each of them needs before it may be shown.

The one decision: a tail percentile from too few samples is None. The minima are those of LoadGen's early stopping
(MLPerf Inference, ``early_stopping``) at confidence 0.99; the percentile itself is the plain one, not LoadGen's
conservative estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.99


def percentile(samples: Sequence[int] | npt.NDArray[np.int64], percent: float) -> float:
    """Return the ``percent`` (0…100) percentile by linear interpolation between order statistics.

    This is definition 7 of Hyndman and Fan (1996), numpy's default. Raises ValueError without samples.
    """
    if len(samples) == 0:
        msg = f"there are no samples to take the {percent!r}th percentile of"
        raise ValueError(msg)
    return float(np.percentile(np.asarray(samples), percent))


def median(samples: Sequence[int] | Sequence[float] | npt.NDArray[np.int64]) -> float:
    """Return the median, the mean of the two middle samples when their count is even. Raises ValueError without any."""
    if len(samples) == 0:
        msg = "there are no samples to take the median of"
        raise ValueError(msg)
    return float(np.median(np.asarray(samples)))


def percentile_if_enough(samples: Sequence[int] | npt.NDArray[np.int64], percent: float) -> float | None:
    """Return `percentile`, or None when there are fewer samples than `minimum_samples` asks for."""
    if len(samples) < minimum_samples(percent):
        return None
    return percentile(samples, percent)


def early_stopping_estimate(samples: Sequence[int] | npt.NDArray[np.int64], percent: float) -> float | None:
    """Return LoadGen's early-stopping estimate of a percentile: the plain one is flattering when samples are few.

    With t the most samples of n that may lie over the percentile, BinomCDF(t; n, 1 - percent / 100) <= 0.01, the t - 1
    largest are dropped and the largest of the rest is the estimate. None with fewer samples than `minimum_samples`.
    """
    count = len(samples)
    if count < minimum_samples(percent):
        return None
    over = _most_over(count, 1 - percent / 100)
    return float(np.sort(np.asarray(samples))[count - over])


@lru_cache
def _most_over(count: int, probability: float) -> int:
    """The largest t with P(X <= t) <= 0.01 for X ~ Binomial(count, probability); at least 1."""
    # In logarithms, because (1 - p)^n is 0 in floating point from some ten thousand samples on.
    term = count * math.log1p(-probability)
    total, ratio = math.exp(term), math.log(probability) - math.log1p(-probability)
    for over in range(1, count + 1):
        term += math.log(count - over + 1) - math.log(over) + ratio
        total += math.exp(term)
        if total > 1 - CONFIDENCE:
            return max(1, over - 1)
    return count


@lru_cache
def minimum_samples(percent: float) -> int:
    """Return the fewest samples from which the ``percent`` percentile may be shown: 90 → 64, 95 → 130, 99 → 662.

    It is the least n with BinomCDF(1; n, 1 - percent / 100) <= 1 - 0.99: if the true percentile were above all samples
    but one, seeing no more than that one would be a one-in-a-hundred chance.
    """
    if not 0 < percent < 100:
        msg = f"percent is {percent!r}: it must lie between 0 and 100"
        raise ValueError(msg)
    over = 1 - percent / 100
    count = 1
    while _at_most_one(count, over) > 1 - CONFIDENCE:
        count += 1
    return count


def _at_most_one(count: int, probability: float) -> float:
    """P(X <= 1) for X ~ Binomial(count, probability)."""
    none = (1 - probability) ** count
    one = count * probability * (1 - probability) ** (count - 1)
    return float(none + one)
