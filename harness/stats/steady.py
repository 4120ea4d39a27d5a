"""Which part of a launch is steady: change points in the run of call times, and what they say of it.

The one decision: warm-up is cut by a change-point search and not by a fixed count, because the same search notices a
device that gets slower while it is measured. The method: medians of batches, an optimal partitioning for shifts of
the mean (Jackson et al. 2005; the objective that PELT, Killick et al. 2012, minimises), segments within 2 % of the last
one count as equal to it (after Barrett et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

BATCH_CALLS = 5
MAX_BATCHES = 200
MIN_SEGMENT_BATCHES = 4
PENALTY = 6.0
EQUIVALENCE = 0.02

# A clock that ticks coarsely gives a noise of 0 and would make every tick a change; a shift of 0.1 % is far below what
# the equivalence would see anyway.
NOISE_FLOOR = 0.001

Floats = npt.NDArray[np.float64]


class SteadyState(StrEnum):
    """What the calls of one launch look like; a slowdown and no steady state are flagged, never silently averaged.

    Where no single call is told, nothing can be said of them.
    """

    FLAT = "flat"
    WARMUP = "warmup"
    SLOWDOWN = "slowdown"
    NO_STEADY_STATE = "no_steady_state"
    NOT_TOLD = "not_told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The steady part is ``samples[start:]``; ``changes`` are the sample indices where a new level begins."""

    start: int
    state: SteadyState
    changes: tuple[int, ...] = ()


def find_steady(samples_ns: Sequence[int]) -> Steady:
    """Find the steady part of one launch's calls (call 0 left out, in order, ns).

    Fewer than eight batches (40 calls) cannot be split in two segments and count as flat.
    """
    width = max(BATCH_CALLS, math.ceil(len(samples_ns) / MAX_BATCHES))
    batches = _batch_medians(samples_ns, width)
    if len(batches) < 2 * MIN_SEGMENT_BATCHES:
        return Steady(start=0, state=SteadyState.FLAT)
    starts = _partition(batches, PENALTY * noise(batches) ** 2 * math.log(len(batches)))
    medians = [float(np.median(part)) for part in np.split(batches, starts[1:])]
    first = _first_equal(medians)
    state = _classify(medians, first, begins=starts[first] / len(batches))
    return Steady(start=starts[first] * width, state=state, changes=tuple(s * width for s in starts[1:]))


def noise(values: Floats) -> float:
    """Return the noise of ``values`` around their level: 1.4826·MAD of first differences / √2, and not quite zero.

    Differences do not see the level, so a shift does not count as noise.
    """
    steps = np.diff(values)
    mad = float(np.median(np.abs(steps - np.median(steps))))
    return max(1.4826 * mad / math.sqrt(2), NOISE_FLOOR * abs(float(np.median(values))))


def _batch_medians(samples: Sequence[int], width: int) -> Floats:
    """Medians of full batches; calls left over at the end belong to the last level and are not looked at."""
    whole = len(samples) // width * width
    return np.median(np.asarray(samples[:whole], dtype=np.float64).reshape(-1, width), axis=1)


def _partition(values: Floats, penalty: float) -> list[int]:
    """Return where segments start (0 first), least sum of squares around segment means plus ``penalty`` a change."""
    count = len(values)
    centred = values - values.mean()
    sums = np.concatenate(([0.0], np.cumsum(centred)))
    squares = np.concatenate(([0.0], np.cumsum(centred**2)))
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, dtype=np.int64)
    for end in range(MIN_SEGMENT_BATCHES, count + 1):
        begin = np.arange(0, end - MIN_SEGMENT_BATCHES + 1)
        cost = squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin)
        total = best[begin] + cost + penalty
        previous[end] = int(np.argmin(total))
        best[end] = total[previous[end]]
    starts = [int(previous[count])]
    while starts[0] > 0:
        starts.insert(0, int(previous[starts[0]]))
    return starts


def _first_equal(medians: list[float]) -> int:
    """Return the first of the unbroken run of segments, up to the last, that are within 2 % of the last."""
    first = len(medians) - 1
    while first > 0 and abs(medians[first - 1] - medians[-1]) <= EQUIVALENCE * medians[-1]:
        first -= 1
    return first


def _classify(medians: list[float], first: int, *, begins: float) -> SteadyState:
    if first == 0:
        return SteadyState.FLAT
    if begins > 0.5:
        return SteadyState.NO_STEADY_STATE
    if min(medians[:first]) < medians[-1] * (1 - EQUIVALENCE):
        return SteadyState.SLOWDOWN
    return SteadyState.WARMUP
