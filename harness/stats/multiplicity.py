"""Many tests at once: which of them still count, given that one in twenty is significant by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

Q = 0.05  # false discovery rate


def benjamini_hochberg(p_values: Sequence[float], *, q: float = Q, any_dependence: bool = False) -> tuple[bool, ...]:
    """Return for each p-value, in the order given, whether its test is rejected at a false discovery rate of ``q``.

    The k smallest are rejected, k = max{i : p_(i) <= i·q/m} (Benjamini and Hochberg 1995). This holds for independent
    and for positively dependent tests, such as several metrics of one device. ``any_dependence`` divides q by Σ 1/i
    (Benjamini and Yekutieli 2001), which holds for any tests. Do not pass p-values of the change-point screen: it
    computes them after choosing the split.

    Raises ValueError for a p-value outside 0…1.
    """
    bad = next((p for p in p_values if not 0 <= p <= 1 or math.isnan(p)), None)
    if bad is not None:
        msg = f"{bad!r} is not a p-value: it must be between 0 and 1"
        raise ValueError(msg)
    count = len(p_values)
    level = q / sum(1 / i for i in range(1, count + 1)) if any_dependence and count else q
    order = sorted(p_values)
    limit = max((p for i, p in enumerate(order, start=1) if p <= i * level / count), default=-1.0)
    return tuple(p <= limit for p in p_values)
