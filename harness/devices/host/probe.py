"""Whether this machine is ready for a launch: how fast one core is now, what else runs, governor and temperature.

The one decision: the speed is measured and not read. Clocks are hidden in most virtual machines and say nothing of a
neighbour who takes half of the core; a fixed piece of arithmetic tells both.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from harness.records.device import Readiness
from harness.runners.host.state import sample_state

PROBES = 5
# About 10 ms on a core of today, so that all of them take about 50.
PROBE_STEPS = 300_000
BUSY_WINDOW_S = 0.1

Clock = Callable[[], int]


def host_readiness() -> Readiness:
    """Return the state of this machine now; takes about 150 ms, which the launch does not see."""
    busy = psutil.cpu_percent(interval=BUSY_WINDOW_S) / 100
    state = sample_state()
    return Readiness(
        hottest_c=max(state.temperatures_c.values(), default=None),
        probe_ns=probe_ns(),
        busy=busy,
        governor=state.governor,
    )


def probe_ns(clock: Clock = time.perf_counter_ns) -> int:
    """Return the least time of five equal pieces of floating-point arithmetic on one core, in ns.

    The least, because whatever interrupts a piece makes it longer and never shorter (androidx benchmark keeps the
    minimum for the same reason).
    """
    return min(_timed(clock) for _ in range(PROBES))


def _timed(clock: Clock) -> int:
    start = clock()
    value = 1.0
    for _ in range(PROBE_STEPS):
        value = value * 1.0000001 + 1e-9
    return clock() - start
