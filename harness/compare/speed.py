"""Whether one cell is faster than another, by the intervals over launches."""

from __future__ import annotations

from harness.records.measurement import LatencySummary
from harness.records.metrics import LATENCY

# A single launch has no interval. Launches of one file differ by a few per cent on a quiet device and more on a busy
# one, so that one launch may well be this far from the median of many.
ONE_LAUNCH = 0.10


def span_ns(latency: LatencySummary) -> tuple[float, float]:
    """Return the 95 % interval of the latency in ns; for a single launch, 10 % on either side."""
    if latency.low_ns is not None and latency.high_ns is not None:
        return latency.low_ns, latency.high_ns
    return latency.median_ns / (1 + ONE_LAUNCH), latency.median_ns * (1 + ONE_LAUNCH)


def is_slower(one: LatencySummary, other: LatencySummary) -> bool:
    """Return whether ``one`` is slower than ``other``: their intervals are apart, and so are their medians by 3 %."""
    apart = one.median_ns > other.median_ns * (1 + LATENCY.relative_tolerance)
    return apart and span_ns(one)[0] > span_ns(other)[1]
