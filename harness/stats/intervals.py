"""95 % intervals: of a latency over launches, and of a share of correct answers.

Calls within a launch depend on each other, so the interval of a latency is never computed over calls. Its unit is the
launch, on a logarithmic scale, because launches differ by factors (Kalibera and Jones 2013).

Launches do not vary normally: some phones have a few launches that are much slower. The figure and its interval
therefore come from ranks. An interval about the mean covers 40 to 90 % in such worlds, this one 92 to 97 %
(``docs/measurement.md`` has the table).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.clock import log_step
from harness.stats.medians import median
from harness.stats.pairs import hodges_lehmann, hodges_lehmann_interval
from harness.stats.student import LEVEL, t_quantile

# The upper quantile of the interval of ranks over launches; see `launch_interval`.
LAUNCH_LEVEL = 0.985

_Z = statistics.NormalDist().inv_cdf(LEVEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A latency and its 95 % interval, in nanoseconds."""

    centre_ns: float
    low_ns: float
    high_ns: float


def typical(launch_medians_ns: Sequence[float]) -> float:
    """Return the time of a typical launch: exp of the Hodges-Lehmann estimate of the logarithms, in ns.

    That is the median over all pairs of launches of their geometric mean (Hodges and Lehmann 1963). It varies hardly
    more than a mean, and one bad launch of five moves it little, which no mean can say. One launch is its own. Where a
    median is not positive, and has no logarithm, it is the plain median. Raises ValueError without launches.
    """
    least = min(launch_medians_ns, default=0.0)
    # Equal launches are left as they are, because a logarithm and back is not exact.
    if least <= 0 or least == max(launch_medians_ns):
        return median(launch_medians_ns)
    return math.exp(hodges_lehmann([math.log(ns) for ns in launch_medians_ns]))


def launch_interval(launch_medians_ns: Sequence[float], *, clock_step: float = 0.0) -> Interval | None:
    """Return `typical` with its 95 % interval over launches; ``clock_step`` (relative) widens it at both ends.

    From seven launches on, the ends are order statistics of the pairwise geometric means (the interval that belongs to
    the signed-rank test). It is taken at the level 97 %, because launches stop being added where they happen to agree,
    which costs about two points. With fewer launches no interval of ranks reaches that level, and it is the estimate
    ± t·s/√R of the logarithms, or the range of the launches where that is wider.

    None for fewer than two launches, because one launch has no spread, and for a median that is not positive.
    """
    half = log_half_width(launch_medians_ns)
    if half is None:
        return None
    values = [math.log(ns) for ns in launch_medians_ns]
    low, high = hodges_lehmann_interval(values, level=LAUNCH_LEVEL)
    if low is None or high is None:
        middle = hodges_lehmann(values)
        low, high = min(*values, middle - half), max(*values, middle + half)
    centre, step = typical(launch_medians_ns), log_step(clock_step)
    # Rounding may put the ends of a narrow interval beyond its centre.
    low_ns, high_ns = min(centre, math.exp(low - step)), max(centre, math.exp(high + step))
    return Interval(centre_ns=centre, low_ns=low_ns, high_ns=high_ns)


def log_half_width(launch_medians_ns: Sequence[float]) -> float | None:
    """Return t·s/√R of the logarithms: 0.015 means "± 1.5 %". None if there is no interval.

    The stop rule uses it, because it changes smoothly with the spread; an interval of few ranks moves in steps.
    """
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
