"""The levels at which the calls of a launch ran: where a phone lowers its clock, or a boost ends."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harness.stats.change_points import scan, threshold

# Medians of stretches stand for the calls, whose outliers and number would decide otherwise.
MOST_STRETCHES, LEAST_CALLS = 60, 5
# The fewest stretches in which a change is looked for.
LEAST_STRETCHES = 12
# ln(1.03): a smaller step decides nothing.
LEAST_STEP = math.log1p(0.03)
# The rarest false alarm of the table of thresholds.
ARL0 = 5000


def levels(times: npt.NDArray[np.int64]) -> tuple[tuple[int, float], ...]:
    """Return the first call of each level and its median, in the unit of ``times``; one level if nothing changed.

    Binary segmentation with the rank scan of `harness.stats.change_points`, over medians of up to 60 stretches.
    """
    count = min(MOST_STRETCHES, times.size // LEAST_CALLS)
    if count < LEAST_STRETCHES:
        return ((0, float(np.median(times))),) if times.size else ()
    edges = np.linspace(0, times.size, count + 1).astype(int)
    medians = np.array([np.median(times[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    splits = [0, *sorted(_splits(medians, 0)), count]
    return tuple(
        (int(edges[a]), float(np.median(times[edges[a] : edges[b]])))
        for a, b in zip(splits[:-1], splits[1:], strict=True)
    )


def _splits(medians: npt.NDArray[np.float64], begin: int) -> list[int]:
    here = _split(medians)
    if here is None:
        return []
    return [*_splits(medians[:here], begin), begin + here, *_splits(medians[here:], begin + here)]


def _split(medians: npt.NDArray[np.float64]) -> int | None:
    """The first stretch of a new level, None without one."""
    third = medians.size // 3
    # A level that is left again, such as a boost, hides from a look at the whole.
    for start, end in ((0, medians.size), (0, medians.size - third), (third, medians.size)):
        part = medians[start:end]
        if part.size < LEAST_STRETCHES:
            continue
        found = scan(part)
        before, after = np.median(part[: found.split]), np.median(part[found.split :])
        step = abs(math.log(after / before)) if min(before, after) > 0 else 0.0
        if not found.trending and found.statistic >= threshold(part.size, arl0=ARL0) and step >= LEAST_STEP:
            return start + found.split
    return None
