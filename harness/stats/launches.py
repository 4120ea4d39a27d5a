"""The time of a typical launch, and its 95 % interval over launches.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The 95 % interval of a latency, in nanoseconds."""

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
    """Return the 95 % interval of `typical` over launches; ``clock_step`` (relative) widens it at both ends.

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
    return Interval(low_ns=low_ns, high_ns=high_ns)


def log_half_width(launch_medians_ns: Sequence[float]) -> float | None:
    """Return t·s/√R of the logarithms: 0.015 means "± 1.5 %". None if there is no interval.

    The stop rule uses it, because it changes smoothly with the spread; an interval of few ranks moves in steps.
    """
    count = len(launch_medians_ns)
    if count < 2 or min(launch_medians_ns) <= 0:
        return None
    spread = statistics.stdev(math.log(m) for m in launch_medians_ns)
    return t_quantile(LEVEL, count - 1) * spread / math.sqrt(count)
