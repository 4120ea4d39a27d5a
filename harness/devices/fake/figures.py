"""The scripted phone's arithmetic: latency and memory computed from the artifact's size, never measured.

The same artifact, cell and launch give the same figures on every machine. Time is added up, not spent.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

from harness.wire import (
    Delegate,
    EnergyBlock,
    EnergyBlockKind,
    EnergyCounter,
    EnergyFacts,
    EnergyPass,
    EnergyReading,
    EnergySource,
    LatencyPass,
    LatencySamples,
    MemoryMoment,
    MemoryReading,
    MemorySplit,
    RunRequest,
)

# A network of 100 kB takes about 1 ms on the CPU of ``fake``, one of 20 MB about 35 ms.
_FIXED_NS = 300_000
_NS_PER_KB = 1_700
_DELEGATE_FACTOR: dict[Delegate, float] = {
    Delegate.CPU: 1.0,
    Delegate.XNNPACK: 0.45,
    Delegate.GPU: 0.3,
    Delegate.NNAPI: 0.35,
    Delegate.COREML: 0.25,
    Delegate.QNN: 0.25,
}
_SPREAD = 0.01
_LAUNCH_SPREAD = 0.004
_WARMUP_EXCESS = 0.6
_LATE_FROM = 0.6

_SECOND_NS = 1_000_000_000
_IDLE_WATTS, _LOAD_WATTS, _POWER_SPREAD = 0.9, 3.9, 0.01
_FULL_UAH, _VOLTS = 3_200_000, 3.85

_BASELINE_BYTES = 38 * 2**20
_ARENA_BYTES = 2 * 2**20
_LIBRARY_BYTES = 24 * 2**20

MEMORY_DEFINITION = "simulated: a fixed baseline and 1.1 times the artifact's size; no memory was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one launch plays.

    ``speed`` multiplies the latency, and ``drift`` is the fraction that each call adds to it. ``late_growth`` is the
    fraction by which the last part of the measured time is slower, as on a phone that throttles.
    """

    request: RunRequest
    artifact_bytes: int
    delegate: Delegate
    speed: float
    drift: float = 0.0
    late_growth: float = 0.0


def play_latency(script: Script, asked: LatencyPass) -> LatencySamples:
    """Return the samples of a latency pass, in ns; the phases end by the rules of ``docs/wire.md``."""
    rng = _rng(script)
    base = _base_ns(script) * (1 + rng.gauss(0, _LAUNCH_SPREAD))
    # A first call is slower: it allocates memory and fills caches.
    first = round(base * 4)
    cap = asked.measure.max_ns
    warm = _Limits(min_calls=asked.warmup.min_calls, min_ns=asked.warmup.min_ns, max_ns=cap)
    warmup = _phase(rng, warm, _Shape(base=base, excess=_WARMUP_EXCESS))
    measure = _Limits(min_calls=asked.measure.min_calls, min_ns=asked.measure.min_ns, max_ns=cap)
    shape = _Shape(base=base, drift=script.drift, late_growth=script.late_growth, stride_ns=asked.stride_ns)
    samples = _phase(rng, measure, shape)
    at_ns: tuple[int, ...] = ()
    if asked.stride_ns:
        # Each sample stands for a whole stride; the calls in between are not played.
        at_ns = tuple(index * max(asked.stride_ns, samples[index]) for index in range(len(samples)))
    return LatencySamples(first_ns=first, warmup_ns=tuple(warmup), samples_ns=tuple(samples), at_ns=at_ns)


