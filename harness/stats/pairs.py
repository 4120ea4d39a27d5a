"""Effects of pairs and of two groups: the ratio with its interval, Hodges-Lehmann, and rank tests.

Everything is on a logarithmic scale, because latencies differ by factors. The unit is a pair of launches, or a launch,
never a call. Verdicts use the ranks, see `harness.stats.sessions` for pairs and `harness.stats.groups` for two groups
of launches. An `Effect` is stored with both kinds of figures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harness.stats.student import LEVEL, p_of_estimate, t_quantile
from harness.stats.verdicts import Span

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(Span):
    """A change on a logarithmic scale: ``estimate`` of ln(B / A), its 95 % interval, and the p-value of "no change".

    ``hodges_lehmann`` and its interval ``hl_low`` to ``hl_high`` are the estimate from ranks; the ends are None if
    there are too few pairs for 95 %. ``rank_p`` is the exact p-value of the rank test. ``count`` is the number of
    pairs, or the smaller number of launches. Stored sessions and ``compare --json`` have all of these fields.
    """

    p_value: float
    hodges_lehmann: float
    hl_low: float | None
    hl_high: float | None
    rank_p: float
    spread: float
    count: int


def paired_effect(log_ratios: Sequence[float]) -> Effect | None:
    """Return the effect of pairs d_i = ln(B_i / A_i): mean ± t·s/√P (Kalibera and Jones 2013), and signed ranks.

    ``spread`` is s, the standard deviation of a pair. None for fewer than two pairs. Raises ValueError for a value
    that is not finite.
    """
    values = _finite(log_ratios)
    count = len(values)
    if count < 2:
        return None
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    error = spread / math.sqrt(count)
    half = t_quantile(LEVEL, count - 1) * error
    low, high = hodges_lehmann_interval(values)
    return Effect(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        p_value=p_of_estimate(mean, error, count - 1),
        hodges_lehmann=hodges_lehmann(values),
        hl_low=low,
        hl_high=high,
        rank_p=signed_rank_p(values),
        spread=spread,
        count=count,
    )


def group_effect(log_a: Sequence[float], log_b: Sequence[float]) -> Effect | None:
    """Return the effect between two groups of launches, given as the logarithms of their medians.

    The interval is Welch's (1947), with the degrees of freedom rounded down; the rank statistics are Mann-Whitney and
    the Hodges-Lehmann shift. ``spread`` is the pooled standard deviation of a launch. None if a group has fewer than
    two launches. Raises ValueError for a value that is not finite.
    """
    a, b = _finite(log_a), _finite(log_b)
    if min(len(a), len(b)) < 2:
        return None
    part_a, part_b = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    error = math.sqrt(part_a + part_b)
    degrees = _welch_degrees((part_a, len(a)), (part_b, len(b)))
    difference = statistics.fmean(b) - statistics.fmean(a)
    half = t_quantile(LEVEL, degrees) * error
    low, high = shift_interval(a, b)
    return Effect(
        estimate=difference,
        low=difference - half,
        high=difference + half,
        p_value=p_of_estimate(difference, error, degrees),
        hodges_lehmann=shift(a, b),
        hl_low=low,
        hl_high=high,
        rank_p=mann_whitney_p(a, b),
        spread=math.sqrt((statistics.variance(a) + statistics.variance(b)) / 2),
        count=min(len(a), len(b)),
    )


def pairs_for_half_width(spread: float, half_width: float) -> int:
    """Return how many pairs with standard deviation ``spread`` give an interval of ± ``half_width``.

    This is the smallest n with t(0.975, n - 1)·s/√n <= half_width, from 2 to 10,000. Raises ValueError if ``spread`` is
    negative or ``half_width`` is not positive.
    """
    if not spread >= 0 or not half_width > 0:
        msg = f"spread is {spread!r} and half-width {half_width!r}: spread must be at least 0, half-width more than 0"
        raise ValueError(msg)

    def is_enough(count: int) -> bool:
        return t_quantile(LEVEL, count - 1) * spread / math.sqrt(count) <= half_width

    # The width falls with every pair, so doubling and then bisection find the first count that is enough. Quantiles of
    # large counts take long, so the search does not begin there.
    low, high = 2, 2
    while high < _MOST_PAIRS and not is_enough(high):
        low, high = high + 1, min(2 * high, _MOST_PAIRS)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def hodges_lehmann(values: Sequence[float]) -> float:
    """Return the median of the Walsh averages (x_i + x_j) / 2, i <= j (Hodges and Lehmann 1963).

    Raises ValueError without values.
    """
    if not values:
        msg = "the Hodges-Lehmann estimate needs at least one value"
        raise ValueError(msg)
    return float(np.median(_walsh(values)))


def hodges_lehmann_interval(values: Sequence[float], *, level: float = LEVEL) -> tuple[float | None, float | None]:
    """Return the distribution-free interval of `hodges_lehmann`: order statistics of the Walsh averages.

    ``level`` is the upper quantile: 0.975 for a 95 % interval. Its ends are the k-th averages from either end, k the
    largest with P(W < k) <= 1 - ``level`` under the signed-rank distribution (Hollander and Wolfe 1999, 3.3).
    (None, None) for so few values that no such k exists: fewer than six for 95 %.
    """
    averages = np.sort(_walsh(values))
    skip = _tail_count(_signed_rank_counts(len(values)), level)
    if skip is None:
        return None, None
    return float(averages[skip]), float(averages[-1 - skip])


def shift(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the median of all differences b_j - a_i (Hodges and Lehmann 1963). Raises ValueError without values."""
    if not a or not b:
        msg = "the shift needs at least one value on each side"
        raise ValueError(msg)
    return float(np.median(np.subtract.outer(np.asarray(b, dtype=np.float64), np.asarray(a, dtype=np.float64))))


