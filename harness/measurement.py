"""What is known of a cell once it has run: the record that is stored, compared and reported.

Raw samples live in the runner's replies, which are kept by digest; a measurement holds what `harness.stats` computed
from them and the digests to compute it again. What was not measured is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from harness.stepreport import StepReport
from harness.wire import Failure, MemoryReading, RunnerInfo, RuntimeReport

# 1 (2026-11): the first.
SCHEMA = 1


class CellStatus(StrEnum):
    """How a cell ended. ``pending`` is never stored: it is what a cell is that has not run yet."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    FAILED = "failed"
    PENDING = "pending"


class ConditionId(StrEnum):
    """Facts that make a figure less trustworthy."""

    THERMAL = "THERMAL"
    LOW_BATTERY = "LOW-BATTERY"
    DEBUGGABLE = "DEBUGGABLE"
    EMULATOR = "EMULATOR"
    SHARED_HOST = "SHARED-HOST"
    BUSY_HOST = "BUSY-HOST"
    DESKTOP_CPU = "DESKTOP-CPU"
    FALLBACK = "FALLBACK"
    SIMULATED = "SIMULATED"
    INDICATIVE = "INDICATIVE"
    UNSTEADY = "UNSTEADY"
    RANDOM_WEIGHTS = "RANDOM-WEIGHTS"
    RANDOM_INPUTS = "RANDOM-INPUTS"
    RANDOM_CALIBRATION = "RANDOM-CALIBRATION"
    DATA_FREE = "DATA-FREE"
    NOT_FINE_TUNED = "NOT-FINE-TUNED"
    UNVERIFIED = "UNVERIFIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One such fact, worded for people."""

    id: ConditionId
    summary: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What a device is; these facts do not change during a run. ``key`` is what the user typed (``android:SERIAL``)."""

    key: str
    kind: str
    model: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int
    abi: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFacts:
    """The file that ran, and the network in it.

    ``sqnr_db`` and ``agreement`` (0…1) compare it with the float model, ``own_sqnr_db`` with the network that its
    recipe's graph steps left; None without one. ``compressed_bytes``: deflated. ``parameters`` and ``macs`` (of one
    call) count the network, ``steps`` is what was done to it, ``kept_float`` which layers a mixed precision spared,
    ``calibration`` what a calibrated quantiser saw (empty for the others).
    """

    sha256: str
    bytes: int
    sqnr_db: float | None
    agreement: float | None
    own_sqnr_db: float | None = None
    compressed_bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None
    steps: tuple[StepReport, ...] = ()
    kept_float: tuple[str, ...] = ()
    calibration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSummary:
    """One process of the runner: its median over the steady calls, and where its raw reply is kept."""

    index: int
    reply_sha256: str
    median_ns: int
    calls: int
    first_ns: int
    load_ns: int
    steady_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Latency over all launches.

    ``median_ns`` is the median of the launches' medians; ``low_ns`` to ``high_ns`` is its 95 % interval over launches,
    None with a single launch. Percentiles are over all steady calls, None from too few of them.
    """

    median_ns: float
    low_ns: float | None
    high_ns: float | None
    mean_ns: float
    min_ns: int
    p5_ns: float
    p25_ns: float
    p75_ns: float
    p90_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    variation: float | None
    calls: int
    launches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """``first_ns``: median over launches of the first load; ``first_inference_ns``: the same of call 0."""

    first_ns: float
    first_inference_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Task accuracy from the device's own outputs, with its Wilson 95 % interval; ``correct_bits`` is one bit an input.

    ``correct_bits`` is hexadecimal, most significant bit first, input 0 first: what a paired comparison needs.
    """

    metric: str
    value: float
    low: float
    high: float
    correct: int
    count: int
    correct_bits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The device's outputs against the float model's on the same inputs, medians over inputs; dB, and 0…1."""

    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float
    agreement: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything known of one cell; ``cell`` is its key in the plan, the two times are ISO 8601, UTC."""

    schema: int = SCHEMA
    cell: str
    status: CellStatus
    reason: str | None = None
    failure: Failure | None = None
    started_at: str
    ended_at: str
    artifact: ArtifactFacts | None = None
    launches: tuple[LaunchSummary, ...] = ()
    latency: LatencySummary | None = None
    load: LoadSummary | None = None
    memory: MemoryReading | None = None
    accuracy: Accuracy | None = None
    fidelity: Fidelity | None = None
    runtime: RuntimeReport | None = None
    runner: RunnerInfo | None = None
    outputs_sha256: str | None = None
    conditions: tuple[Condition, ...] = ()
