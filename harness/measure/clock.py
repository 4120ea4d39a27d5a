"""Whether the clock of a runner was fine enough for the calls that it timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from harness.stats.clock import clock_step
from harness.wire import LatencySamples, RunReply

# A step of this part of a call is coarse: the report shows three digits, of which the last two would be the clock's.
COARSE = 0.05


def coarse_clock(replies: Sequence[RunReply]) -> str | None:
    """Return in words how the clock was too coarse for single calls, None if it was not."""
    latencies = [reply.latency for reply in replies if reply.latency]
    batch = max((latency.calls_per_sample for latency in latencies), default=1)
    if batch > 1:
        return f"the runner's clock is too coarse for one call: each sample is the mean of up to {batch} calls in a row"
    zeros, times = _zeros(replies, latencies)
    if zeros:
        return f"{zeros} of {times} times are 0 ns: they took less than one step of the runner's clock"
    step = clock_step(tuple(chain.from_iterable(latency.samples_ns for latency in latencies)))
    return f"the runner's clock moves in steps of {100 * step:.0f} % of a call" if step >= COARSE else None


def _zeros(replies: Sequence[RunReply], latencies: Sequence[LatencySamples]) -> tuple[int, int]:
    """How many of the times that become figures are 0, and how many there are."""
    loads = (reply.load.first_ns for reply in replies if reply.load)
    times = (*loads, *chain.from_iterable(_times(latency) for latency in latencies))
    return times.count(0), len(times)


def _times(latency: LatencySamples) -> Iterator[int]:
    if latency.first_ns is not None:
        yield latency.first_ns
    yield from latency.samples_ns
    if latency.told:
        yield from (latency.told.min_ns, latency.told.p5_ns)
