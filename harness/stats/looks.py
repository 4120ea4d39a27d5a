"""Several looks at one question: how much of the permitted error each look may spend.

A suspicion that stays open is measured again on later nights. If every look used the usual 5 %, one of them would
sooner or later call a difference between equal files. So the error is a budget, of which each look spends half of what
is left (an alpha-spending function, Lan and DeMets 1983). The bound of Bonferroni makes the sum hold whatever the
dependence between looks, so that no table of boundaries is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.stats.pairs import hodges_lehmann, hodges_lehmann_interval
from harness.stats.verdicts import Span

# One comparison of equal files in ten thousand may call a difference, whatever its number of looks. The nightly job may
# compare every series every night, so this is also its rate of false alarms.
ALPHA = 1e-4
MOST_LOOKS = 5
# Nights between one look and the next.
WAITS = (1, 2, 4, 8)


def spent(look: int, *, alpha: float = ALPHA) -> float:
    """Return the two-sided error that the ``look``-th look may spend, counted from 1: α/2, α/4, …

    Raises ValueError for a look before the first.
    """
    if look < 1:
        msg = f"look is {look!r}: looks are counted from 1"
        raise ValueError(msg)
    return math.ldexp(alpha, -look)


def level_of(look: int) -> float:
    """Return the upper quantile of the interval that the ``look``-th look uses."""
    return 1 - spent(look) / 2


def sure_span(log_ratios: Sequence[float], look: int, *, step: float = 0.0) -> Span | None:
    """Return the Hodges-Lehmann estimate of pairs ln(B / A) with the interval of the ``look``-th look.

    ``step`` is the relative step of the clock, by which the interval is widened. None for too few pairs: the first look
    needs 16. Raises ValueError for a look before the first.
    """
    if not log_ratios:
        return None
    low, high = hodges_lehmann_interval(log_ratios, level=level_of(look))
    if low is None or high is None:
        return None
    return Span(estimate=hodges_lehmann(log_ratios), low=low - step, high=high + step)
