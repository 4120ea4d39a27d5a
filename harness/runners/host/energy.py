"""The idle block before the calls, and the blocks in the reply.

What counts energy is not here: what started the runner reads a counter meanwhile and adds it to the reply.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.runners.host.latency import Clock, Sleep, Timings
from harness.wire import EnergyBlock, EnergyBlockKind, EnergyFacts, EnergyPass, Generation


def boot_ns() -> int:
    """Return the time since this computer was switched on, sleep included; where that is not known, another clock's."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.perf_counter_ns() if clock is None else time.clock_gettime_ns(clock)


def wait_idle(request: EnergyPass, *, clock: Clock = time.perf_counter_ns, sleep: Sleep = time.sleep) -> EnergyBlock:
    """Let the device settle, do nothing for the length of the idle block, and return the block."""
    sleep(request.settle_ns / 1e9)
    began_ns = clock()
    sleep(request.idle_ns / 1e9)
    return EnergyBlock(kind=EnergyBlockKind.IDLE, began_ns=began_ns, ended_ns=clock())


def energy_blocks(idle: EnergyBlock, latency: Timings | None) -> EnergyFacts:
    """Return the blocks for the reply; the load block is the measured calls."""
    if latency is None:
        return _facts(idle)
    load = EnergyBlock(
        kind=EnergyBlockKind.LOAD, began_ns=latency.began_ns, ended_ns=latency.ended_ns, calls=latency.calls
    )
    return _facts(idle, load)


def generation_blocks(idle: EnergyBlock, measured: Sequence[Generation]) -> EnergyFacts:
    """Return the blocks for the reply; the load block is the measured generations, with the tokens they made."""
    last = measured[-1]
    load = EnergyBlock(
        kind=EnergyBlockKind.LOAD,
        began_ns=measured[0].begin_ns,
        ended_ns=last.begin_ns + last.tokens_ns[-1],
        calls=len(measured),
        tokens=sum(one.tokens for one in measured),
    )
    return _facts(idle, load)


def _facts(*blocks: EnergyBlock) -> EnergyFacts:
    now_ns = time.perf_counter_ns()
    return EnergyFacts(blocks=blocks, boot_offset_ns=boot_ns() - now_ns, wall_offset_ns=time.time_ns() - now_ns)
