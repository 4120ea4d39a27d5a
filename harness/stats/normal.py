"""Quantiles of the normal distribution, and the standard deviation, without the ``statistics`` module.

That module loads others which take longer to start than everything else that ``phonebench show`` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# The normal quantiles of 97.5 %, for two-sided 95 % intervals, and of 95 %, for one-sided bounds.
Z_TWO_SIDED = 1.959963984540054
Z_ONE_SIDED = 1.6448536269514722


def mean(values: Sequence[float]) -> float:
    """Return the mean, rounded once. ``values`` has at least one."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample, with n - 1 in the denominator. ``values`` has at least two."""
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))
