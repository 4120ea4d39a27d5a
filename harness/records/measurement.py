"""What is known of a cell once it has run: the record that is stored, compared and reported.

Raw samples live in the runner's replies, which are kept by digest; a measurement holds what `harness.stats` computed
from them and the digests to compute it again. What was not measured is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition
from harness.records.device import Readiness
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


class GateOutcome(StrEnum):
    """How the wait before a launch ended; ``none``: the profile asks for no gate."""

    OPEN = "open"
    TIMEOUT = "timeout"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """The wait before a launch, why it took so long, and the device before and after."""

    outcome: GateOutcome
    waited_s: float
    reasons: tuple[str, ...] = ()
    before: Readiness | None = None
    after: Readiness | None = None
    best_probe_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSummary:
    """One process of the runner: its median over the steady calls, and where its raw reply is kept.

    ``tainted`` says why the launch is left out of the cell's figures: it throttled, did not settle, or the device
    changed under it; empty for a good one. ``retry`` counts from 0. ``watch_sha256``: the device's state once a second.
    ``thermal_headroom``: the highest that the runner saw, None where the device does not tell.
    """

    index: int
    reply_sha256: str
    median_ns: int
    calls: int
    first_ns: int
    load_ns: int
    steady_state: str
    retry: int = 0
    tainted: tuple[str, ...] = ()
    gate: GateFacts | None = None
    watch_sha256: str | None = None
    thermal_headroom: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteLatency:
    """One minute of a sustained launch, counted from 1: median and p90 of the calls that began in it."""

    minute: int
    median_ns: float
    p90_ns: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Latency over all launches.

    ``median_ns`` is the median of the launches' medians; ``low_ns`` to ``high_ns`` is its 95 % interval over launches,
    None with a single launch. Percentiles are over all steady calls, None from too few of them; ``p90_mlperf_ns`` is
    LoadGen's early-stopping estimate of p90, which is higher on small runs. Of a program that tells no single calls
    there are p5 and p95 alone, medians of the launches' own. ``tainted``: no launch was good, and the figures are those
    of the tainted ones. ``over_time``: (minute, median of that minute) of a sustained launch.
    """

    median_ns: float
    low_ns: float | None
    high_ns: float | None
    mean_ns: float
    min_ns: int
    p5_ns: float
    p25_ns: float | None
    p75_ns: float | None
    p90_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    variation: float | None
    calls: int
    launches: int
    p90_mlperf_ns: float | None = None
    tainted: bool = False
    over_time: tuple[MinuteLatency, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """``first_ns``: median over launches of the first load; ``first_inference_ns``: the same of call 0."""

    first_ns: float
    first_inference_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """``correct`` of ``count``, with the Wilson 95 % interval of the share."""

    value: float
    low: float
    high: float
    correct: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAccuracy:
    """Of the inputs of one class (its label), the share that was answered right."""

    label: int
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Task accuracy from the device's own outputs, with its Wilson 95 % interval; ``correct_bits`` is one bit an input.

    ``correct_bits`` is hexadecimal, most significant bit first, input 0 first: what a paired comparison needs.
    ``top5`` is None where there are five classes or fewer.
    """

    metric: str
    value: float
    low: float
    high: float
    correct: int
    count: int
    correct_bits: str
    top5: Share | None = None
    classes: tuple[ClassAccuracy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScores:
    """The metric that the model's folder names, one score an input, higher is better; the mean with its 95 % interval.

    ``float_scores`` are those of the float model's outputs on the same inputs; empty where it is not there.
    """

    metric: str
    value: float
    low: float
    high: float
    count: int
    scores: tuple[float, ...]
    float_scores: tuple[float, ...] = ()


class Passed(StrEnum):
    """Whether a quality target is met, as far as the inputs can tell."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """A quality target of the model's folder, and how the variant stands to it; ``wanted`` in the metric's own unit."""

    preset: str
    metric: str
    wanted: float
    value: float
    low: float
    high: float
    passed: Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """One output against the float model's, as in `Fidelity`."""

    name: str
    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The device's outputs against the float model's on the same inputs, medians over inputs; dB, and 0…1.

    The figures are those of the first output; ``outputs`` has every output.
    """

    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float
    agreement: float | None
    count: int
    outputs: tuple[OutputFacts, ...] = ()


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
    scores: TaskScores | None = None
    target: TargetFacts | None = None
    fidelity: Fidelity | None = None
    runtime: RuntimeReport | None = None
    runner: RunnerInfo | None = None
    outputs_sha256: str | None = None
    conditions: tuple[Condition, ...] = ()
