"""The metrics, one row each (`harness.records.metric` says what a row holds).

Comparisons, the history, the nightly job and every report walk these rows; none of them knows a metric by name. So a
metric is added here and nowhere else, once a `Measurement` holds what it is read from.

Names carry no units; each row names its unit. The tolerances are those of the protocol (``docs/measurement.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, nan

from harness.errors import StoreError
from harness.records.conditions import FigureGroup
from harness.records.energy import joules_of_launch
from harness.records.energy_pairs import token_joules_of_pair
from harness.records.generation_metrics import ROWS as GENERATION
from harness.records.measurement import LatencySummary, Measurement, TaskScores
from harness.records.metric import ComparisonKind, ConfirmationKind, CsvColumn, Metric, Polarity, Reading, TableColumn
from harness.records.stated_metrics import ROWS as STATED
from harness.records.units import (
    MIB,
    THIN_SPACE,
    EnergyFormatter,
    FileSizeFormatter,
    MemoryGrowthFormatter,
    PlainFormatter,
    ShareFormatter,
    TimeFormatter,
    Unit,
)
from harness.stats.medians import median
from harness.stats.proportions import weighted_scores
from harness.stats.speeds import Speed
from harness.wire import MemoryMoment, MemoryReading, MemorySplit, RunReply


def _latency(measurement: Measurement) -> Reading | None:
    summary = measurement.latency
    if summary is None:
        return None
    medians = tuple(float(launch.median_ns) for launch in measurement.launches if not launch.tainted)
    middle = median(medians) if medians else summary.median_ns
    return Reading(
        value=summary.median_ns,
        low=summary.low_ns,
        high=summary.high_ns,
        count=summary.launches,
        p90=summary.p90_ns,
        mean=fsum(medians) / len(medians) if medians else summary.mean_ns,
        mad=median(abs(x - middle) for x in medians) if len(medians) > 1 else None,
        launches=medians,
        tainted=summary.tainted,
        clock_step=summary.clock_step,
    )


def _load_time(measurement: Measurement) -> Reading | None:
    if measurement.load is None or measurement.load.first_ns is None:
        return None
    times = [launch.load_ns for launch in measurement.launches if not launch.tainted]
    good = tuple(float(time) for time in times if time is not None)
    return Reading(value=measurement.load.first_ns, count=max(1, len(measurement.launches)), launches=good)


def _load_time_of_launch(reply: RunReply) -> float | None:
    return reply.load.first_ns if reply.load else None


def _peak_memory(measurement: Measurement) -> Reading | None:
    """Growth over the runner's own baseline. Where the peak is not known, the steady state stands in for it."""
    memory = measurement.memory
    if memory is None or memory.held_bytes is None:
        return None
    counted = [launch for launch in measurement.launches if not launch.tainted] or list(measurement.launches)
    growths = [launch.memory_growth_bytes for launch in counted]
    return Reading(
        value=memory.held_bytes - memory.baseline_bytes,
        count=max(1, len(counted)),
        launches=tuple(float(growth) for growth in growths if growth is not None),
        # The tolerance is of what the process holds in all: the growth alone may be tiny.
        held=memory.held_bytes,
        definition=memory.definition,
        stand_in=memory.peak_bytes is None,
    )


def _peak_memory_of_launch(reply: RunReply) -> float | None:
    memory = reply.memory
    return None if memory is None or memory.peak_bytes is None else memory.peak_bytes - memory.baseline_bytes


def _good_joules(measurement: Measurement, factor: float) -> tuple[float, ...]:
    good = (launch.energy_joules for launch in measurement.launches if not launch.tainted)
    return tuple(factor * joules for joules in good if joules is not None)


def _energy(measurement: Measurement) -> Reading | None:
    energy = measurement.energy
    if energy is None or energy.joules is None:
        return None
    return Reading(
        value=energy.joules,
        low=energy.low_joules,
        high=energy.high_joules,
        count=energy.launches,
        launches=_good_joules(measurement, 1.0) or (energy.joules,),
        definition=energy.definition,
    )


