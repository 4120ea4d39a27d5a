"""The interval of a mean over inputs.

An interval by resampling (a bootstrap) is too narrow for few inputs: over ten it covers 90 % instead of 95 %, over five
82 %, and over one it has no width. The t interval allows for the number of inputs. It is still too narrow for skewed
scores, such as overlaps near 1 or error rates that are mostly 0: over ten inputs it covers 83 to 91 %, over twenty 87
to 93 %. Below twenty inputs there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.stats.normal import deviation, mean
from harness.stats.student import LEVEL, t_quantile

LEAST_FOR_MEAN = 20


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t interval of the mean of ``values``, one per input; None for fewer than twenty.

    For a paired comparison, pass the differences. Raises ValueError without values, or if one is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        msg = f"no interval of {len(values)} scores: at least one is needed, and all must be finite"
        raise ValueError(msg)
    if len(values) < LEAST_FOR_MEAN:
        return None
    half = half_width(values)
    centre = mean(values)
    return centre - half, centre + half


def half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95 % t interval of the mean of ``values``, of which there are at least two."""
    return t_quantile(LEVEL, len(values) - 1) * deviation(values) / math.sqrt(len(values))
