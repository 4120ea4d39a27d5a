"""Whether this machine is ready for a launch: current speed of a core, other load, governor and temperature.

The speed is measured, not read. Most virtual machines hide their clocks, and a clock does not show that another guest
takes half of the core. A fixed piece of arithmetic shows both.
"""

from __future__ import annotations

import psutil

from harness.records.device import Readiness
from harness.runners.host.readings import probe_ns
from harness.runners.host.state import sample_state

BUSY_WINDOW_S = 0.1


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