def _energy_interval(measurement: Measurement, unit: Unit) -> str:
    energy = measurement.energy
    if energy is None or energy.joules is None:
        return ""
    interval = f"{unit.show(energy.low_joules)}–{unit.show(energy.high_joules)}"
    if energy.repeatability is None:
        return f"{interval}, {energy.mean_watts:.3g} W"
    repeats = f"{interval} (± {100 * energy.repeatability:.2g} %)"
    power = f"{energy.mean_watts:.3g} W, idle {energy.idle_watts:.3g}"
    per_mah = energy.inferences_per_mah
    # Three digits are more than the interval supports.
    rounded = f"; {float(f'{per_mah:.3g}'):,.10g} per mAh".replace(",", THIN_SPACE) if per_mah else ""
    return f"{repeats}; {power}{rounded}"


def _right_per_joule(measurement: Measurement) -> float | None:
    """The right answers that a joule buys."""
    energy, accuracy = measurement.energy, measurement.accuracy
    return accuracy.value / energy.joules if accuracy and energy and energy.joules else None


def _token_energy(measurement: Measurement) -> Reading | None:
    energy = measurement.energy
    if energy is None or energy.token_joules is None:
        return None
    return Reading(
        value=energy.token_joules,
        low=energy.token_low_joules,
        high=energy.token_high_joules,
        count=energy.pairs,
        # Every launch generates as many tokens per call.
        launches=_good_joules(measurement, energy.token_joules / energy.joules if energy.joules else 1.0),
        definition=energy.definition,
    )


def _size(measurement: Measurement) -> Reading | None:
    return Reading(value=measurement.artifact.bytes) if measurement.artifact else None


def _accuracy(measurement: Measurement) -> Reading | None:
    accuracy = measurement.accuracy
    if accuracy is None:
        return None
    return Reading(
        value=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        count=accuracy.count,
        correct_bits=accuracy.correct_bits,
        scores=weighted_scores(accuracy.right, accuracy.asked),
    )


def _score(measurement: Measurement) -> Reading | None:
    """A metric of the card of which higher values are better."""
    scores = measurement.scores
    return scores_reading(scores) if scores is not None and scores.higher_is_better else None


def _error(measurement: Measurement) -> Reading | None:
    """A metric of the card of which lower values are better."""
    scores = measurement.scores
    return scores_reading(scores) if scores is not None and not scores.higher_is_better else None


def scores_reading(scores: TaskScores, *, floats: bool = False) -> Reading:
    """Return what comparisons need of ``scores``; with ``floats``, of the float model on the same inputs.

    Runs of earlier versions stored the float model's scores and not their mean. Raises ValueError without either.
    """
    replicates, own = (scores.float_replicates, scores.float_scores) if floats else (scores.replicates, scores.scores)
    value: float | None = scores.value
    if floats:
        value = fsum(own) / len(own) if scores.float_value is None and own else scores.float_value
    if value is None:
        msg = f"the metric {scores.metric!r} was not computed for the float model"
        raise ValueError(msg)
    return Reading(
        value=value,
        low=None if floats else scores.low,
        high=None if floats else scores.high,
        count=scores.count,
        scores=own,
        replicates=tuple(nan if one is None else one for one in replicates),
        scale=scores.metric,
        tolerance=scores.tolerance,
        unit=scores.unit,
    )


def _interval_of_scores(measurement: Measurement, unit: Unit) -> str:
    """The interval over inputs, or their number where they are too few for one."""
    scores = measurement.scores
    if scores is None:
        return ""
    if scores.low is None or scores.high is None:
        return f"{scores.count} inputs, too few for an interval"
    return f"{unit.show(scores.low)}–{unit.show(scores.high)}, {scores.count} inputs"


def _name_of_scores(measurement: Measurement) -> str:
    scores = measurement.scores
    return "" if scores is None else " ".join(filter(None, (scores.metric, scores.unit)))


def _csv_columns(
    part: Callable[[Measurement], object], fields: tuple[str, ...], *, prefix: str = ""
) -> tuple[CsvColumn, ...]:
    """One column per field of a part of the measurement, which is None where that part was not measured."""

    def reader(field: str) -> Callable[[Measurement], object]:
        return lambda measurement: getattr(part(measurement), field, None)

    return tuple(CsvColumn(name=f"{prefix}{field}", read=reader(field)) for field in fields)


