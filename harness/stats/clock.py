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

    A clock shows its step where values repeat: if at most half of them differ, the step is the smallest difference. It
    also shows where all values end in zeros: times of 20 and 21 ms in ns are from a clock of at least 1 ms. So equal
    times, all of 20 ms, do not pass for exact ones.
    """
    values = sorted(set(times_ns))
    if len(times_ns) < LEAST_VALUES or values[0] <= 0:
        return 0.0
    repeated = len(values) <= len(times_ns) / 2
    steps = [after - before for before, after in zip(values, values[1:], strict=False)] if repeated else []
    return max(min(steps, default=0.0), _round_to(values)) / values[0]


def _round_to(values: Sequence[float]) -> float:
    """The largest power of ten of which all ``values`` are multiples, below 10 as 0; a median may lie half way."""
    parts = next((n for n in (1, 2) if all(float(n * value).is_integer() for value in values)), None)
    if parts is None:
        return 0.0
    common, power = math.gcd(*(int(parts * value) for value in values)), 1
    while common % (10 * power) == 0:
        power *= 10
    return power / parts if power > 10 else 0.0


def log_step(step: float) -> float:
    """Return the relative ``step`` of a clock on a logarithmic scale, a hair more than it.

    Two times that are one tick apart must not differ by a rounding error.
    """
    return math.log1p(step) * (1 + 1e-9)


def at_least_a_step(estimate: float, low: float, high: float, *, step: float) -> tuple[float, float]:
    """Return the interval of a difference of logarithms, widened where it is narrower than ± one ``step`` of the clock.

    Times that vary by more than a step average its error out, and a clock rounds both sides alike. Times that vary by
    less may all be wrong by the same part of a step.
    """
    return min(low, estimate - log_step(step)), max(high, estimate + log_step(step))
