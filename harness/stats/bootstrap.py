"""The interval of a mean by resampling, for metrics of unknown distribution (Efron and Tibshirani 1993).

The seed is fixed, so a stored run always has the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 20_261_101
# Resamples are drawn in slices: for 50,000 inputs all at once would take a gigabyte.
_SLICE = 100


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of ``values``, one per input.

    For a paired comparison, pass the differences. Raises ValueError without values, or if one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size or not np.isfinite(array).all():
        msg = f"no interval of {array.size} scores: at least one is needed, and all must be finite"
        raise ValueError(msg)
    rng = np.random.default_rng(SEED)
    means = [array[rng.integers(0, len(array), (_SLICE, len(array)))].mean(axis=1) for _ in range(RESAMPLES // _SLICE)]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)