def _growth(field: str) -> CsvColumn:
    """Memory at one moment over the baseline; ``mapped`` is a growth already."""

    def read(measurement: Measurement) -> object:
        value: int | None = getattr(measurement.memory, f"{field}_bytes", None)
        if measurement.memory is None or value is None or field == "mapped":
            return value
        return value - measurement.memory.baseline_bytes

    return CsvColumn(name=f"memory_{field}_growth_bytes", read=read)


def _steady_split(measurement: Measurement) -> MemorySplit | None:
    return measurement.memory.split_at(MemoryMoment.STEADY) if measurement.memory else None


def _latency_spread(measurement: Measurement, unit: Unit) -> str:
    """The interval over launches; with one launch the spread of its calls, or their number where they are few."""
    latency: LatencySummary | None = measurement.latency
    if latency is None:
        return ""
    if latency.speeds:
        return "; ".join(f"{speed.launches} launches {unit.show(speed.level_ns)}" for speed in latency.speeds)
    if latency.low_ns is not None:
        return f"{unit.show(latency.low_ns)}–{unit.show(latency.high_ns)}"
    if latency.p90_ns is None or latency.p5_ns is None:
        return "" if latency.calls is None else f"{latency.calls} calls"
    return f"calls {unit.show(latency.p5_ns)}–{unit.show(latency.p90_ns)}"


def _steady_memory(measurement: Measurement, unit: Unit) -> str:
    """What is held between calls; a peak holds pages mapped from files besides, so those are given too."""
    memory: MemoryReading | None = measurement.memory
    if memory is None or memory.steady_bytes is None:
        return ""
    steady = f"{unit.show(memory.steady_bytes - memory.baseline_bytes)} steady"
    return f"{steady} + {unit.show(memory.mapped_bytes)} mapped" if memory.mapped_bytes else steady


def _right_of_all(measurement: Measurement, unit: Unit) -> str:
    accuracy = measurement.accuracy
    if accuracy is None:
        return ""
    return f"{accuracy.correct}/{accuracy.count}, {unit.show(accuracy.low)}–{unit.show(accuracy.high)}"


def _score_column(heading: str, direction: str) -> TableColumn:
    return TableColumn(
        heading=heading,
        title=heading,
        hint=f"the metric of the model's card, from the device's own outputs; {direction}",
        keep=93,
        under=_interval_of_scores,
        named=_name_of_scores,
        optional=True,
    )


LATENCY = Metric(
    name="latency",
    label="latency",
    unit="ns",
    polarity=Polarity.LOWER,
    relative_tolerance=0.03,
    formatter=TimeFormatter(),
    read=_latency,
    comparison=ComparisonKind.LAUNCHES,
    confirmation=ConfirmationKind.PAIRS,
    group=FigureGroup.LATENCY,
    csv=(
        *_csv_columns(
            lambda m: m.latency,
            (
                "median_ns", "low_ns", "high_ns", "mean_ns", "min_ns", "p5_ns", "p25_ns", "p75_ns", "p90_ns", "p95_ns",
                "p99_ns", "variation",
            ),
            prefix="latency_",
        ),
        *_csv_columns(lambda m: m.latency, ("calls", "launches")),
        *_csv_columns(lambda m: m.load, ("first_inference_ns",)),
    ),
    json_key="latency",
    table=TableColumn(
        heading="latency",
        title="latency",
        hint="median call of a typical launch; its 95 % interval over launches",
        keep=98,
        under=_latency_spread,
        calls_beside=True,
    ),
)  # fmt: skip

LOAD_TIME = Metric(
    name="load_time",
    label="load time",
    unit="ns",
    polarity=Polarity.LOWER,
    relative_tolerance=0.05,
    formatter=TimeFormatter(),
    read=_load_time,
    read_launch=_load_time_of_launch,
    comparison=ComparisonKind.LAUNCHES,
    confirmation=ConfirmationKind.LAUNCHES,
    group=FigureGroup.LOAD,
    csv=_csv_columns(lambda m: m.load, ("first_ns",), prefix="load_"),
    json_key="load",
    table=TableColumn(heading="load", title="load", hint="from the file to a model that can be called", keep=30),
)

