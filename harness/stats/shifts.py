"""A shift that many series share on one night: a hot room, a new system, a new runtime.

Each series is compared with its own level; the median over a group of series is then one number per night, which is
compared with the same number on earlier nights. A median does not notice that a few of the series regressed.

One night says that something happened, three in a row that it lasts. So a weekend or a single bad night begins no new
level, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.stats.change_points import inflation
from harness.stats.medians import MAD_TO_DEVIATION, median
from harness.stats.pairs import mean_ranks

# ln(1.03): a smaller shift is left to the screen.
LEAST_SHIFT = math.log1p(0.03)
# With fewer series, the median follows one of them.
LEAST_MEMBERS = 5
# Two weekends, and enough nights to see whether they wander.
LEAST_NIGHTS = 14
NIGHTS = 30
# The spread of the medians is estimated from a few weeks, hence more than the usual three deviations.
DEVIATIONS = 5.0
# By how much a shift must exceed the largest one of the nights before.
UNUSUAL = 1.5
LASTING_NIGHTS = 3
# The share of the group that must have moved along. Some series of a slow phone may not be slower.
LEAST_SHARE = 2 / 3
# Standard error of a median over the deviation of one value, for normal values.
_MEDIAN_ERROR = math.sqrt(math.pi / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """How far a series is from its own level, as ln(value / level): tonight, and ``before`` by the name of the run.

    ``spread`` is the standard deviation of a night.
    """

    tonight: float
    before: Mapping[str, float]
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedShift:
    """The median shift of a group tonight, ln(new / old), beyond the limit that earlier nights set.

    ``unusual``: it also exceeds every shift of the nights before. ``lasting``: it is the third night in a row.
    """

    size: float
    unusual: bool
    lasting: bool


def shared_shift(members: Sequence[Deviations], runs: Sequence[str]) -> SharedShift | None:
    """Return the shift that ``members`` share tonight, or None; ``runs`` are the earlier nights, oldest first.

    The limit is max(3 %, 5 deviations of the group's median from night to night), wider if nights resemble the ones
    before them. None for fewer than five members or fourteen nights, for a smaller shift, and if fewer than two thirds
    of the members moved at least half as far.
    """
    if len(members) < LEAST_MEMBERS:
        return None
    medians = _medians(members, runs[-NIGHTS:])
    if len(medians) < LEAST_NIGHTS:
        return None
    size, limit = median(m.tonight for m in members), _limit(members, medians)
    if abs(size) <= limit or moved_along(members, size) < LEAST_SHARE:
        return None
    same_way = [abs(value) for value in medians if value * size > 0]
    recent, earlier = medians[1 - LASTING_NIGHTS :], medians[: 1 - LASTING_NIGHTS]
    enough = len(earlier) >= LEAST_NIGHTS
    lasting = enough and all(value * size > 0 and abs(value) > _limit(members, earlier) for value in recent)
    return SharedShift(
        size=size,
        unusual=abs(size) > UNUSUAL * max(same_way, default=0.0),
        lasting=lasting,
    )


def moved_along(members: Sequence[Deviations], size: float) -> float:
    """Return the share of ``members`` that moved at least half of ``size``, the same way."""
    return sum(m.tonight * size > 0 and abs(m.tonight) >= abs(size) / 2 for m in members) / len(members)


def _medians(members: Sequence[Deviations], runs: Sequence[str]) -> list[float]:
    """The group's median on each night on which at least half of it was measured."""
    nights = ([m.before[run] for m in members if run in m.before] for run in runs)
    return [median(values) for values in nights if 2 * len(values) >= len(members)]


def _limit(members: Sequence[Deviations], medians: Sequence[float]) -> float:
    middle = median(medians)
    nightly = MAD_TO_DEVIATION * median(abs(value - middle) for value in medians)
    # Where few nights happen to agree, the spread of the members still limits how well their median is known.
    sampling = _MEDIAN_ERROR * median(m.spread for m in members) / math.sqrt(len(members))
    # Nights that resemble the ones before wander, and a few weeks of them show too little of how far.
    rho = _autocorrelation(medians)
    return max(LEAST_SHIFT, DEVIATIONS * max(nightly * inflation(rho, len(medians)), sampling))


def _autocorrelation(medians: Sequence[float]) -> float:
    """The lag-1 autocorrelation of the nights by ranks, which single bad nights hardly move; at most 0.9.

    The estimate is biased downwards in short series, hence + 2/n, as in the screen.
    """
    count = len(medians)
    ranks = mean_ranks(np.asarray(medians)) - (count + 1) / 2
    power = float(ranks @ ranks)
    if power == 0:
        return 0.0
    return min(0.9, float(ranks[1:] @ ranks[:-1]) / power + 2 / count)
