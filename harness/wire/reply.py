"""What a runner answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from harness.wire.names import SCHEMA, Delegate, FailureKind, KeyWrap, ReplyStatus, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a launch gave no results: a sentence for people, and the evidence."""

    kind: FailureKind
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """The public key of a runner: a `SubjectPublicKeyInfo` (RFC 5280) in Base64, and how files' keys are wrapped."""

    algorithm: KeyWrap
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """Which program measured. ``kind`` is ``host``, ``android-app``, ``ios-app`` … and is a comparison key.

    ``library_page_bytes``: the page size that the native libraries of an app are aligned for; the smallest if they
    differ.
    """

    kind: str
    version: str
    debuggable: bool = False
    library_page_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """The hardware that a delegate ran on, by the name that its driver gives.

    ``software``: no hardware at all, but a driver that computes on the processor, such as SwiftShader or lavapipe.
    """

    name: str
    software: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesLeft:
    """Nodes of one type that the delegate did not take: how many, and why, in the runtime's words; empty if unknown."""

    kind: str
    nodes: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeReport:
    """What the runtime was and what it did. A count is None if the runtime does not report it.

    ``accelerator``: None if no delegate ran on one, or if it is not reported. ``nodes_left``: what the delegate did not
    take, as far as the runtime reports it.
    ``threads`` is None only in imported results, whose file may not say.
    """

    name: str
    version: str
    delegate_requested: Delegate
    # Not a `Delegate`: a file may use several, joined by a plus, or one that phonebench has no name for.
    delegate_used: str
    threads: int | None
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None
    accelerator: Accelerator | None = None
    nodes_left: tuple[NodesLeft, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTimes:
    """The first load in this process, and any further loads of the same file."""

    first_ns: int
    warm_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarisedTimes:
    """The measured calls as summarised by a benchmark program that does not report single calls."""

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

    ``at_ns``: when each of ``samples_ns`` began, relative to the first measured call; only with a stride. ``told``
    takes the place of ``samples_ns`` if a program other than our runners measured and reports only a summary.

    ``calls_per_sample``: a runner whose clock is too coarse for one call times this many calls in a row. Each of
    ``samples_ns`` is then the mean time of one of them; ``first_ns`` and ``warmup_ns`` remain times of single calls.
    ``began_ns``: when the first measured call began, on the clock that also times the states; None if not reported.
    """

    first_ns: int | None
    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    at_ns: tuple[int, ...] = ()
    told: SummarisedTimes | None = None
    calls_per_sample: int = 1
    began_ns: int | None = None


class Ending(StrEnum):
    """Why a generation ended: all tokens were there, the model ended the text, or its context was full."""

    LENGTH = "length"
    END = "end"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The raw times of one generation, in ns after ``begin_ns``, when the prompt's tokens were handed over.

    ``begin_ns`` is on the clock of the states. ``prefill_ns``: the prompt was evaluated; None if the runtime does not
    show it. ``tokens_ns``: each callback, in order; the first is the time to the first token. ``tokens`` counts the new
    tokens as the runtime does; it exceeds the number of callbacks where these are chunks of text.
    """

    begin_ns: int
    prefill_ns: int | None
    tokens_ns: tuple[int, ...]
    tokens: int
    ended: Ending = Ending.LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRates:
    """What another program reports instead of raw times, by its own definitions, which ``definition`` gives."""

    definition: str
    ttft_ns: int | None = None
    prefill_per_s: float | None = None
    decode_per_s: float | None = None
    prefill_samples_per_s: tuple[float, ...] = ()
    decode_samples_per_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSamples:
    """Every generation of the pass, in order: call 0, the warm-up, the measured calls.

    ``prompt_tokens`` counts the tokens of the prompt as the runtime does. ``chunks``: callbacks brought pieces of text
    rather than tokens. ``text_prompt``: the prompt was handed over as text, so tokenising it is in the times.
    ``context_tokens``: how many tokens the model can hold. ``kv_cache_bytes``: the size of the
    cache of keys and values at the end of a call, and ``kv_cache_source`` how it is known. None if not reported.
    ``told`` takes the place of the raw times if a program other than our runners measured.
    """

    prompt_tokens: int
    first: Generation | None = None
    warmup: tuple[Generation, ...] = ()
    measured: tuple[Generation, ...] = ()
    chunks: bool = False
    context_tokens: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_source: str = ""
    told: ToldRates | None = None
    text_prompt: bool = False


class MemoryMoment(StrEnum):
    """When memory was read."""

    BASELINE = "baseline"
    LOADED = "loaded"
    STEADY = "steady"
    RETAINED = "retained"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySplit:
    """What the memory of the runner process consisted of at one moment, in absolute bytes; None if not reported.

    Resident memory is ``anonymous_bytes``, ``file_bytes`` (mapped from files) and ``shared_bytes`` (shared memory);
    ``swap_bytes`` is swapped out. ``pss_bytes`` is the proportional set size: each resident page is divided by the
    number of processes that share it.
    """

    at: MemoryMoment
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    shared_bytes: int | None = None
    swap_bytes: int | None = None
    pss_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """Memory of the runner process at four moments. ``definition`` says in words what was read.

    ``mapped_bytes``: by how much the pages mapped from files grew from the baseline to the steady state. The process
    does not own these pages: the system may drop them and read them again. None if not reported. ``split``: what the
    memory consisted of at each moment; empty if not reported.
    """

    definition: str
    baseline_bytes: int
    loaded_bytes: int | None
    steady_bytes: int | None
    peak_bytes: int | None
    retained_bytes: int | None
    mapped_bytes: int | None = None
    split: tuple[MemorySplit, ...] = ()

    @property
    def held_bytes(self) -> int | None:
        """The peak, or the steady state where the peak is not known; None in imported results with neither."""
        return self.steady_bytes if self.peak_bytes is None else self.peak_bytes

    def split_at(self, moment: MemoryMoment) -> MemorySplit | None:
        """Return what the memory consisted of at ``moment``, or None if not reported."""
        return next((split for split in self.split if split.at is moment), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsRef:
    """``count`` outputs in ``file``, laid out like the inputs."""

    file: str
    count: int
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """One operator in the calls of the profile pass.

    ``samples_ns``: its times, one per time it ran; empty if the runtime only shows what ran it. ``ran_on``: a delegate
    by its name on the wire, else the runtime's own word; empty if not reported. ``reason``: why a delegate did not run
    it, in the runtime's words; empty if not reported. ``nodes``: how many nodes of the file it stands for. ``mean_ns``
    takes the place of ``samples_ns`` if a program other than our runners reports only the mean per call of the model.
    """

    name: str
    kind: str
    samples_ns: tuple[int, ...]
    ran_on: str = ""
    reason: str = ""
    nodes: int = 1
    mean_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """How the operators were timed.

    ``source``: what timed them, such as ``onnxruntime 1.31.1``. ``calls_ns``: the profiled calls as a whole, which are
    slower than others; empty if not timed. ``reason``: why operators or their times are missing, in a sentence.
    """

    source: str
    calls_ns: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSample:
    """The device's state at one moment. A value is None if the device does not report it.

    ``thermal_headroom``: how close the device is to throttling; from 1 on it throttles severely. ``power_w``: what the
    device draws, as its own sensor measures it. ``watch_cpu_ns``: the processor time on the device that watching it has
    taken since the launch began, where the host watches from outside. ``low_power_mode``: whether the system saves
    power. ``charge_uah`` and ``battery_volts``: the charge that is left in the battery, in microampere-hours, and its
    voltage; ``battery_forced``: a command set what the system says of its battery.
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
    power_w: float | None = None
    watch_cpu_ns: int | None = None
    charge_uah: int | None = None
    battery_volts: float | None = None
    battery_forced: bool | None = None
    low_power_mode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStates:
    """The device before and after the passes, and a series of samples where one was taken.

    ``power_definition`` says in words what the ``power_w`` of the series is, None if there is none.
    """

    before: StateSample
    after: StateSample
    series: tuple[StateSample, ...] = ()
    power_definition: str | None = None


class EnergyBlockKind(StrEnum):
    """What the device did meanwhile."""

    IDLE = "idle"
    LOAD = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBlock:
    """A time in which the runner only waited, or ran ``calls`` back to back.

    Times are on the clock of the states. ``tokens``: how many tokens the calls generated, None for other models.
    """

    kind: EnergyBlockKind
    began_ns: int
    ended_ns: int
    calls: int = 0
    tokens: int | None = None


class EnergySource(StrEnum):
    """What an energy counter is. The values are part of stored results."""

    RAILS = "power rails"
    BATTERY = "battery"
    PROCESSOR = "processor counter"
    SENSOR = "power sensor"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReading:
    """A counter at one moment. Of a counter of energy, ``microjoules`` has the total of each channel.

    Of a battery, ``charge_uah`` is the charge that is left, in microampere-hours, and ``volts`` its voltage.
    """

    at_ns: int
    microjoules: tuple[int, ...] = ()
    charge_uah: int | None = None
    volts: float | None = None
    charging: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCounter:
    """The readings of one counter during a launch, in the order of time, as the device gave them.

    ``definition`` says in words what is counted. ``channels`` names the parts of ``microjoules``. ``volts`` is the
    battery's voltage where the counter is not the battery. ``reason`` says why there are no readings, or why they
    count for nothing; empty if they count. ``step_uah``: the unit of ``charge_uah`` where the charge is brought up to
    date rarely and rounded then; None where it steps when the charge does.
    """

    source: EnergySource
    definition: str
    channels: tuple[str, ...] = ()
    readings: tuple[EnergyReading, ...] = ()
    volts: float | None = None
    reason: str = ""
    step_uah: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFacts:
    """The blocks, which the runner reports, and the counter, which is added by what started the runner.

    ``boot_offset_ns``: what to add to the times of the blocks to get the time since the device was switched on, which
    is the clock of counters that are read from outside; None if they have the clock of the states.
    ``wall_offset_ns``: the same for the device's time of day, since 1970, from which a driver that knows no other clock
    of the device finds it.
    """

    blocks: tuple[EnergyBlock, ...] = ()
    counter: EnergyCounter | None = None
    boot_offset_ns: int | None = None
    wall_offset_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReply:
    """What one launch did. A pass is None if it was not requested or not reached.

    ``transcript``: the output of a benchmark program that measures by itself, from which the rest was read; else None.
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
    profile_facts: ProfileFacts | None = None
    state: DeviceStates | None = None
    energy: EnergyFacts | None = None
    transcript: str | None = None
    generation: GenerationSamples | None = None
    encryption_key: EncryptionKey | None = None
