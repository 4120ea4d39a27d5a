"""95 % intervals: of a latency over launches, and of a share of correct answers.

Calls within a launch depend on each other, so the interval of a latency is never computed over calls. Its unit is the
launch, on a logarithmic scale, because launches differ by factors (Kalibera and Jones 2013).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.student import LEVEL, t_quantile

_Z = statistics.NormalDist().inv_cdf(LEVEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A latency and its 95 % interval, in nanoseconds."""

    centre_ns: float
    low_ns: float
    high_ns: float


def t_interval_of_log_medians(launch_medians_ns: Sequence[float]) -> Interval | None:
    """Return the median of the launches' medians with exp(mean ± t·s/√R) of their logarithms.

    None for fewer than two launches, because one launch has no spread, and None if a median is not positive, because
    it has no logarithm. If the launches are so skewed that their median lies outside the interval, the interval is
    widened to contain it.
    """
    half = log_half_width(launch_medians_ns)
    if half is None:
        return None
    centre = statistics.median(launch_medians_ns)
    mean = statistics.fmean(math.log(m) for m in launch_medians_ns)
    return Interval(
        centre_ns=centre, low_ns=min(centre, math.exp(mean - half)), high_ns=max(centre, math.exp(mean + half))
    )


def log_half_width(launch_medians_ns: Sequence[float]) -> float | None:
    """Return t·s/√R of the logarithms: 0.015 means "± 1.5 %". None if there is no interval."""
    count = len(launch_medians_ns)
    if count < 2 or min(launch_medians_ns) <= 0:
        return None
    spread = statistics.stdev(math.log(m) for m in launch_medians_ns)
    return t_quantile(LEVEL, count - 1) * spread / math.sqrt(count)


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Return the Wilson (1927) score 95 % interval (low, high) of the share ``correct`` / ``count``, within 0…1.

    Unlike the textbook interval it keeps its coverage near 0 and 1 (Brown, Cai and DasGupta 2001). Raises ValueError
    unless 0 <= ``correct`` <= ``count`` and ``count`` >= 1.
    """
    if not 0 <= correct <= count or count < 1:
        msg = f"{correct!r} correct of {count!r} is not a share: count must be at least 1, correct from 0 to count"
        raise ValueError(msg)
    return wilson_of_share(correct / count, count)


def wilson_of_share(share: float, count: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of ``share`` (0…1) of ``count`` answers, which need not be a whole number."""
    square = _Z**2 / count
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    # At shares of 0 and 1 rounding could push a bound past the share itself.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
