"""The 95 % interval of a share of correct answers."""

from __future__ import annotations

import math

from harness.stats.normal import Z_TWO_SIDED


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Return the Wilson (1927) score 95 % interval (low, high) of the share ``correct`` / ``count``, within 0…1.

    Unlike the textbook interval it keeps its coverage near 0 and 1 (Brown, Cai and DasGupta 2001). Raises ValueError
    unless 0 <= ``correct`` <= ``count`` and ``count`` >= 1.
    """
    if not 0 <= correct <= count or count < 1:
        msg = f"{correct!r} correct of {count!r} is not a share: count must be at least 1, correct from 0 to count"
        raise ValueError(msg)
    return wilson_of_share(correct / count, count)


def wilson_of_share(share: float, count: float, *, z: float = Z_TWO_SIDED) -> tuple[float, float]:
    """Return Wilson's interval of ``share`` (0…1) of ``count`` answers, which need not be a whole number.

    ``z`` is the upper normal quantile: 1.96 for a 95 % interval.
    """
    square = z**2 / count
    centre = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    # At shares of 0 and 1 rounding could push a bound past the share itself.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
