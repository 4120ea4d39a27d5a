"""Whether this machine is ready for a launch: current speed of a core, other load, governor and temperature.

The speed is measured, not read. Most virtual machines hide their clocks, and a clock does not show that another guest
takes half of the core. A fixed piece of arithmetic shows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from harness.records.device import Readiness
from harness.runners.host.state import sample_state

PROBES = 5
# About 10 ms on a current core, so all five probes take about 50 ms.
PROBE_STEPS = 300_000
BUSY_WINDOW_S = 0.1

Clock = Callable[[], int]


def host_readiness() -> Readiness:
    """Return the state of this machine now. Takes about 150 ms, before the launch and not within it."""
    busy = psutil.cpu_percent(interval=BUSY_WINDOW_S) / 100
    state = sample_state()
    return Readiness(
        hottest_c=max(state.temperatures_c.values(), default=None),
        probe_ns=probe_ns(),
        busy=busy,
        governor=state.governor,
    )


def probe_ns(clock: Clock = time.perf_counter_ns) -> int:
    """Return the shortest of five runs of a fixed floating-point loop on one core, in ns.

    The shortest, because an interruption can only make a run longer; androidx benchmark keeps the minimum for the same
    reason.
    """
    return min(_timed(clock) for _ in range(PROBES))


def _timed(clock: Clock) -> int:
    start = clock()
    value = 1.0
    for _ in range(PROBE_STEPS):
        value = value * 1.0000001 + 1e-9
    return clock() - start
