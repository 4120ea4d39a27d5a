"""What a runner answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from harness.wire.names import SCHEMA, Delegate, FailureKind, ReplyStatus, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a launch gave no figures: a sentence for people, and the evidence."""

    kind: FailureKind
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """Which program measured: ``kind`` is ``host``, ``android-app``, ``ios-app`` … and is a comparison key.

    ``library_page_bytes``: the pages that the native libraries of an app are laid out for, of several the least.
    """

    kind: str
    version: str
    debuggable: bool = False
    library_page_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeReport:
    """What the runtime was and what it did; a count is None where the runtime does not tell."""

    name: str
    version: str
    delegate_requested: Delegate
    delegate_used: str
    threads: int
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTimes:
    """First load in this process, and further loads of the same file when there were any."""

    first_ns: int
    warm_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTimes:
    """The measured calls as another benchmark program sums them up, which tells no single call."""

    calls: int
    min_ns: int
    p5_ns: int
    median_ns: int
    p95_ns: int
    max_ns: int
    mean_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySamples:
    """Every call, in order: call 0, the warm-up, the measured calls.

    ``at_ns``: when each of ``samples_ns`` began, since the first measured call; only with a stride. ``told`` stands in
    for ``samples_ns`` where the program that measured is not ours and tells a summary alone.
    """

    first_ns: int
    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    at_ns: tuple[int, ...] = ()
    told: ToldTimes | None = None


class MemoryMoment(StrEnum):
    """When memory was read."""

    BASELINE = "baseline"
    LOADED = "loaded"
    STEADY = "steady"
    RETAINED = "retained"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySplit:
    """What the memory of the runner process was made of at one moment, absolute; None is what the system does not tell.

    Resident are ``anonymous_bytes``, ``file_bytes`` (mapped from files) and ``shared_bytes`` (shared memory);
    ``swap_bytes`` is swapped out. ``pss_bytes`` counts each resident page by its share, divided among the processes
    that have it.
    """

    at: MemoryMoment
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    shared_bytes: int | None = None
    swap_bytes: int | None = None
    pss_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """Memory of the runner process at four moments; ``definition`` says in words what was read.

    ``mapped_bytes``: what the pages mapped from files grew from the baseline to the steady state, which is no memory
    that the process owns: the system may drop them and read them again. None where it is not told.
    ``split``: what the memory was made of at each moment; empty where it is not told.
    """

    definition: str
    baseline_bytes: int
    loaded_bytes: int
    steady_bytes: int
    peak_bytes: int | None
    retained_bytes: int | None
    mapped_bytes: int | None = None
    split: tuple[MemorySplit, ...] = ()

    def split_at(self, moment: MemoryMoment) -> MemorySplit | None:
        """Return what the memory was made of at ``moment``, None where it is not told."""
        return next((split for split in self.split if split.at is moment), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsRef:
    """``count`` outputs in ``file``, laid out as inputs are."""

    file: str
    count: int
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Times of one operator over the calls of the profile pass."""

    name: str
    kind: str
    samples_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSample:
    """The device's state at one moment; a fact that the device does not tell is None.

    ``thermal_headroom``: how near the device is to slowing down for heat; from 1 on it does so severely.
    """

    at_ns: int
    thermal_status: str | None = None
    thermal_headroom: float | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)
    cpu_khz: tuple[int, ...] = ()
    governor: str | None = None
    load_1m: float | None = None
    available_bytes: int | None = None
    battery_percent: float | None = None
    charging: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStates:
    """The device before and after the passes, and a series where one was watched."""

    before: StateSample
    after: StateSample
    series: tuple[StateSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReply:
    """What one launch did. A pass that was not asked for, or did not get so far, is None.

    ``transcript``: what a program printed that measures by itself, from which the rest was read; else None.
    """

    schema: int = SCHEMA
    cell: str
    launch: int
    status: ReplyStatus
    runner: RunnerInfo
    failure: Failure | None = None
    runtime: RuntimeReport | None = None
    load: LoadTimes | None = None
    latency: LatencySamples | None = None
    memory: MemoryReading | None = None
    outputs: OutputsRef | None = None
    profile: tuple[OperatorTime, ...] = ()
    state: DeviceStates | None = None
    transcript: str | None = None
