"""The step that a clock shows."""

from __future__ import annotations

import math

import pytest

from harness.stats.clock import at_least_a_step, clock_step


@pytest.mark.parametrize(
    ("times_ns", "step"),
    [
        # Repeated values, a tick apart; the tick may be any number of ns.
        ([20e6, 21e6] * 10, 1 / 20),
        ([18_333, 18_374, 18_374, 18_333, 18_415, 18_374], 41 / 18_333),
        # All different, but in whole milliseconds, or half way between two.
        ([20e6, 21e6, 23e6, 24e6, 26e6], 1 / 20),
        ([20e6, 20.5e6, 23e6, 24e6, 26e6], 0.1 / 20),
        # All equal: the tick is a power of ten that fits, at most.
        ([20e6] * 5, 10 / 20),
        ([18_000] * 5, 1 / 18),
        # Fine clocks, and too few values.
        ([20e6 + 137 * i for i in range(20)], 0.0),
        ([18_431] * 5, 0.0),
        ([18_430, 18_450, 18_390, 18_410], 0.0),
        ([20e6, 21e6], 0.0),
        ([0.0, 20e6, 21e6, 22e6], 0.0),
        ([], 0.0),
    ],
)
def test_the_step_of_a_clock(times_ns: list[float], step: float) -> None:
    assert clock_step(times_ns) == pytest.approx(step)


def test_only_an_interval_narrower_than_a_tick_is_widened() -> None:
    tick = math.log(1.05)
    assert at_least_a_step(0.1, 0.09, 0.11, step=0.05) == pytest.approx((0.1 - tick, 0.1 + tick))
    assert at_least_a_step(0.1, 0.0, 0.11, step=0.05) == pytest.approx((0.0, 0.1 + tick))
    assert at_least_a_step(0.1, 0.0, 0.2, step=0.05) == (0.0, 0.2)