PEAK_MEMORY = Metric(
    name="peak_memory",
    label="peak memory",
    unit="bytes",
    polarity=Polarity.LOWER,
    relative_tolerance=0.01,
    absolute_tolerance=MIB,
    formatter=MemoryGrowthFormatter(),
    read=_peak_memory,
    read_launch=_peak_memory_of_launch,
    comparison=ComparisonKind.TOLERANCE,
    confirmation=ConfirmationKind.MEDIANS,
    # One or two launches say little about how much they vary.
    least_launches=3,
    group=FigureGroup.MEMORY,
    csv=(
        *_csv_columns(lambda m: m.memory, ("baseline_bytes",), prefix="memory_"),
        *(_growth(moment) for moment in ("loaded", "steady", "peak", "retained", "mapped")),
        *_csv_columns(
            _steady_split,
            ("anonymous_bytes", "file_bytes", "shared_bytes", "swap_bytes", "pss_bytes"),
            prefix="memory_steady_",
        ),
    ),
    json_key="memory",
    table=TableColumn(
        heading="peak",
        title="peak memory",
        hint="over the runtime without a model, mapped pages included",
        keep=75,
        under=_steady_memory,
    ),
)

ENERGY = Metric(
    name="energy",
    label="energy per inference",
    unit="J",
    polarity=Polarity.LOWER,
    relative_tolerance=0.05,
    formatter=EnergyFormatter(),
    read=_energy,
    read_launch=joules_of_launch,
    comparison=ComparisonKind.LAUNCHES,
    confirmation=ConfirmationKind.LAUNCHES,
    same_unit=True,
    csv=(
        *_csv_columns(lambda m: m.energy, ("joules", "low_joules", "high_joules"), prefix="energy_"),
        CsvColumn(name="power_mean_watts", read=lambda m: m.energy.mean_watts if m.energy else None),
        CsvColumn(name="power_idle_watts", read=lambda m: m.energy.idle_watts if m.energy else None),
        CsvColumn(name="energy_repeatability", read=lambda m: m.energy.repeatability if m.energy else None),
        CsvColumn(name="inferences_per_mah", read=lambda m: m.energy.inferences_per_mah if m.energy else None),
        CsvColumn(name="correct_answers_per_joule", read=_right_per_joule),
    ),
    group=FigureGroup.ENERGY,
    json_key="energy",
    table=TableColumn(
        heading="energy",
        title="energy",
        hint="per inference: with profile energy beyond the idle device, otherwise idle power included; its 95 % "
        "interval, the power of the calls, and how many a milliampere-hour of the battery gives",
        # It is there only where it was asked for.
        keep=97,
        under=_energy_interval,
        optional=True,
        # What to do about it is in the JSON; here it would make the column wider than the page.
        absent=lambda measurement: measurement.energy.reason.partition(":")[0] if measurement.energy else "",
    ),
)

TOKEN_ENERGY = Metric(
    name="token_energy",
    label="energy per token",
    unit="J",
    polarity=Polarity.LOWER,
    relative_tolerance=0.05,
    formatter=EnergyFormatter(),
    read=_token_energy,
    read_launch=token_joules_of_pair,
    comparison=ComparisonKind.LAUNCHES,
    confirmation=ConfirmationKind.LAUNCHES,
    same_unit=True,
    csv=_csv_columns(lambda m: m.energy, ("token_joules", "token_low_joules", "token_high_joules"), prefix="energy_"),
    group=FigureGroup.ENERGY,
    json_key="energy.token_joules",
    table=TableColumn(
        heading="per token",
        title="energy per token",
        hint="per generated token, beyond the idle device",
        keep=69,
        optional=True,
    ),
)

SIZE = Metric(
    name="size",
    label="size",
    unit="bytes",
    polarity=Polarity.LOWER,
    relative_tolerance=0.001,
    formatter=FileSizeFormatter(),
    read=_size,
    comparison=ComparisonKind.TOLERANCE,
    confirmation=ConfirmationKind.RECORD,
    csv=_csv_columns(lambda m: m.artifact, ("bytes", "compressed_bytes"), prefix="artifact_"),
    json_key="artifact",
    table=TableColumn(
        heading="size",
        title="size",
        hint="of the file; ratio to the fp32 file of this format",
        keep=90,
        ratio_to_fp32=True,
    ),
)

