"""Quantiles of Student's t distribution, without a dependency on scipy.

For integer degrees of freedom the distribution function is a finite sum (Abramowitz and Stegun 1964, 26.7.3 and
26.7.4), which is exact. The quantile is found from it by bisection.
"""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the value below which a t variable with ``degrees`` degrees of freedom lies with ``probability``.

    Raises ValueError unless 0 < ``probability`` < 1 and ``degrees`` >= 1.
    """
    if not 0 < probability < 1 or degrees < 1:
        msg = f"no t quantile for probability {probability!r} and {degrees!r} degrees of freedom"
        raise ValueError(msg)
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < probability:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        if t_probability(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_probability(value: float, degrees: int) -> float:
    """Return P(T <= ``value``) for Student's t with ``degrees`` degrees of freedom, an integer."""
    angle = math.atan(value / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    # Both sums run over powers of the cosine up to degrees - 2; each coefficient follows from the one before.
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + inside) / 2