def shift_interval(
    a: Sequence[float], b: Sequence[float], *, level: float = LEVEL
) -> tuple[float | None, float | None]:
    """Return the distribution-free interval of `shift` from the Mann-Whitney distribution.

    ``level`` is the upper quantile: 0.975 for a 95 % interval. Exact for up to 50 values per side, normal approximation
    beyond. (None, None) for too few values to reach that level (fewer than 4 per side for 95 %).
    """
    differences = np.sort(np.subtract.outer(np.asarray(b, dtype=np.float64), np.asarray(a, dtype=np.float64)).ravel())
    skip = _mann_whitney_skip(len(a), len(b), level)
    if skip is None:
        return None, None
    return float(differences[skip]), float(differences[-1 - skip])


def signed_rank_p(values: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test (1945), exact for up to 50 values without ties.

    Zeros are left out. Ties share their mean rank, which the exact distribution does not allow for, so with many ties
    the value is approximate. Returns 1 if nothing is left.
    """
    some = [value for value in values if value != 0]
    if not some:
        return 1.0
    ranks = mean_ranks(np.abs(np.asarray(some)))
    positive = float(ranks[np.asarray(some) > 0].sum())
    smaller = min(positive, float(ranks.sum()) - positive)
    counts = _signed_rank_counts(len(some))
    return min(1.0, 2 * sum(counts[: math.floor(smaller) + 1]) / sum(counts))


def mann_whitney_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p-value of the Mann-Whitney test (1947): exact up to 50 values per side, normal beyond."""
    joined = np.concatenate([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    ranks = mean_ranks(joined)
    first = float(ranks[: len(a)].sum()) - len(a) * (len(a) + 1) / 2
    smaller = min(first, len(a) * len(b) - first)
    if max(len(a), len(b)) > _EXACT:
        deviation = math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
        # The half is the continuity correction: U is an integer.
        return min(1.0, 2 * statistics.NormalDist().cdf((smaller + 0.5 - len(a) * len(b) / 2) / deviation))
    counts = _mann_whitney_counts(len(a), len(b))
    return min(1.0, 2 * sum(counts[: math.floor(smaller) + 1]) / sum(counts))


def mean_ranks(values: Floats) -> Floats:
    """Return the rank of each value, from 1; ties share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return np.asarray((upper - (counts - 1) / 2)[inverse], dtype=np.float64)


_MOST_PAIRS = 10_000

# Beyond this many values per side the exact distributions take long to count, and the normal one is as good.
_EXACT = 50


def _finite(values: Sequence[float]) -> list[float]:
    bad = next((value for value in values if not math.isfinite(value)), None)
    if bad is not None:
        msg = f"{bad!r} is among the values: a latency that is 0, negative or not a number cannot be compared"
        raise ValueError(msg)
    return [float(value) for value in values]


def _welch_degrees(a: tuple[float, int], b: tuple[float, int]) -> int:
    """Welch-Satterthwaite degrees of freedom, rounded down; ``a`` and ``b`` are (variance of the mean, launches)."""
    total = a[0] + b[0]
    # Without any spread the formula is 0 / 0; both groups then count in full.
    if total == 0:
        return a[1] + b[1] - 2
    return max(1, math.floor(total**2 / (a[0] ** 2 / (a[1] - 1) + b[0] ** 2 / (b[1] - 1))))


def _walsh(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    rows, columns = np.triu_indices(len(array))
    return np.asarray((array[rows] + array[columns]) / 2)


@lru_cache(maxsize=128)
def _signed_rank_counts(count: int) -> tuple[int, ...]:
    """The number of the 2^n sign patterns in which the positive ranks sum to 0, 1, 2, …; exact."""
    # The rank is either negative (the sum stays) or positive (it grows by the rank).
    counts = [1]
    for rank in range(1, count + 1):
        grown = counts + [0] * rank
        for index, value in enumerate(counts):
            grown[index + rank] += value
        counts = grown
    return tuple(counts)


@lru_cache(maxsize=256)
def _mann_whitney_counts(first: int, second: int) -> tuple[int, ...]:
    """The number of orders in which U is 0, 1, 2, …: coefficients of the Gaussian binomial (first + second, first)."""
    counts = [1] + [0] * (first * second)
    for part in range(1, first + 1):
        # Multiply by 1 - q^top, then divide by 1 - q^part; both in place, without large intermediate numbers.
        top = second + part
        for index in range(len(counts) - 1, top - 1, -1):
            counts[index] -= counts[index - top]
        for index in range(part, len(counts)):
            counts[index] += counts[index - part]
    return tuple(counts)


def _mann_whitney_skip(first: int, second: int, level: float) -> int | None:
    if max(first, second) <= _EXACT:
        return _tail_count(_mann_whitney_counts(first, second), level)
    deviation = math.sqrt(first * second * (first + second + 1) / 12)
    return max(0, math.floor(first * second / 2 - statistics.NormalDist().inv_cdf(level) * deviation) - 1)


def _tail_count(counts: Sequence[int], level: float = LEVEL) -> int | None:
    """How many order statistics to skip at each end: the most with a tail of at most 1 - ``level``; None if none."""
    limit, tail, skip = (1 - level) * sum(counts), 0, None
    for index, count in enumerate(counts):
        tail += count
        if tail > limit:
            break
        skip = index
    return skip
