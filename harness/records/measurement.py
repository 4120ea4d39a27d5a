"""Everything known about a cell that has run: the record that is stored, compared and reported.

Raw samples stay in the runner's replies, which are stored by digest. A measurement holds what `harness.stats` computed
from them, and the digests needed to compute it again. Anything that was not measured is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition
from harness.records.device import Readiness
from harness.records.generation import GenerationSummary, LanguageQuality
from harness.records.operators import OperatorProfile
from harness.records.origin import Origin, StatedFigure
from harness.stats.speeds import Speed
from harness.wire import Failure, MemoryReading, RunnerInfo, RuntimeReport

# 1 (2026-11): the first.
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySummary:
    """Energy per inference in joules, of devices with an energy counter or a power sensor, and its 95 % interval.

    ``definition`` says in words what was measured. ``mean_watts`` is the mean power during the measured calls.
    ``reason`` says why there is no value, such as launches that are too short; empty if there is one.

    The rest is of the profile ``energy`` only, whose value is the energy beyond that of the idle device. ``source``:
    the kind of counter. ``pairs`` of an idle and a load block with ``idle_watts`` and ``mean_watts``.
    ``resolution_joules``: the half-width that the counter's step and read interval alone would give. ``volts``: of the
    battery. ``token_joules``: energy per generated token, of models that generate some.
    """

    definition: str
    joules: float | None = None
    low_joules: float | None = None
    high_joules: float | None = None
    mean_watts: float | None = None
    readings: int = 0
    launches: int = 0
    reason: str = ""
    source: str = ""
    pairs: int = 0
    idle_watts: float | None = None
    resolution_joules: float | None = None
    volts: float | None = None
    token_joules: float | None = None
    token_low_joules: float | None = None
    token_high_joules: float | None = None

    @property
    def repeatability(self) -> float | None:
        """Half the width of the interval as a share of the value; None without pairs or a value."""
        if not self.pairs or not self.joules or self.low_joules is None or self.high_joules is None:
            return None
        return (self.high_joules - self.low_joules) / 2 / self.joules

    @property
    def inferences_per_mah(self) -> float | None:
        """How many inferences a milliampere-hour of the battery gives, idle energy left out; None without a battery."""
        # 1 mAh is 3.6 coulombs.
        return 3.6 * self.volts / self.joules if self.volts and self.joules else None


class CellStatus(StrEnum):
    """How a cell ended. ``pending`` means that it has not run yet, and is never stored."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    BROKEN = "broken"
    FAILED = "failed"
    PENDING = "pending"


