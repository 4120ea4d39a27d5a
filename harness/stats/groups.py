"""What two groups of launches support: the change between them with its interval, from ranks.

Two runs are two groups. The interval of the Mann-Whitney test holds whatever the launches are distributed like, as long
as both sides are alike: a few slow launches, a tail, or a mixture neither call a difference nor hide one. Welch's
interval on means called 10 to 28 % of equal runs in such worlds, and found a third of true 3 % effects where one launch
of ten takes half as long again.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.stats.clock import at_least_a_step
from harness.stats.pairs import group_effect, shift_interval
from harness.stats.sessions import PairedSpan
from harness.stats.student import LEVEL, t_quantile, two_sided_p

# The upper quantile of the interval. Runs stop adding launches where these happen to agree, which costs two points:
# at 97 % fewer than 5 % of equal runs are called different.
GROUP_LEVEL = 0.985


def group_span(log_a: Sequence[float], log_b: Sequence[float], *, clock_step: float = 0.0) -> PairedSpan | None:
    """Return what two groups of launches support about ln(B / A), given as the logarithms of their medians.

    The estimate is the median of all differences b_j - a_i. With fewer than four launches on a side no interval of
    ranks exists at that level, so it is Welch's. The interval is at least ± ``clock_step`` (relative) wide. None if a
    side has fewer than two launches. Raises ValueError for a value that is not finite.
    """
    effect = group_effect(log_a, log_b)
    if effect is None:
        return None
    low, high = shift_interval(log_a, log_b, level=GROUP_LEVEL)
    estimate, level = effect.hodges_lehmann, GROUP_LEVEL
    if low is None or high is None:
        estimate, low, high, level = effect.estimate, effect.low, effect.high, LEVEL
    low, high = at_least_a_step(estimate, low, high, step=clock_step)
    degrees = len(log_a) + len(log_b) - 2
    return PairedSpan(estimate=estimate, low=low, high=high, p_value=_p_value(estimate, (low, high), level, degrees))


def _p_value(estimate: float, ends: tuple[float, float], level: float, degrees: int) -> float:
    """The p-value that agrees with the interval: below twice the tail exactly if the interval excludes 0.

    The rank test's own p-value is no smaller than 0.8 % for five launches a side, so among a dozen cells no change
    could ever be called, however large.
    """
    towards_zero = estimate - ends[0] if estimate > 0 else ends[1] - estimate
    if towards_zero <= 0:
        return float(estimate == 0)
    return two_sided_p(estimate * t_quantile(level, degrees) / towards_zero, degrees)
