"""Quantiles and tails of Student's t distribution, without a dependency on scipy.

For integer degrees of freedom the distribution function is a finite sum (Abramowitz and Stegun 1964, 26.7.3 and
26.7.4), which is exact. The quantile is found from it by bisection. A p-value is a tail, and is computed as one:
"one minus the distribution function" loses every digit of a small tail, and can even turn negative.
"""

from __future__ import annotations

import math
from functools import lru_cache

# The upper quantile of a two-sided 95 % interval.
LEVEL = 0.975


@lru_cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the value below which a t variable with ``degrees`` degrees of freedom lies with ``probability``.

    Raises ValueError unless 0 < ``probability`` < 1 and ``degrees`` >= 1.
    """
    if not 0 < probability < 1 or degrees < 1:
        msg = f"no t quantile for probability {probability!r} and {degrees!r} degrees of freedom"
        raise ValueError(msg)
    # The distribution is symmetric about 0.
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    # Double until the quantile is bracketed: with few degrees of freedom it may be very large.
    while t_probability(high, degrees) < probability:
        low, high = high, 2 * high
    # 80 halvings reach the resolution of a double from any start.
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


def two_sided_p(value: float, degrees: int) -> float:
    """Return P(abs(T) >= abs(``value``)) for Student's t with ``degrees`` degrees of freedom, from 0 to 1.

    This is the regularised incomplete beta function I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + value²)
    (Abramowitz and Stegun 1964, 26.5.27). Raises ValueError for a value that is not a number or ``degrees`` < 1.
    """
    if math.isnan(value) or degrees < 1:
        msg = f"no p-value for t = {value!r} and {degrees!r} degrees of freedom"
        raise ValueError(msg)
    # The square of a huge value is not a float, and x would be 0 anyway.
    if abs(value) > _HUGE:
        return 0.0
    square = value * value
    below, above = square / (degrees + square), degrees / (degrees + square)
    a, b = degrees / 2, 0.5
    if above < (a + 1) / (a + b + 2):
        tail = _beta_fraction(a, b, above, below)
    else:
        # The fraction converges on this side only, and the tail is large here, so the difference keeps its digits.
        tail = 1 - _beta_fraction(b, a, below, above)
    return min(1.0, max(0.0, tail))


def p_of_estimate(estimate: float, error: float, degrees: int) -> float:
    """Return the two-sided p-value of "the true value is 0" for an ``estimate`` with the standard error ``error``.

    Without any error, a value other than 0 is certain. Raises ValueError as `two_sided_p` does.
    """
    return float(estimate == 0) if error == 0 else two_sided_p(estimate / error, degrees)


_HUGE = 1e150
_TINY = 1e-300


def _beta_fraction(a: float, b: float, x: float, rest: float) -> float:
    """I_x(a, b) by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method; ``rest`` is 1 - x."""
    if x == 0:
        return 0.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * (math.log(rest) if rest else 0.0)
    )
    numerator, denominator = 1.0, _not_zero(1 - (a + b) * x / (a + 1))
    denominator = 1 / denominator
    value = denominator
    for step in range(1, 1000):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            denominator = 1 / _not_zero(1 + term * denominator)
            numerator = _not_zero(1 + term / numerator)
            value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    return front * value / a


def _not_zero(value: float) -> float:
    """``value``, or a tiny number in place of 0, by which Lentz's method would divide."""
    return value if abs(value) > _TINY else _TINY
