"""Which part of a launch is steady, from change points in its call times.

Warm-up is found by a change-point search rather than a fixed count, because the same search notices a device that gets
slower during the measurement. The method: take medians of batches; find shifts of their mean by optimal partitioning
(Jackson et al. 2005; PELT, Killick et al. 2012, minimises the same objective); treat segments within 2 % of the last
one as equal to it (after Barrett et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from harness.stats.medians import MAD_TO_DEVIATION

# The median of five calls ignores two slow ones, which are interruptions and not levels.
BATCH_CALLS = 5
# The search takes time quadratic in the number of batches, so long launches get wider ones.
MAX_BATCHES = 200
MIN_SEGMENT_BATCHES = 4
# In units of noise² · ln(batches): like the penalty of BIC, which is about 2, but stricter.
PENALTY = 6.0
EQUIVALENCE = 0.02
# Beyond this, the penalty would forgive any change of level.
MOST_CORRELATION = 0.95
# In fewer batches, three levels follow the wander itself, and the residuals no longer show it.
THREE_LEVELS_FROM = 40

# With a coarse clock the noise is 0 and every tick would be a change. A shift of 0.1 % is far below the equivalence
# anyway.
NOISE_FLOOR = 0.001

Floats = npt.NDArray[np.float64]


class SteadyState(StrEnum):
    """What the calls of one launch look like; ``slowdown`` and ``no_steady_state`` are flagged, never averaged away.

    ``not_told``: the runner did not report single calls, so nothing is known about them.
    """

    FLAT = "flat"
    WARMUP = "warmup"
    SLOWDOWN = "slowdown"
    NO_STEADY_STATE = "no_steady_state"
    NOT_TOLD = "not_told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The steady part is ``samples[start:]``; ``changes`` are the sample indices at which a new level starts."""

    start: int
    state: SteadyState
    changes: tuple[int, ...] = ()


def find_steady(samples_ns: Sequence[int]) -> Steady:
    """Find the steady part of one launch's calls (ns, in order, without call 0).

    Fewer than eight batches (40 calls) cannot be split into two segments and count as flat.
    """
    width = max(BATCH_CALLS, math.ceil(len(samples_ns) / MAX_BATCHES))
    batches = _batch_medians(samples_ns, width)
    if len(batches) < 2 * MIN_SEGMENT_BATCHES:
        return Steady(start=0, state=SteadyState.FLAT)
    starts = _partition(batches, PENALTY * wander(batches) ** 2 * math.log(len(batches)))
    medians = [float(np.median(part)) for part in np.split(batches, starts[1:])]
    first = _first_equal(medians)
    state = _classify(medians, first, begins=starts[first] / len(batches))
    return Steady(start=starts[first] * width, state=state, changes=tuple(s * width for s in starts[1:]))


def noise(values: Floats) -> float:
    """Return the noise of ``values`` around their level: 1.4826·MAD of first differences / √2.

    In the unit of ``values``, at least two. It is never less than 0.1 % of their median. Taking differences removes the
    level, so a shift does not count as noise.
    """
    steps = np.diff(values)
    mad = float(np.median(np.abs(steps - np.median(steps))))
    return max(MAD_TO_DEVIATION * mad / math.sqrt(2), NOISE_FLOOR * abs(float(np.median(values))))


def wander(values: Floats) -> float:
    """Return the noise that a shift of level must exceed: `noise`, raised for values that resemble their neighbours.

    In the unit of ``values``, of which there must be at least eight.
    First differences do not see a slow wander, which then passes for changes of level. It does show in the residuals:
    the mean of n residuals with spread σ and lag-1 autocorrelation ρ varies as that of n·(1 - ρ)/(1 + ρ) independent
    ones, hence σ·√((1 + ρ)/(1 - ρ)). The residuals are taken around the best two or three levels and around a straight
    line, and the smaller result counts: a launch that steps or creeps must not forgive itself.
    """
    return max(noise(values), min(_effective_spread(_around_levels(values)), _effective_spread(_around_a_line(values))))


