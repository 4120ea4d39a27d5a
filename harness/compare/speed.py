"""Whether one cell is faster than another, by the intervals over launches."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.measurement import LatencySummary
from harness.records.metrics import LATENCY

# A single launch has no interval. Launches of one file differ by a few per cent on a quiet device and more on a busy
# one, so that one launch may well be this far from the median of many.
ONE_LAUNCH = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRange:
    """The latency of a cell in ns: the median over its launches, and the interval in which it lies."""

    median_ns: float
    low_ns: float
    high_ns: float


def range_of(latency: LatencySummary) -> LatencyRange:
    """Return the median with its 95 % interval over launches; for a single launch, 10 % on either side.

    Launches that ran at several speeds may take any time from the fastest to the slowest.
    """
    if latency.speeds:
        fastest, slowest = latency.speeds[0].level_ns, latency.speeds[-1].level_ns
        return LatencyRange(median_ns=latency.median_ns, low_ns=fastest, high_ns=slowest)
    low, high = latency.low_ns, latency.high_ns
    if low is None or high is None:
        return one_launch(latency.median_ns)
    return LatencyRange(median_ns=latency.median_ns, low_ns=low, high_ns=high)


def one_launch(median_ns: float) -> LatencyRange:
    """Return the range that a single launch shows."""
    return LatencyRange(median_ns=median_ns, low_ns=median_ns / (1 + ONE_LAUNCH), high_ns=median_ns * (1 + ONE_LAUNCH))


def is_slower(one: LatencyRange, other: LatencyRange) -> bool:
    """Return whether ``one`` is slower than ``other``: their intervals are apart, and so are their medians by 3 %."""
    return one.median_ns > other.median_ns * (1 + LATENCY.relative_tolerance) and one.low_ns > other.high_ns
