"""The latency pass: single calls on input 0, each timed separately, every sample kept.

Nothing but the call happens between the two readings of the clock: the buffer for the samples is allocated beforehand,
it grows between calls, and garbage collection is off. The buffer is in shared pages, so that the samples of a fast
model do not count as memory of the model in the memory pass that follows.
"""

from __future__ import annotations

import gc
import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.wire import LatencyPass, LatencySamples

# Samples in one chunk: half a MiB of 8-byte integers.
CHUNK = 65_536

Clock = Callable[[], int]
Sleep = Callable[[float], None]


def _chunk() -> memoryview[int]:
    # Anonymous shared pages are not part of RssAnon, which the memory pass reads.
    return memoryview(mmap.mmap(-1, 8 * CHUNK)).cast("q")


@dataclass(slots=True)
class Samples:
    """Times of calls in order, in ns, in chunks of equal size. The last chunk is partly filled."""

    chunks: list[memoryview[int]] = field(default_factory=lambda: [_chunk()])
    in_last: int = 0

    def values(self) -> tuple[int, ...]:
        """Return all times."""
        full = [value for chunk in self.chunks[:-1] for value in chunk]
        return (*full, *self.chunks[-1][: self.in_last])

    @property
    def count(self) -> int:
        """How many times there are."""
        return CHUNK * (len(self.chunks) - 1) + self.in_last

    def append(self, value: int) -> None:
        """Add one time."""
        if self.in_last == CHUNK:
            self.chunks.append(_chunk())
            self.in_last = 0
        self.chunks[-1][self.in_last] = value
        self.in_last += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What the pass recorded; ``calls`` counts all measured ones, kept or not.

    `samples` copies it into the reply's record, once memory is no longer measured.
    """

    first: Samples
    warmup: Samples
    measured: Samples
    moments: Samples
    began_ns: int
    ended_ns: int
    calls: int

    def samples(self) -> LatencySamples:
        """Return the record for the reply."""
        return LatencySamples(
            first_ns=self.first.values()[0],
            warmup_ns=self.warmup.values(),
            samples_ns=self.measured.values(),
            at_ns=self.moments.values(),
            began_ns=self.began_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop: both minima are met, or the maximum is reached."""

    min_calls: int
    min_ns: int
    max_ns: int


def measure_latency(
    invoke: Callable[[], None], request: LatencyPass, *, clock: Clock = time.perf_counter_ns, sleep: Sleep = time.sleep
) -> Timings:
    """Time call 0, the warm-up and the measured calls. Whatever ``invoke`` raises is passed on.

    Both phases end when their two minima are met. ``measure.max_ns`` cuts either phase short, including the warm-up: a
    call that takes many seconds must not be repeated just to warm up. The measured phase has at least one call.
    """
    pause = request.interval_ns / 1e9
    warm, measure = request.warmup, request.measure

    def wait() -> None:
        if pause:
            sleep(pause)

    def calls(min_calls: int, min_ns: int) -> Samples:
        limits = Limits(min_calls=min_calls, min_ns=min_ns, max_ns=measure.max_ns)
        return _calls(invoke, limits, clock=clock, wait=wait)

    gc.collect()
    # A collection in the middle of a call would be measured as part of it.
    gc.disable()
    try:
        first = calls(1, 0)
        warmup = calls(warm.min_calls, warm.min_ns) if warm.min_calls or warm.min_ns else Samples()
        began_ns = clock()
        if request.stride_ns:
            limits = Limits(min_calls=measure.min_calls, min_ns=measure.min_ns, max_ns=measure.max_ns)
            measured, moments, count = _strided(invoke, limits, clock=clock, stride_ns=request.stride_ns)
        else:
            measured, moments = calls(measure.min_calls, measure.min_ns), Samples()
            count = measured.count
        return Timings(
            first=first,
            warmup=warmup,
            measured=measured,
            moments=moments,
            began_ns=began_ns,
            ended_ns=clock(),
            calls=count,
        )
    finally:
        gc.enable()


def _calls(invoke: Callable[[], None], limits: Limits, *, clock: Clock, wait: Callable[[], None]) -> Samples:
    """Time calls until ``limits`` are met."""
    samples = Samples()
    chunk, count, before = samples.chunks[-1], 0, 0
    began = clock()
    while True:
        start = clock()
        invoke()
        end = clock()
        chunk[count] = end - start
        count += 1
        elapsed = end - began
        if (before + count >= limits.min_calls and elapsed >= limits.min_ns) or elapsed >= limits.max_ns:
            samples.in_last = count
            return samples
        if count == CHUNK:
            chunk, count, before = _chunk(), 0, before + CHUNK
            samples.chunks.append(chunk)
        wait()


def _strided(
    invoke: Callable[[], None], limits: Limits, *, clock: Clock, stride_ns: int
) -> tuple[Samples, Samples, int]:
    """Time calls back to back until ``limits`` are met; keep those that begin a stride after the last one kept.

    Returns the times kept, when each of them began, and the number of all calls.
    """
    samples, moments = Samples(), Samples()
    began, calls, due = clock(), 0, 0
    while True:
        start = clock()
        invoke()
        end = clock()
        calls += 1
        if start - began >= due:
            samples.append(end - start)
            moments.append(start - began)
            due = start - began + stride_ns
        elapsed = end - began
        if (calls >= limits.min_calls and elapsed >= limits.min_ns) or elapsed >= limits.max_ns:
            return samples, moments, calls
