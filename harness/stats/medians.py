"""The median of a few numbers.

The standard library's `statistics` loads decimal, fractions, random and hashlib with it, which together take longer
than everything else that writing a figure needs. Every command that shows one would pay for them.
"""

from __future__ import annotations

from collections.abc import Iterable

# For normally distributed values, this many MADs (median absolute deviations) are one standard deviation.
MAD_TO_DEVIATION = 1.4826


def median(values: Iterable[float]) -> float:
    """Return the middle value, or the mean of the two in the middle. Raises ValueError without any values."""
    ordered = sorted(values)
    if not ordered:
        msg = "the median of no values"
        raise ValueError(msg)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
