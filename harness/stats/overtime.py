"""How a sustained launch went: the calls of each minute by themselves, never one median over half an hour.

The one decision: minutes are cut by when a call began, so that a slow minute holds fewer calls and weighs the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.records.measurement import MinuteLatency

MINUTE_NS = 60_000_000_000
SHOWN_MINUTES = (1, 5, 15, 30)


def by_minute(launches: Sequence[tuple[Sequence[int], Sequence[int]]]) -> tuple[MinuteLatency, ...]:
    """Return the minutes of launches, each (moments of the calls, their times), both ns; several launches are pooled.

    A minute that no call began in is left out. Raises ValueError when moments and times differ in number.
    """
    pooled: dict[int, list[int]] = {}
    for moments, samples in launches:
        for at, sample in zip(moments, samples, strict=True):
            pooled.setdefault(at // MINUTE_NS + 1, []).append(sample)
    return tuple(
        MinuteLatency(
            minute=minute,
            median_ns=float(np.median(samples)),
            p90_ns=float(np.percentile(samples, 90)),
            calls=len(samples),
        )
        for minute, samples in sorted(pooled.items())
    )


def last_over_first(minutes: Sequence[MinuteLatency]) -> float | None:
    """Return the median of the last minute over that of the first: 1.3 is 30 % slower in the end. None under two."""
    return minutes[-1].median_ns / minutes[0].median_ns if len(minutes) > 1 and minutes[0].median_ns else None
