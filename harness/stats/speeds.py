"""Whether the launches of a cell run at two or three speeds instead of one.

A process may keep for its whole life what it got at its start: a fast or a slow core, a lucky or an unlucky layout of
memory. Its launches then fall into groups, and an average of them is a time that no launch takes.

The launches are split into groups at gaps between neighbours. They count as groups if the narrowest gap is many times
the widest spread within a group. How many times depends on the smallest group, because two slow launches are often far
away and close together by chance, and five are not. The limits below hold the share of one-speed cells that are split
under 2 % for normal, uniform, Laplace, t, exponential, lognormal and Pareto launches (``tests/simulation/cells.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from harness.stats.clock import clock_step
from harness.stats.normal import deviation, mean

# Fewer launches cannot show two groups: one launch by itself is an outlier and not a group.
LEAST_LAUNCHES = 5
LEAST_GROUP = 2
# The narrowest gap in units of the widest spread, by the number of launches in the smallest group.
GAPS = {2: 10.0, 3: 7.0}
GAP_OF_LARGER_GROUPS = 4.5
MOST_GROUPS = 3
# Speeds that differ by less are within the change that matters; ln(1.03).
LEAST_DIFFERENCE = math.log(1.03)
# Spreads below this are taken to be this: launches of a fine clock never agree so well except by chance.
LEAST_SPREAD = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One of the speeds: the time of a call in ns, and how many launches ran at it."""

    level_ns: float
    launches: int


def speeds_of(launch_medians_ns: Sequence[float]) -> tuple[Speed, ...]:
    """Return the speeds at which launches ran, fastest first; empty if they do not differ by groups.

    Two or three speeds, each of at least two launches. Empty for fewer than five launches, and for a median that is not
    positive.
    """
    if len(launch_medians_ns) < LEAST_LAUNCHES or min(launch_medians_ns) <= 0:
        return ()
    # Every command that reads a run loads this module for its record; numpy would be most of their start.
    from harness.stats.pairs import hodges_lehmann

    values = sorted(math.log(ns) for ns in launch_medians_ns)
    least_spread = max(LEAST_SPREAD, math.log1p(clock_step(launch_medians_ns)))
    for count in range(2, MOST_GROUPS + 1):
        best = max(_splits(values, count), key=lambda groups: _clearness(groups, least_spread), default=None)
        if best is not None and _clearness(best, least_spread) >= 1:
            return tuple(Speed(level_ns=math.exp(hodges_lehmann(g)), launches=len(g)) for g in best)
    return ()


def main_speed(speeds: Sequence[Speed]) -> Speed:
    """Return the speed of most launches, the slower one of equals. Raises ValueError without speeds."""
    return max(speeds, key=lambda speed: (speed.launches, speed.level_ns))


def at_main_speed(launch_medians_ns: Sequence[float], speeds: Sequence[Speed]) -> list[int]:
    """Return the positions of the launches that ran at the main speed; of all launches if there are no ``speeds``."""
    if not speeds:
        return list(range(len(launch_medians_ns)))
    main = main_speed(speeds)
    return [
        index
        for index, ns in enumerate(launch_medians_ns)
        if min(speeds, key=lambda speed: abs(math.log(ns / speed.level_ns))) is main
    ]


def _splits(values: list[float], count: int) -> Iterator[list[list[float]]]:
    """All ways to cut the sorted ``values`` into ``count`` groups, each large enough and apart enough to matter."""
    gaps = [after - before for before, after in pairwise(values)]
    least = max(LEAST_DIFFERENCE / 2, _least_gap(gaps, count))
    for cuts in combinations([i for i, gap in enumerate(gaps, start=1) if gap >= least], count - 1):
        groups = [values[begin:end] for begin, end in pairwise((0, *cuts, len(values)))]
        middles = [mean(group) for group in groups]
        apart = all(after - before >= LEAST_DIFFERENCE for before, after in pairwise(middles))
        if apart and min(len(group) for group in groups) >= LEAST_GROUP:
            yield groups


def _least_gap(gaps: list[float], count: int) -> float:
    """The gap that a cut needs at least; smaller ones need not be tried.

    Without the widest gaps, a range r is left for the groups. The widest group has at least r / ``count`` of it, and n
    values with a range w have a standard deviation of at least w / √(2·(n - 1)).
    """
    left = sum(sorted(gaps)[: len(gaps) - count + 1])
    return min(*GAPS.values(), GAP_OF_LARGER_GROUPS) * left / count / math.sqrt(2 * len(gaps))


def _clearness(groups: list[list[float]], least_spread: float) -> float:
    """The narrowest gap over the widest spread, in units of its limit: 1 and more means groups."""
    gap = min(after[0] - before[-1] for before, after in pairwise(groups))
    spread = max(least_spread, *(deviation(group) for group in groups))
    return gap / spread / GAPS.get(min(len(group) for group in groups), GAP_OF_LARGER_GROUPS)
