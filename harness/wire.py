"""The contract with every runner: what a job asks and what a runner answers.

A job is a folder with ``request.json``, the artifact and ``inputs.bin``; the runner leaves ``reply.json``
(written under another name and renamed) and ``outputs.bin``. ``docs/wire.md`` is the specification, the golden
files under ``tests/golden/wire`` are its examples. The one decision here: the records *are* the schema, and
msgspec checks every field and type on the way in, so that nothing half-right gets past this file.

All times are integer nanoseconds of a monotonic clock, all sizes integer bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

# 1 (2026-11): the first.
SCHEMA = 1

REQUEST_FILE = "request.json"
REPLY_FILE = "reply.json"
OUTPUTS_FILE = "outputs.bin"
INPUTS_FILE = "inputs.bin"


class Format(StrEnum):
    """The file a runtime loads."""

    PTE = "pte"
    TFLITE = "tflite"
    ONNX = "onnx"
    PTL = "ptl"
    MLPACKAGE = "mlpackage"


class Delegate(StrEnum):
    """What a runtime is asked to run on."""

    CPU = "cpu"
    XNNPACK = "xnnpack"
    GPU = "gpu"
    NNAPI = "nnapi"
    COREML = "coreml"


class DType(StrEnum):
    """Element type of a tensor; little-endian in the ``.bin`` files."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    UINT8 = "uint8"
    BOOL = "bool"


class ReplyStatus(StrEnum):
    """How a launch ended."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class FailureKind(StrEnum):
    """Where a launch failed. The last four are told by the host when there is no reply to believe."""

    LOAD = "load"
    DELEGATE = "delegate"
    RUN = "run"
    OOM = "oom"
    TIMEOUT = "timeout"
    DIGEST = "digest"
    INPUT = "input"
    CRASH = "crash"
    REPLY = "reply"
    LOST = "lost"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, element type and full shape (batch included) of one tensor of one call."""

    name: str
    dtype: DType
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionRef:
    """A further file of an artifact, beside the request under this name, such as the weights of a large ``.onnx``."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """The file to load, beside the request; the runner checks every ``sha256`` before it loads."""

    file: str
    sha256: str
    format: Format
    companions: tuple[CompanionRef, ...] = ()

    @property
    def files(self) -> tuple[CompanionRef, ...]:
        """Every file of the artifact, the one to load first."""
        return (CompanionRef(file=self.file, sha256=self.sha256), *self.companions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRequest:
    """What the runtime is asked for; what it did stands in the reply."""

    delegate: Delegate
    threads: int
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsRef:
    """``count`` inputs in ``file``: input by input, tensor by tensor, C order, no padding."""

    file: str
    count: int
    tensors: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupPass:
    """Untimed in effect: calls until both minima are met."""

    min_calls: int
    min_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePass:
    """Calls until both minima are met, or until ``max_ns`` has passed."""

    min_calls: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPass:
    """Times single calls on input 0, one after the other, ``interval_ns`` apart.

    With ``stride_ns`` over 0 every measured call is run and timed, but only one that begins at least so long after the
    one kept before it is kept, together with when it began: a half hour of a fast model would fill the memory.
    """

    warmup: WarmupPass
    measure: MeasurePass
    interval_ns: int = 0
    stride_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPass:
    """Reads memory between ``calls`` untimed calls, and ``settle_ns`` after the model is released."""

    calls: int
    settle_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsPass:
    """Runs inputs ``0 … count - 1`` once each and writes their outputs."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePass:
    """Per-operator times of ``calls`` calls, where the runtime can."""

    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The passes wanted, run in this order in one process."""

    latency: LatencyPass | None = None
    memory: MemoryPass | None = None
    outputs: OutputsPass | None = None
    profile: ProfilePass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One launch of the runner on one cell."""

    schema: int = SCHEMA
    cell: str
    launch: int
    artifact: ArtifactRef
    runtime: RuntimeRequest
    inputs: InputsRef
    passes: Passes


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


class WireError(ValueError):
    """A request or a reply that this version cannot read; the message names the field or the versions."""


def encode(record: RunRequest | RunReply) -> bytes:
    """Return ``record`` as UTF-8 JSON; a value that is not finite becomes null."""
    return msgspec.json.encode(record)


def decode_request(data: bytes) -> RunRequest:
    """Read a request. Raises `WireError` with the field at fault, or both schema versions."""
    _check_schema(data, "request")
    return _decode(data, RunRequest)


def decode_reply(data: bytes) -> RunReply:
    """Read a reply. Raises `WireError` with the field at fault, or both schema versions.

    A reply without its proof is refused too: ``ok`` with a failure, a failed launch without one, negative times.
    """
    _check_schema(data, "reply")
    reply = _decode(data, RunReply)
    _check_reply(reply)
    return reply


def _check_schema(data: bytes, what: str) -> None:
    try:
        head: Any = msgspec.json.decode(data)
    # Bytes that are not UTF-8 inside a string come as a UnicodeDecodeError, which is a ValueError as well.
    except ValueError as error:
        msg = f"the {what} is not JSON: {error}"
        raise WireError(msg) from error
    found = head.get("schema") if isinstance(head, dict) else None
    if found != SCHEMA:
        msg = f"the {what} has schema {found!r}, this program speaks schema {SCHEMA}: use one version on both sides"
        raise WireError(msg)


_Record = TypeVar("_Record", RunRequest, RunReply)


def _decode(data: bytes, kind: type[_Record]) -> _Record:
    try:
        return msgspec.json.decode(data, type=kind)
    except ValueError as error:
        msg = f"cannot read the {kind.__name__}: {error}"
        raise WireError(msg) from error


def _check_reply(reply: RunReply) -> None:
    if (reply.status is ReplyStatus.OK) == (reply.failure is not None):
        msg = f"the reply says {reply.status.value!r} and its failure is {reply.failure!r}: one of them is wrong"
        raise WireError(msg)
    times = _call_times(reply.latency) if reply.latency else ()
    if reply.load:
        times += (reply.load.first_ns, *reply.load.warm_ns)
    if any(t < 0 for t in times):
        msg = f"the reply has a negative time ({min(times)} ns): the runner's clock went backwards"
        raise WireError(msg)
    _check_moments(reply.latency.at_ns if reply.latency else (), len(reply.latency.samples_ns) if reply.latency else 0)


def _call_times(latency: LatencySamples) -> tuple[int, ...]:
    """Return all times of calls. Raises `WireError` for a summary beside samples, or of no calls."""
    told, times = latency.told, (latency.first_ns, *latency.warmup_ns, *latency.samples_ns)
    if told is None:
        return times
    if latency.samples_ns:
        msg = f"the reply has {len(latency.samples_ns)} samples and a summary told in their place: one of them is wrong"
        raise WireError(msg)
    if told.calls < 1:
        msg = f"the reply has a summary of {told.calls} calls: there is nothing to sum up"
        raise WireError(msg)
    return *times, told.min_ns, told.p5_ns, told.median_ns, told.p95_ns, told.max_ns, told.mean_ns


def _check_moments(at_ns: tuple[int, ...], samples: int) -> None:
    if at_ns and len(at_ns) != samples:
        msg = f"the reply has {len(at_ns)} moments for {samples} samples: each sample needs its own"
        raise WireError(msg)
    if any(later < earlier for earlier, later in pairwise(at_ns)):
        msg = "the reply's moments go backwards: the runner's clock did"
        raise WireError(msg)
