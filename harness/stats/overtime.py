"""How a sustained launch went, minute by minute: one median over half an hour would hide that a device slows down."""

from __future__ import annotations

from collections.abc import Sequence

MINUTE_NS = 60_000_000_000
SHOWN_MINUTES = (1, 5, 15, 30)


def by_minute(launches: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[int, list[int]]:
    """Return the call times of launches by minute, from 1; several launches are pooled.

    ``launches`` holds (moments of the calls, their times), both in ns. A minute in which no call began is left out.
    Raises ValueError if moments and times differ in number.
    """
    pooled: dict[int, list[int]] = {}
    for moments, samples in launches:
        for at, sample in zip(moments, samples, strict=True):
            # Cut by when a call began: a slow minute then holds fewer calls, yet weighs as much as the others.
            pooled.setdefault(at // MINUTE_NS + 1, []).append(sample)
    return dict(sorted(pooled.items()))


def last_over_first(medians: Sequence[float]) -> float | None:
    """Return the last minute's median over the first's: 1.3 means 30 % slower at the end. None for fewer than two."""
    return medians[-1] / medians[0] if len(medians) > 1 and medians[0] else None