class GateOutcome(StrEnum):
    """How the wait before a launch ended; ``none`` if the profile asks for no gate."""

    OPEN = "open"
    TIMEOUT = "timeout"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """The wait before a launch: how long, for which reasons, and the state of the device before and after."""

    outcome: GateOutcome
    waited_s: float
    reasons: tuple[str, ...] = ()
    before: Readiness | None = None
    after: Readiness | None = None
    best_probe_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSummary:
    """One process of the runner: its median over the steady calls, and the digest of its raw reply.

    ``tainted`` gives the reasons for leaving the launch out of the cell's figures: it throttled, did not settle, or the
    device changed during it. It is empty for a good launch. ``retry`` counts from 0. ``watch_sha256``: the device's
    state, recorded once a second. ``thermal_headroom``: the highest value that the runner saw; None if not reported.
    ``memory_growth_bytes``: the peak of its memory over its own baseline, or the steady state where the peak is not
    known; None if memory was not read. Earlier versions stored none. ``calls``: how many of the reply's samples count,
    which are the last ones. ``median_ns`` is whole for launches of phonebench; other programs may state fractions.
    """

    index: int
    reply_sha256: str
    median_ns: int | float
    calls: int | None
    first_ns: int | None
    load_ns: int | None
    steady_state: str
    retry: int = 0
    tainted: tuple[str, ...] = ()
    gate: GateFacts | None = None
    watch_sha256: str | None = None
    thermal_headroom: float | None = None
    memory_growth_bytes: int | None = None
    energy_joules: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteLatency:
    """One minute of a sustained launch, counted from 1: median and p90 of the calls that started in it."""

    minute: int
    median_ns: float
    p90_ns: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Latency over all launches.

    ``median_ns`` is the median of the calls of a typical launch (`harness.stats.launches.typical`). ``low_ns`` to
    ``high_ns`` is its 95 % interval over launches, None for a single launch. Percentiles are those of a typical launch,
    None if there are too few calls, or if launches differ more than their calls do. ``p90_mlperf_ns`` is LoadGen's
    early-stopping estimate of p90, which is higher than p90 for few calls. ``mean_ns``, ``min_ns`` and ``variation``
    are over all steady calls. Programs that do not report single calls have p5 and p95 only, as the medians of the
    launches' own; ``max_ns`` is set for them alone, where they report it. ``tainted``: no launch was good, so the
    figures come from tainted ones. ``over_time``: each minute of a sustained launch. ``clock_step``: the relative step
    of the clock, 0 if it is too fine to show.

    ``speeds``: the speeds at which the launches ran, fastest first, if there were several. ``median_ns`` is then that
    of most launches, and there is no interval and no tail percentile.

    Runs of earlier versions stored the plain median of the launches' medians, and percentiles over all calls.
    """

    median_ns: float
    low_ns: float | None
    high_ns: float | None
    mean_ns: float | None
    min_ns: int | float | None
    p5_ns: float | None
    p25_ns: float | None
    p75_ns: float | None
    p90_ns: float | None
    p95_ns: float | None
    p99_ns: float | None
    variation: float | None
    calls: int | None
    launches: int
    p90_mlperf_ns: float | None = None
    tainted: bool = False
    over_time: tuple[MinuteLatency, ...] = ()
    speeds: tuple[Speed, ...] = ()
    clock_step: float = 0.0
    max_ns: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """``first_ns``: the first load of a typical launch; ``first_inference_ns``: the same of call 0."""

    first_ns: float | None
    first_inference_ns: float | None


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
    """The share of correct answers among the inputs of one class, given by its label."""

    label: int
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Task accuracy from the device's own outputs, with its Wilson 95 % interval: ``correct`` of ``count`` answers.

    For paired comparisons, ``correct_bits`` holds one bit per input (hexadecimal, input 0 in the most significant bit)
    where each input has one answer. Where inputs have several (a batch, tokens, pixels), it is empty, and ``right`` and
    ``asked`` count the answers of each input. ``float_bits`` and ``float_right`` are the same of the float model on the
    same inputs, empty if there is none. ``top5`` is None for five classes or fewer.
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
    right: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    float_bits: str = ""
    float_right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScores:
    """The metric that the model's card names: its value over all inputs and the 95 % interval.

    Most metrics score each input: ``scores`` has one score per input, and ``value`` is their mean. A corpus metric
    (``corpus``) is computed over all inputs at once; ``replicates`` are its values for a bootstrap's draws of inputs,
    which are the same draws wherever the number of inputs is the same. ``low`` and ``high`` are None for too few
    inputs. ``float_value``, ``float_scores`` and ``float_replicates`` are those of the float model on the same inputs;
    None or empty if there is none. ``tolerance`` is the change that matters, in the metric's ``unit``; None stands for
    a share of the value. ``share``: the value is a share from 0 to 1.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    count: int
    scores: tuple[float, ...]
    float_scores: tuple[float, ...] = ()
    higher_is_better: bool = True
    unit: str = ""
    tolerance: float | None = None
    corpus: bool = False
    share: bool = False
    float_value: float | None = None
    replicates: tuple[float | None, ...] = ()
    float_replicates: tuple[float | None, ...] = ()