def play_energy(
    script: Script, asked: EnergyPass, latency: LatencySamples, began_ns: int, *, charging: bool
) -> EnergyFacts:
    """Return the blocks of a launch that began at ``began_ns``, and a battery that was read once a second."""
    rng = _rng(script)
    idle_ns = began_ns + asked.settle_ns
    load_ns = idle_ns + asked.idle_ns + (latency.first_ns or 0) + sum(latency.warmup_ns)
    took_ns = latency.at_ns[-1] + latency.samples_ns[-1] if latency.at_ns else sum(latency.samples_ns)
    calls = round(took_ns * len(latency.samples_ns) / sum(latency.samples_ns))
    idle = EnergyBlock(kind=EnergyBlockKind.IDLE, began_ns=idle_ns, ended_ns=idle_ns + asked.idle_ns)
    load = EnergyBlock(kind=EnergyBlockKind.LOAD, began_ns=load_ns, ended_ns=load_ns + took_ns, calls=calls)
    idle_watts, load_watts = (watts * (1 + rng.gauss(0, _POWER_SPREAD)) for watts in (_IDLE_WATTS, _LOAD_WATTS))
    readings, joules = [], rng.uniform(0, 1.0)
    for at_ns in range(began_ns, load.ended_ns + _SECOND_NS, _SECOND_NS):
        charge = _FULL_UAH + (1 if charging else -1) * round(joules / _VOLTS / 3.6e-3)
        readings.append(EnergyReading(at_ns=at_ns, charge_uah=charge, volts=_VOLTS, charging=charging))
        joules += load_watts if load_ns - _SECOND_NS < at_ns < load.ended_ns else idle_watts
    counter = EnergyCounter(
        source=EnergySource.SIMULATED, definition="simulated: no charge was counted", readings=tuple(readings)
    )
    return EnergyFacts(blocks=(idle, load), counter=counter)


def play_load_ns(script: Script) -> int:
    """Return the load time in ns."""
    return round(5_000_000 + script.artifact_bytes * 2.5 * script.speed)


def play_memory(script: Script) -> MemoryReading:
    """Return the memory that a model of this size would use, in bytes."""
    model, mapped = round(script.artifact_bytes * 1.1), script.artifact_bytes
    loaded, retained = _BASELINE_BYTES + model, _BASELINE_BYTES + model // 50
    steady = loaded + _ARENA_BYTES
    return MemoryReading(
        definition=MEMORY_DEFINITION,
        baseline_bytes=_BASELINE_BYTES,
        loaded_bytes=loaded,
        steady_bytes=steady,
        peak_bytes=steady + model // 4,
        retained_bytes=retained,
        mapped_bytes=mapped,
        split=(
            _split(MemoryMoment.BASELINE, _BASELINE_BYTES, 0),
            _split(MemoryMoment.LOADED, loaded, mapped),
            _split(MemoryMoment.STEADY, steady, mapped),
            _split(MemoryMoment.RETAINED, retained, 0),
        ),
    )


def _split(at: MemoryMoment, owned: int, mapped: int) -> MemorySplit:
    """Half of the library pages are shared by two apps each, so they count half in PSS; the artifact is not shared."""
    return MemorySplit(
        at=at,
        anonymous_bytes=owned,
        file_bytes=_LIBRARY_BYTES + mapped,
        shared_bytes=0,
        swap_bytes=0,
        pss_bytes=owned + mapped + _LIBRARY_BYTES * 3 // 4,
    )


def total_ns(samples: LatencySamples | None) -> int:
    """Return the sum of all calls in ns: how long a phone would have been busy."""
    return 0 if samples is None else (samples.first_ns or 0) + sum(samples.warmup_ns) + sum(samples.samples_ns)


def _base_ns(script: Script) -> float:
    work = _FIXED_NS + _NS_PER_KB * script.artifact_bytes / 1024
    # More threads help less than proportionally.
    return work * script.speed * _DELEGATE_FACTOR[script.delegate] / math.pow(script.request.runtime.threads, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    min_calls: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """``excess`` halves with every call; ``late_growth`` applies once 60 % of the minimum time have passed."""

    base: float
    excess: float = 0.0
    drift: float = 0.0
    late_growth: float = 0.0
    stride_ns: int = 0


def _phase(rng: random.Random, limits: _Limits, shape: _Shape) -> list[int]:
    """Return calls until ``limits`` are met; with a stride, each stands for all calls that begin within it."""
    samples: list[int] = []
    elapsed = 0
    while not (len(samples) >= limits.min_calls and elapsed >= limits.min_ns) and elapsed < limits.max_ns:
        index = len(samples)
        late = shape.late_growth if elapsed > _LATE_FROM * limits.min_ns else 0.0
        factor = (
            (1 + shape.excess * 0.5**index) * (1 + shape.drift * index) * (1 + late) * (1 + abs(rng.gauss(0, _SPREAD)))
        )
        samples.append(round(shape.base * factor))
        elapsed += max(samples[-1], shape.stride_ns)
    return samples


def _rng(script: Script) -> random.Random:
    request = script.request
    text = f"{request.artifact.sha256} {request.cell} {request.launch}"
    return random.Random(hashlib.sha256(text.encode()).digest())
