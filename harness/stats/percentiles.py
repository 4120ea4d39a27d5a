"""Percentiles, and how many samples each needs before it may be shown.

A tail percentile of too few samples is None. The minimum counts are those of LoadGen's early stopping (MLPerf
Inference, ``early_stopping``) at confidence 0.99. The percentile itself is the plain one, not LoadGen's conservative
estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.99

Samples = Sequence[int] | Sequence[float] | npt.NDArray[np.int64] | npt.NDArray[np.float64]


def percentile(samples: Samples, percent: float) -> float:
    """Return the ``percent`` (0…100) percentile by linear interpolation between order statistics.

    This is definition 7 of Hyndman and Fan (1996), numpy's default. Raises ValueError without samples.
    """
    if len(samples) == 0:
        msg = f"there are no samples for the {percent!r}th percentile"
        raise ValueError(msg)
    return float(np.percentile(np.asarray(samples), percent))


def percentiles(samples: Samples, percents: Sequence[float]) -> tuple[float, ...]:
    """Return several percentiles, each as `percentile` does; all in one go take hardly longer than one.

    Raises ValueError without samples.
    """
    if len(samples) == 0:
        msg = f"there are no samples for the percentiles {tuple(percents)!r}"
        raise ValueError(msg)
    return tuple(np.percentile(np.asarray(samples), percents).tolist())


def median(samples: Samples) -> float:
    """Return the median; for an even count, the mean of the two middle samples. Raises ValueError without samples."""
    if len(samples) == 0:
        msg = "there are no samples for the median"
        raise ValueError(msg)
    return float(np.median(np.asarray(samples)))


def percentile_if_enough(samples: Samples, percent: float) -> float | None:
    """Return `percentile`, or None for fewer samples than `minimum_samples`."""
    if len(samples) < minimum_samples(percent):
        return None
    return percentile(samples, percent)


def early_stopping_estimate(samples: Samples, percent: float) -> float | None:
    """Return LoadGen's early-stopping estimate of a percentile; the plain percentile is too low for few samples.

    Let t be the most of n samples that may lie above the percentile, BinomCDF(t; n, 1 - percent / 100) <= 0.01. The
    t - 1 largest samples are dropped, and the largest of the rest is the estimate. None for fewer samples than
    `minimum_samples`.
    """
    count = len(samples)
    if count < minimum_samples(percent):
        return None
    over = _most_over(count, 1 - percent / 100)
    return float(np.sort(np.asarray(samples))[count - over])


@lru_cache
def _most_over(count: int, probability: float) -> int:
    """The largest t with P(X <= t) <= 0.01 for X ~ Binomial(count, probability); at least 1."""
    # In logarithms, because in floating point (1 - p)^n becomes 0 at some ten thousand samples.
    # Each term of the binomial sum follows from the one before.
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
    """Return how many samples the ``percent`` percentile needs before it may be shown: 90 → 64, 95 → 130, 99 → 662.

    This is the smallest n with BinomCDF(1; n, 1 - percent / 100) <= 1 - 0.99: with that many samples, the chance that
    at most one of them lies above the true percentile is one in a hundred. Raises ValueError unless
    0 < ``percent`` < 100.
    """
    if not 0 < percent < 100:
        msg = f"percent is {percent!r}: it must be between 0 and 100"
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