class Passed(StrEnum):
    """Whether a quality target is met; ``undecided`` if there are too few inputs to say."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """A quality target of the model's folder, and whether the variant meets it.

    ``wanted`` is the required value, in the metric's own unit. ``low`` and ``high`` are None for too few inputs.
    """

    preset: str
    metric: str
    wanted: float
    value: float
    low: float | None
    high: float | None
    passed: Passed


class GroupKind(StrEnum):
    """What the groups of the inputs are: the classes of their labels, or groups that the data name."""

    CLASS = "class"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """The score of the ``count`` answers of one group, and the float model's score of the same answers.

    For a metric of the model's card, ``count`` counts inputs. ``drop`` is how much worse the score is than the float
    model's, and ``low`` to ``high`` is its 95 % interval: in the unit of the metric, for a share from 0 to 1. The
    interval is None for too few inputs and for a score of all inputs together.
    """

    name: str
    count: int
    value: float
    float_value: float
    drop: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedInput:
    """An input on which the answers are worse than the float model's.

    ``index`` counts the test inputs from 0. ``loss`` is the loss of its score; 1 for a single answer that is no longer
    right. ``label``, ``answer`` and ``float_answer`` are classes, None where there are several answers or none.
    ``picture`` names a small picture of the input that is stored with the run.
    """

    index: int
    loss: float
    label: int | None = None
    answer: int | None = None
    float_answer: int | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """What the groups of inputs lost against the float model, the worst first, and the inputs that lost.

    ``share``: scores are shares from 0 to 1. ``lost`` and ``won`` count the inputs whose score is lower or higher than
    the float model's; ``changed`` are the first of those that lost. Of very many groups, only the worst are stored.
    """

    kind: GroupKind
    metric: str
    share: bool
    groups: tuple[GroupScore, ...] = ()
    lost: int = 0
    won: int = 0
    changed: tuple[ChangedInput, ...] = ()

    @property
    def worst(self) -> GroupScore | None:
        """The group that lost most."""
        return self.groups[0] if self.groups else None

    @property
    def worst_drop(self) -> float | None:
        """The drop of the worst group: for a share in its unit (0.01 = one point), else a share of its float score."""
        worst = self.worst
        if worst is None:
            return None
        return worst.drop if self.share or not worst.float_value else worst.drop / abs(worst.float_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """One output compared with the float model's; fields as in `Fidelity`."""

    name: str
    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float
    sqnr_min_db: float | None = None
    worst_input: int | None = None
    differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The device's outputs compared with the float model's on the same inputs: medians over inputs, in dB or 0…1.

    The figures describe the first output that can be compared; ``outputs`` has one entry per such output.
    ``sqnr_min_db`` is the SQNR of the worst input and ``worst_input`` its index; None in older results. ``differing``
    counts the inputs that differ by more than the precision explains.
    """

    sqnr_db: float
    sqnr_worst_db: float
    cosine: float
    max_error: float
    agreement: float | None
    count: int
    outputs: tuple[OutputFacts, ...] = ()
    sqnr_min_db: float | None = None
    worst_input: int | None = None
    differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything known about one cell. ``cell`` is its key in the plan; both times are ISO 8601, UTC.

    ``memory`` is the reading of the launch whose growth is the middle one. Earlier versions stored the highest.
    ``operators`` is None unless a profile of the operators was asked for.

    ``origin`` is set for a cell that was imported from a file of another program, and ``stated`` holds its figures that
    have no field of their own. Both times are empty if the file does not say. A program of a runtime that times a
    language model by its own definitions states figures too.

    ``generation`` and ``language`` are set for language models, see `harness.records.generation`.
    """

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
    energy: EnergySummary | None = None
    accuracy: Accuracy | None = None
    scores: TaskScores | None = None
    target: TargetFacts | None = None
    groups: GroupFacts | None = None
    fidelity: Fidelity | None = None
    runtime: RuntimeReport | None = None
    runner: RunnerInfo | None = None
    outputs_sha256: str | None = None
    conditions: tuple[Condition, ...] = ()
    operators: OperatorProfile | None = None
    origin: Origin | None = None
    stated: tuple[StatedFigure, ...] = ()
    generation: GenerationSummary | None = None
    language: LanguageQuality | None = None