def _effective_spread(residuals: Floats) -> float:
    power, count = float(residuals @ residuals), len(residuals)
    rho = max(0.0, float(residuals[1:] @ residuals[:-1]) / power) if power > 0 else 0.0
    # Short series underestimate ρ; this is Kendall's (1954) first-order correction.
    rho = min(MOST_CORRELATION, rho + (1 + 4 * rho) / count)
    spread = MAD_TO_DEVIATION * float(np.median(np.abs(residuals)))
    return spread * math.sqrt((1 + rho) / (1 - rho))


def _around_levels(values: Floats) -> Floats:
    """The values less the mean of their level, for the best three levels: a warm-up, the launch, and a slowdown."""
    count, least = len(values), MIN_SEGMENT_BATCHES
    sums = np.concatenate(([0.0], np.cumsum(values - values.mean())))
    first, second = np.meshgrid(np.arange(least, count - least + 1), np.arange(least, count - least + 1), indexing="ij")
    # Two levels are three of which one is empty; its width of 1 avoids a division by 0, its sum is 0.
    widths = first, np.maximum(second - first, 1), count - second
    totals = sums[first], sums[second] - sums[first], sums[-1] - sums[second]
    gain = sum(total**2 / width for total, width in zip(totals, widths, strict=True))
    fits = second == first
    if count >= THREE_LEVELS_FROM:
        fits |= second - first >= least
    best = np.unravel_index(int(np.argmax(np.where(fits, gain, -np.inf))), gain.shape)
    ends = sorted({int(first[best]), int(second[best])})
    return np.concatenate([part - part.mean() for part in np.split(values, ends)])


def _around_a_line(values: Floats) -> Floats:
    """The values less their least-squares line."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values.mean()
    return np.asarray(centred - time * float(time @ centred) / float(time @ time))


def _batch_medians(samples: Sequence[int], width: int) -> Floats:
    """Medians of full batches. The few calls left over at the end are ignored: they belong to the last level."""
    whole = len(samples) // width * width
    return np.median(np.asarray(samples[:whole], dtype=np.float64).reshape(-1, width), axis=1)


def _partition(values: Floats, penalty: float) -> list[int]:
    """Return where segments start (0 first), minimising the sum of squares around their means plus a ``penalty`` each.

    Segments have at least four batches. The sums of squares come from cumulative sums, so each cost is a subtraction.
    """
    count = len(values)
    centred = values - values.mean()
    sums = np.concatenate(([0.0], np.cumsum(centred)))
    squares = np.concatenate(([0.0], np.cumsum(centred**2)))
    # best[end] is the lowest cost of the first ``end`` values. The first segment costs no change, hence -penalty.
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, dtype=np.int64)
    for end in range(MIN_SEGMENT_BATCHES, count + 1):
        begin = np.arange(0, end - MIN_SEGMENT_BATCHES + 1)
        cost = squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin)
        total = best[begin] + cost + penalty
        previous[end] = int(np.argmin(total))
        best[end] = total[previous[end]]
    # Follow the chosen starts back from the end.
    starts = [int(previous[count])]
    while starts[0] > 0:
        starts.insert(0, int(previous[starts[0]]))
    return starts


def _first_equal(medians: list[float]) -> int:
    """Return the first segment of the unbroken run, ending with the last one, that is within 2 % of the last."""
    first = len(medians) - 1
    while first > 0 and abs(medians[first - 1] - medians[-1]) <= EQUIVALENCE * medians[-1]:
        first -= 1
    return first


def _classify(medians: list[float], first: int, *, begins: float) -> SteadyState:
    if first == 0:
        return SteadyState.FLAT
    # The steady part must be most of the launch, or its median says little about the launch.
    if begins > 0.5:
        return SteadyState.NO_STEADY_STATE
    # Warm-up only ever gets faster. An earlier level below the last one means that the device slowed down.
    if min(medians[:first]) < medians[-1] * (1 - EQUIVALENCE):
        return SteadyState.SLOWDOWN
    return SteadyState.WARMUP
