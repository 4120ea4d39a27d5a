"""The arithmetic of the scripted phone: latencies, memory and heat made from the artifact's bytes, never measured.

The same artifact, cell and launch give the same figures on every machine. Time is counted, not spent.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

from harness.wire import Delegate, LatencyPass, LatencySamples, MemoryReading, RunRequest

# A small network of 100 kB takes about 1 ms on the middle phone's CPU, one of 20 MB about 35 ms.
_FIXED_NS = 300_000
_NS_PER_KB = 1_700
_DELEGATE_FACTOR: dict[Delegate, float] = {
    Delegate.CPU: 1.0,
    Delegate.XNNPACK: 0.45,
    Delegate.GPU: 0.3,
    Delegate.NNAPI: 0.35,
    Delegate.COREML: 0.25,
}
_SPREAD = 0.01
_LAUNCH_SPREAD = 0.004
_WARMUP_EXCESS = 0.6

_BASELINE_BYTES = 38 * 2**20
_ARENA_BYTES = 2 * 2**20

MEMORY_DEFINITION = "simulated: a fixed baseline and 1.1 times the artifact's size; no memory was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one launch plays: ``speed`` multiplies latency, ``drift`` is what each call adds to it, as a fraction."""

    request: RunRequest
    artifact_bytes: int
    delegate: Delegate
    speed: float
    drift: float = 0.0


def play_latency(script: Script, asked: LatencyPass) -> LatencySamples:
    """Return the samples that the pass would have kept, all in ns; the rules of ``docs/wire.md`` end the phases."""
    rng = _rng(script)
    base = _base_ns(script) * (1 + rng.gauss(0, _LAUNCH_SPREAD))
    first = round(base * 4)
    cap = asked.measure.max_ns
    warmup = _phase(rng, (asked.warmup.min_calls, asked.warmup.min_ns, cap), base=base, excess=_WARMUP_EXCESS, drift=0)
    measure = (asked.measure.min_calls, asked.measure.min_ns, cap)
    samples = _phase(rng, measure, base=base, excess=0.0, drift=script.drift)
    return LatencySamples(first_ns=first, warmup_ns=tuple(warmup), samples_ns=tuple(samples))


def play_load_ns(script: Script) -> int:
    """Return the time of the first load, in ns."""
    return round(5_000_000 + script.artifact_bytes * 2.5 * script.speed)


def play_memory(script: Script) -> MemoryReading:
    """Return the memory that such a model would take, in bytes."""
    model = round(script.artifact_bytes * 1.1)
    return MemoryReading(
        definition=MEMORY_DEFINITION,
        baseline_bytes=_BASELINE_BYTES,
        loaded_bytes=_BASELINE_BYTES + model,
        steady_bytes=_BASELINE_BYTES + model + _ARENA_BYTES,
        peak_bytes=_BASELINE_BYTES + model + _ARENA_BYTES + model // 4,
        retained_bytes=_BASELINE_BYTES + model // 50,
    )


def total_ns(samples: LatencySamples | None) -> int:
    """Return how long the calls took together, in ns: what a phone would have been busy for."""
    return 0 if samples is None else samples.first_ns + sum(samples.warmup_ns) + sum(samples.samples_ns)


def _base_ns(script: Script) -> float:
    work = _FIXED_NS + _NS_PER_KB * script.artifact_bytes / 1024
    return work * script.speed * _DELEGATE_FACTOR[script.delegate] / math.pow(script.request.runtime.threads, 0.75)


def _phase(rng: random.Random, limits: tuple[int, int, int], *, base: float, excess: float, drift: float) -> list[int]:
    """Calls until ``limits`` (calls, ns, the cap in ns) are met; ``excess`` fades over the first calls."""
    min_calls, min_ns, max_ns = limits
    samples: list[int] = []
    elapsed = 0
    while not (len(samples) >= min_calls and elapsed >= min_ns) and elapsed < max_ns:
        at = len(samples)
        factor = (1 + excess * 0.5**at) * (1 + drift * at) * (1 + abs(rng.gauss(0, _SPREAD)))
        samples.append(round(base * factor))
        elapsed += samples[-1]
    return samples


def _rng(script: Script) -> random.Random:
    request = script.request
    text = f"{request.artifact.sha256} {request.cell} {request.launch}"
    return random.Random(hashlib.sha256(text.encode()).digest())
