"""The step of the clock, from values that it gave.

A coarse clock shows equal times for different ones. Their spread is then 0, which is the clock's and not the device's,
so whatever is computed from them is uncertain by at least one step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# With fewer values, repeated ones are no evidence.
LEAST_VALUES = 4


def clock_step(times_ns: Sequence[float]) -> float:
    """Return the relative step of the clock that gave ``times_ns``; 0 if they do not show one.

    A clock shows its step where values repeat: if at most half of them differ, the step is the smallest difference.
    """
    values = sorted(set(times_ns))
    if len(times_ns) < LEAST_VALUES or len(values) > len(times_ns) / 2:
        return 0.0
    steps = [after - before for before, after in zip(values, values[1:], strict=False)]
    return min(steps) / values[0] if steps and values[0] > 0 else 0.0


def log_step(step: float) -> float:
    """Return by how much a relative ``step`` of the clock widens the interval of a logarithm at each end."""
    # A hair more than the step: two times that are one tick apart must not differ by a rounding error.
    return math.log1p(step) * (1 + 1e-9)
