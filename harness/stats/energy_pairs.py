"""The energy of calls from pairs of an idle and a load block, as a cumulative counter saw them. Needs no arrays.

**The power of a block** is the slope of the counter over time. A counter that is coarse stands still between its steps
and shows the true total only when it steps, so its slope is taken from its first step in the block to its last one,
each timed to within one interval between readings. A counter that moves at nearly every reading has its slope from the
first reading to the last. The choice is made for all idle and for all load blocks of a session at once: made block by
block, it would depend on where the steps happen to fall, and the idle power of a coarse counter would be too low.

**The energy of the calls** is the power of the load block less that of its idle block, times how long the calls took.
The idle power of a session drifts; its slope over the idle blocks (least squares) is allowed for between the middles
of the two blocks of a pair.

**The interval** is Student's over pairs, with the error of that slope added in quadrature. It is never narrower than
the counter's step and the interval between readings allow, because all pairs may happen to see the same number of
steps. A percentile bootstrap over so few pairs covers the truth in 84 to 92 % of sessions instead of 95 %
(``docs/energy.md``), so it is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.stats.medians import median
from harness.stats.student import LEVEL, t_quantile

# Fewer pairs say too little about how much pairs differ.
LEAST_PAIRS = 5
# A load block in which the counter moved less often says nothing: the counter is too coarse, or the block too short.
LEAST_MOVES = 3
# A counter that moves at this share of its readings does not stand still between them.
_MOVING = 0.8
# A block counts if the readings in it span this share of it.
_LEAST_COVER = 0.7
_NORMAL = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSeries:
    """A cumulative counter: totals at moments in seconds, in order. ``step`` is the smallest change that it showed.

    ``grain``: the unit that totals are rounded to, where the counter is brought up to date at times of its own. Such a
    counter does not show the true total at its steps. 0 for one that steps when the true total does.
    """

    at_s: tuple[float, ...]
    totals: tuple[float, ...]
    grain: float = 0.0

    @property
    def step(self) -> float:
        """The smallest change between readings, 0 if it never moved."""
        return min((abs(b - a) for a, b in pairwise(self.totals) if b != a), default=0.0)

    @property
    def goes_backwards(self) -> bool:
        """Whether a total is lower than one before it."""
        return any(b < a for a, b in pairwise(self.totals))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The slope of a counter per second, and its standard error by the counter's step and read interval alone."""

    rate: float
    error: float

    def times(self, factor: float) -> Slope:
        """Return the slope in another unit."""
        return Slope(rate=self.rate * factor, error=self.error * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRate:
    """The slopes of a counter in a block: over all readings, and between its steps (None with a single step).

    ``middle_s`` is the middle of the block, ``moves`` how often the counter moved in it.
    """

    plain: Slope
    between_steps: Slope | None
    middle_s: float
    moves: int

    def times(self, factor: float) -> BlockRate:
        """Return the slopes in another unit."""
        between = self.between_steps
        return BlockRate(
            plain=self.plain.times(factor),
            between_steps=between.times(factor) if between else None,
            middle_s=self.middle_s,
            moves=self.moves,
        )


def block_rate(series: CounterSeries, began_s: float, ended_s: float) -> BlockRate | None:
    """Return the slopes of a counter from ``began_s`` to ``ended_s``; None if its readings do not cover that time."""
    inside = [i for i, at in enumerate(series.at_s) if began_s <= at <= ended_s]
    if len(inside) < 2 or series.at_s[inside[-1]] - series.at_s[inside[0]] < _LEAST_COVER * (ended_s - began_s):
        return None
    at = [series.at_s[i] for i in inside]
    totals = [series.totals[i] for i in inside]
    moves = [i for i in range(1, len(at)) if totals[i] != totals[i - 1]]
    span = at[-1] - at[0]
    # The difference of two roundings to a step has a variance of step² / 6.
    step = series.step if not moves or len(moves) >= _MOVING * (len(at) - 1) else _usual_step(totals, moves)
    rounding = series.grain / math.sqrt(6)
    plain = Slope(rate=(totals[-1] - totals[0]) / span, error=math.hypot(step / math.sqrt(6), rounding) / span)
    return BlockRate(
        plain=plain,
        between_steps=_between_steps(at, totals, moves, rounding),
        middle_s=(began_s + ended_s) / 2,
        moves=len(moves),
    )


def _usual_step(totals: list[float], moves: list[int]) -> float:
    """The median change. A counter that stands still may be brought up to date rarely, in steps of any size."""
    return median([totals[i] - totals[i - 1] for i in moves])


def _between_steps(at: list[float], totals: list[float], moves: list[int], rounding: float) -> Slope | None:
    if len(moves) < 2:
        return None
    first, last = moves[0], moves[-1]
    widths = at[first] - at[first - 1], at[last] - at[last - 1]
    # A step came at some moment between two readings: uniform, so its variance is the width² / 12.
    span = (at[last] - widths[1] / 2) - (at[first] - widths[0] / 2)
    rate = (totals[last] - totals[first]) / span
    timing = abs(rate) * math.hypot(*widths) / math.sqrt(12)
    return Slope(rate=rate, error=math.hypot(timing, rounding) / span)


def best_slopes(blocks: Sequence[BlockRate]) -> list[Slope]:
    """Return one slope per block, all of the kind whose errors are smaller.

    Slopes between steps are taken only if every block has one.
    """
    between = [block.between_steps for block in blocks if block.between_steps is not None]
    plain = [block.plain for block in blocks]
    if len(between) < len(blocks) or sum(s.error for s in between) >= sum(s.error for s in plain):
        return plain
    return between


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPair:
    """An idle block and the load block after it, both in watts, and the ``count`` calls or tokens of the latter.

    ``load_s`` is how long they took.
    """

    idle: BlockRate
    load: BlockRate
    load_s: float
    count: int


def pair_joules(pairs: Sequence[BlockPair]) -> list[float]:
    """Return the energy of one call of each pair beyond that of the idle device, without any allowance for drift."""
    idle, load = best_slopes([p.idle for p in pairs]), best_slopes([p.load for p in pairs])
    return [(b.rate - a.rate) * p.load_s / p.count for a, b, p in zip(idle, load, pairs, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsEnergy:
    """Joules per call over a session of pairs, with their 95 % interval, and what they rest on.

    ``resolution_joules`` is the half-width that the counter's step and read interval alone would give.
    """

    joules: float
    low_joules: float
    high_joules: float
    idle_watts: float
    load_watts: float
    pairs: int
    resolution_joules: float

    @property
    def repeatability(self) -> float:
        """Half the width of the interval as a share of the value."""
        return (self.high_joules - self.low_joules) / 2 / self.joules if self.joules > 0 else math.inf


def pairs_energy(pairs: Sequence[BlockPair]) -> PairsEnergy:
    """Return the energy per call of a session. Raises ValueError for fewer than `LEAST_PAIRS` pairs."""
    count = len(pairs)
    if count < LEAST_PAIRS:
        msg = f"{count} pairs say too little about the energy of a call; it takes {LEAST_PAIRS}"
        raise ValueError(msg)
    idle, load = best_slopes([p.idle for p in pairs]), best_slopes([p.load for p in pairs])
    drift, drift_error = _line([p.idle.middle_s for p in pairs], [slope.rate for slope in idle])
    seconds = [p.load_s / p.count for p in pairs]
    # The watts of drift that a pair sees, per watt a second of slope, in joules a call.
    apart = [(p.load.middle_s - p.idle.middle_s) * call_s for p, call_s in zip(pairs, seconds, strict=True)]
    values = [joules - drift * gap for joules, gap in zip(pair_joules(pairs), apart, strict=True)]
    mean, spread = _mean_and_spread(values)
    # The drift is the same for all pairs, so its error does not shrink with their number.
    shared = drift_error * math.fsum(apart) / count
    own = t_quantile(LEVEL, count - 1) * math.hypot(spread / math.sqrt(count), shared)
    errors = [math.hypot(a.error, b.error) * call_s for a, b, call_s in zip(idle, load, seconds, strict=True)]
    resolution = _NORMAL * math.hypot(*errors) / count
    half = max(own, resolution)
    return PairsEnergy(
        joules=mean,
        low_joules=mean - half,
        high_joules=mean + half,
        idle_watts=math.fsum(slope.rate for slope in idle) / count,
        load_watts=math.fsum(slope.rate for slope in load) / count,
        pairs=count,
        resolution_joules=resolution,
    )


def _line(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope of the line of least squares, and its standard error; both 0 where all moments are the same."""
    count = len(at)
    middle, level = math.fsum(at) / count, math.fsum(values) / count
    square = math.fsum((x - middle) ** 2 for x in at)
    if square == 0:
        return 0.0, 0.0
    slope = math.fsum((x - middle) * y for x, y in zip(at, values, strict=True)) / square
    rest = math.fsum((y - level - slope * (x - middle)) ** 2 for x, y in zip(at, values, strict=True))
    return slope, math.sqrt(rest / (count - 2) / square)


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