ACCURACY = Metric(
    name="accuracy",
    label="accuracy",
    unit="1",
    polarity=Polarity.HIGHER,
    relative_tolerance=0.0,
    absolute_tolerance=0.01,
    formatter=ShareFormatter(),
    read=_accuracy,
    comparison=ComparisonKind.ANSWERS,
    confirmation=ConfirmationKind.RECORD,
    same_data=True,
    group=FigureGroup.ACCURACY,
    csv=(
        CsvColumn(name="accuracy_metric", read=lambda m: m.accuracy.metric if m.accuracy else None),
        CsvColumn(name="accuracy", read=lambda m: m.accuracy.value if m.accuracy else None),
        *_csv_columns(lambda m: m.accuracy, ("low", "high"), prefix="accuracy_"),
        *_csv_columns(lambda m: m.accuracy, ("correct", "count")),
        CsvColumn(name="worst_group", read=lambda m: m.groups.worst.name if m.groups and m.groups.worst else None),
        CsvColumn(name="worst_group_drop", read=lambda m: m.groups.worst_drop if m.groups else None),
        CsvColumn(name="inputs_lost", read=lambda m: m.groups.lost if m.groups else None),
        CsvColumn(name="inputs_won", read=lambda m: m.groups.won if m.groups else None),
    ),
    json_key="accuracy",
    table=TableColumn(
        heading="accuracy",
        title="accuracy",
        hint="from the device's own outputs; right of all, and the Wilson 95 % interval",
        keep=92,
        under=_right_of_all,
    ),
)

# The metric that a model's card names, in its own unit: one row per direction, because a row has one.
SCORE = Metric(
    name="score",
    label="score",
    unit="1",
    polarity=Polarity.HIGHER,
    relative_tolerance=0.01,
    formatter=PlainFormatter(),
    read=_score,
    comparison=ComparisonKind.SCORES,
    confirmation=ConfirmationKind.RECORD,
    same_data=True,
    group=FigureGroup.ACCURACY,
    csv=(
        # Of both directions, so that a script finds the model's own metric in one place.
        CsvColumn(name="score_metric", read=lambda m: m.scores.metric if m.scores else None),
        CsvColumn(name="score", read=lambda m: m.scores.value if m.scores else None),
        *_csv_columns(lambda m: m.scores, ("low", "high", "unit", "higher_is_better"), prefix="score_"),
    ),
    json_key="scores",
    table=_score_column("score", "higher is better"),
)

ERROR = Metric(
    name="error",
    label="error",
    unit="1",
    polarity=Polarity.LOWER,
    relative_tolerance=0.01,
    formatter=PlainFormatter(),
    read=_error,
    comparison=ComparisonKind.SCORES,
    confirmation=ConfirmationKind.RECORD,
    same_data=True,
    group=FigureGroup.ACCURACY,
    json_key="scores",
    table=_score_column("error", "lower is better"),
)

_ROWS = (LATENCY, LOAD_TIME, PEAK_MEMORY, SIZE, ACCURACY, SCORE, ERROR, *GENERATION, *STATED, ENERGY, TOKEN_ENERGY)
METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}

# What says how good the answers are, the most telling first: what a card names itself goes before accuracy.
QUALITY: tuple[Metric, ...] = (SCORE, ERROR, ACCURACY)

# The metric that is meant where none is named, and whose series records that a cell failed.
HEADLINE = LATENCY


def speeds_in_words(metric: Metric, speeds: Sequence[Speed]) -> str:
    """Return ``speeds`` as text, such as ``1.05 ms in 12 launches, 2.53 ms in 8``."""
    levels = [f"{metric.formatter.exact(speed.level_ns)} in {speed.launches}" for speed in speeds]
    return ", ".join(f"{level} launches" if index == 0 else level for index, level in enumerate(levels))


def metric_named(name: str) -> Metric:
    """Return the metric of that stored name. Raises `StoreError` for one that a later version added."""
    try:
        return METRICS[name]
    except KeyError as error:
        msg = f"this phonebench does not know the metric {name!r}, only {', '.join(METRICS)}: use the newer version"
        raise StoreError(msg) from error
