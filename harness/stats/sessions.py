"""What a session of pairs supports: one estimate with its interval, from ranks, checked at two fixed counts of pairs.

A session is looked at after its first pairs and again after the most it may run. Two looks at a 95 % interval would
call a difference between equal sides in 8 to 9 % of noisy sessions, so each look uses the level at which both together
err in 5 % (Pocock 1977). The estimate and the interval are those of Hodges and Lehmann: one disturbed block of ten
moves a mean, and widens a t interval, until nothing is decided any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.clock import at_least_a_step
from harness.stats.pairs import hodges_lehmann, hodges_lehmann_interval
from harness.stats.proportions import mcnemar_p
from harness.stats.student import p_of_estimate, t_quantile
from harness.stats.verdicts import Span

# Two looks at two-sided 2.94 % each err in 5 % together (Pocock 1977, table 1).
LOOK_LEVEL = 0.9853
# With fewer pairs no interval of ranks reaches that level.
LEAST_PAIRS = 7
# Two sides that are disturbed equally often differ this much in one session of twenty.
LOPSIDED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSpan(Span):
    """ln(B / A) of a session: the estimate, its interval, and the p-value of "no change" that belongs to it."""

    p_value: float


def paired_span(log_ratios: Sequence[float], *, clock_step: float = 0.0) -> PairedSpan | None:
    """Return what pairs d_i = ln(B_i / A_i) support; None for fewer than seven.

    The interval is at least ± ``clock_step`` wide, the relative step of the clock: all pairs within one tick look
    equal, and a spread of 0 is then the clock's, not the device's. Raises ValueError for a value that is not finite.
    """
    if not all(math.isfinite(value) for value in log_ratios):
        msg = f"pairs {list(log_ratios)!r} hold a value that is not finite: leave such pairs out"
        raise ValueError(msg)
    low, high = (
        hodges_lehmann_interval(log_ratios, level=LOOK_LEVEL) if len(log_ratios) >= LEAST_PAIRS else (None, None)
    )
    if low is None or high is None:
        return None
    estimate = hodges_lehmann(log_ratios)
    low, high = at_least_a_step(estimate, low, high, step=clock_step)
    degrees = len(log_ratios) - 1
    error = (high - low) / (2 * t_quantile(LOOK_LEVEL, degrees))
    return PairedSpan(estimate=estimate, low=low, high=high, p_value=p_of_estimate(estimate, error, degrees))


def is_lopsided(lost_by_a: int, lost_by_b: int) -> bool:
    """Return whether one side lost more blocks than chance explains (exact sign test).

    The blocks that are left then show that side only where it was not disturbed, so they cannot call it equivalent.
    """
    return mcnemar_p(lost_by_a, lost_by_b) < LOPSIDED
