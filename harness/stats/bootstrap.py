"""Intervals of a mean by resampling inputs, for metrics whose distribution nobody knows (Efron and Tibshirani 1993).

The one decision: the seed is fixed, so that the same stored run has the same interval every time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 20_261_101
# Resamples are drawn in slices, so that 50,000 inputs do not need a gigabyte.
_SLICE = 100


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the percentile bootstrap's 95 % interval of the mean of ``values``, one an input; for a paired comparison
    give the differences. Raises ValueError without values, or when one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size or not np.isfinite(array).all():
        msg = f"{array.size} scores, all of which must be finite and at least one there: no interval"
        raise ValueError(msg)
    rng = np.random.default_rng(SEED)
    means = [array[rng.integers(0, len(array), (_SLICE, len(array)))].mean(axis=1) for _ in range(RESAMPLES // _SLICE)]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)
