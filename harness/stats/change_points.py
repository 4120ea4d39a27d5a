"""One look at a segment of nights: the split at which it differs most, its trend, and how large either must be.

The rank change-point model of Pettitt (1979) and Hawkins and Deng (2010), with exact tails, and the rank test for a
trend of Mann (1945) and Kendall (1975). Both statistics are standard normal quantiles on level series, and both are
divided by what correlated nights inflate them by, so one threshold serves for the larger of the two.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.stats.pairs import mean_ranks
from harness.stats.rank_sums import tail_quantiles

# Nights on either side of a split. With fewer, one outlying night would look like a change.
MIN_SIDE = 3
# A step in the middle of the nights is a trend of this share of its clarity; one near their end, of less than half.
TRENDING = 0.85

THRESHOLDS_FILE = Path(__file__).with_name("screening_thresholds.json")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentScan:
    """One look at a segment: the best split (the first index of its second part), D′ at that split, and ρ̂.

    ``trending``: the nights rise or fall all along about as clearly as they step. If more clearly, ``statistic`` and
    ``autocorrelation`` are those of the trend.
    """

    split: int
    statistic: float
    autocorrelation: float
    trending: bool = False


def scan(values: Floats) -> SegmentScan:
    """Return the split at which two-sample ranks differ most, AR-scaled, or the trend if that is clearer.

    ``values``: at least six. For 3 <= k <= n - 3, z_k is the normal quantile of the exact tail of U_k, the rank sum of
    the first k minus k(k+1)/2, and D = max z_k. For a trend, D = (|S| - 1) / σ_S with Kendall's S over all pairs of
    nights. If ρ̂ > 1/√n, D′ = D·√((1-ρ̂)/(1+ρ̂)), else D′ = D: positively correlated nights drift, and without the
    factor the drift would pass for changes. ρ̂ is that of the residuals from the two medians, or from the trend's line.
    """
    count = len(values)
    ranks = mean_ranks(values)
    # All splits at once: a cumulative sum of the ranks holds the rank sum of the first k for every k.
    k = np.arange(MIN_SIDE, count - MIN_SIDE + 1)
    u = np.cumsum(ranks)[k - 1] - k * (k + 1) / 2
    z = tail_quantiles(u, k, count)
    best = int(np.argmax(z))
    split = int(k[best])
    statistic, rho = _damped(float(z[best]), from_medians(values, split))
    slope = kendall_quantile(values)
    if slope <= TRENDING * statistic:
        return SegmentScan(split=split, statistic=statistic, autocorrelation=rho)
    damped, rho_of_line = _damped(slope, _from_line(values))
    trending = damped > TRENDING * statistic
    if damped > statistic:
        statistic, rho = damped, rho_of_line
    return SegmentScan(split=split, statistic=statistic, autocorrelation=rho, trending=trending)


def kendall_quantile(values: Floats) -> float:
    """Return (|S| - 1) / σ_S, at least 0, of the Mann-Kendall test; tied nights count in σ_S. 0 for equal values."""
    count = len(values)
    s = float(np.triu(np.sign(values[None, :] - values[:, None]), 1).sum())
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    variance = (count * (count - 1) * (2 * count + 5) - float(np.sum(ties * (ties - 1) * (2 * ties + 5)))) / 18
    return max(0.0, abs(s) - 1) / math.sqrt(variance) if variance > 0 else 0.0


def from_medians(values: Floats, split: int) -> Floats:
    """Return the residuals of both parts of a segment from their medians."""
    return np.concatenate([part - np.median(part) for part in (values[:split], values[split:])])


def _from_line(values: Floats) -> Floats:
    """The residuals from the line through the median, whose slope is the median of all pairs' (Theil and Sen)."""
    nights = np.arange(len(values), dtype=np.float64)
    early, late = np.triu_indices(len(values), 1)
    slope = float(np.median((values[late] - values[early]) / (late - early)))
    left = values - slope * nights
    return np.asarray(left - np.median(left))


def autocorrelation(residuals: Floats, *, fitted: int) -> float:
    """Return ρ̂, the lag-1 autocorrelation of ``residuals``, clipped to their 5–95 % range; limited to 0 … 0.9.

    In n values the estimate is too low by (1 + 4ρ)/n for each of the ``fitted`` parameters (Marriott and Pope 1954;
    Kendall 1954). The part that grows with ρ is made up for only where ρ is significant.
    """
    # Clipped, because a single outlying night would hide the correlation of all others.
    clipped = np.clip(residuals, *np.percentile(residuals, (5, 95)))
    # Scaled, so that squares of huge or tiny values neither overflow nor vanish.
    size = float(np.max(np.abs(clipped)))
    if size == 0:
        return 0.0
    scaled = clipped / size
    scaled = scaled - scaled.mean()
    power = float(scaled @ scaled)
    if power == 0:
        return 0.0
    count = len(residuals)
    rho = float(scaled[1:] @ scaled[:-1]) / power + fitted / count
    if rho > 1 / math.sqrt(count):
        rho /= max(0.5, 1 - 4 * fitted / count)
    return min(0.9, max(0.0, rho))


def inflation(rho: float, nights: int) -> float:
    """Return by how much a correlation of ``rho`` inflates a sum over ``nights``, 1 if it is not significant."""
    return math.sqrt((1 + rho) / (1 - rho)) if rho > 1 / math.sqrt(nights) else 1.0


def _damped(statistic: float, residuals: Floats) -> tuple[float, float]:
    # Two medians, or the height and the slope of a line.
    rho = autocorrelation(residuals, fitted=2)
    return statistic / inflation(rho, len(residuals)), rho


def threshold(nights: int, *, sliding: bool = False, arl0: int) -> float:
    """Return h for a segment of ``nights``: linear between the columns of the table, constant beyond its ends.

    ``sliding``: the window of 60 nights is full and moves along. Raises ValueError for an ``arl0`` that the table
    lacks.
    """
    table = _thresholds()
    if arl0 not in table.rows:
        msg = f"arl0 is {arl0!r}: the table of thresholds has {', '.join(str(a) for a in sorted(table.rows))}"
        raise ValueError(msg)
    # The threshold rises with the segment, and is higher again for a window that moves: it forgets old nights, so it
    # gets more independent chances to raise a false alarm.
    growing, at_window = table.rows[arl0]
    return at_window if sliding else float(np.interp(nights, table.nights, growing))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thresholds:
    nights: tuple[int, ...]
    rows: dict[int, tuple[tuple[float, ...], float]]


@lru_cache(maxsize=1)
def _thresholds() -> _Thresholds:
    """The table that ships with the package."""
    read = json.loads(THRESHOLDS_FILE.read_text(encoding="utf-8"))
    rows = {int(arl0): (tuple(row["growing"]), float(row["sliding"])) for arl0, row in read["arl0"].items()}
    return _Thresholds(nights=tuple(read["nights"]), rows=rows)
