"""What a metric is: how it is read from a measurement, written, compared and confirmed.

The metrics themselves are the rows of `harness.records.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from harness.records.conditions import FigureGroup
from harness.records.measurement import Measurement
from harness.records.units import Unit, ValueFormatter
from harness.wire import RunReply


class Polarity(StrEnum):
    """Which way a metric improves."""

    LOWER = "lower is better"
    HIGHER = "higher is better"


class ComparisonKind(StrEnum):
    """How two measurements of a metric become a verdict (`harness.compare.metrics` has one function per kind).

    ``launches``: the ratio of two groups of launches, with its interval; needs `Reading.launches`.
    ``tolerance``: for what hardly varies; a change beyond the tolerance counts, unless launches vary as much.
    ``answers``: right and wrong answers, input by input; needs `Reading.correct_bits`, or `Reading.scores` where
    inputs have several answers.
    ``scores``: differences of scores, input by input; needs `Reading.scores`.
    """

    LAUNCHES = "launches"
    TOLERANCE = "tolerance"
    ANSWERS = "answers"
    SCORES = "scores"


class ConfirmationKind(StrEnum):
    """How the nightly job confirms a suspected change (`harness.workflows.nightly.confirm`).

    ``pairs``: by the ratio of interleaved pairs. ``launches``: by the launches of both sides in those pairs.
    ``medians``: by the medians of these launches, within the tolerance. ``record``: from the stored measurements,
    because the same artifact always gives the same value.
    """

    PAIRS = "pairs"
    LAUNCHES = "launches"
    MEDIANS = "medians"
    RECORD = "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A metric of one measurement, in the metric's unit, with what comparisons and the history need besides.

    ``low`` to ``high`` is a 95 % interval. ``count``: launches, or test inputs. ``p90``, ``mean`` and ``mad`` (median
    absolute deviation over launches) go to the history. ``launches``: one value per good launch, if stored.
    ``tainted``: no launch was good. ``tolerance``: the change that matters, where it is not the row's. ``unit``: that
    of ``value``, where the row has none. ``held``: what a relative tolerance refers to, if not to ``value``.
    ``definition``: what was read; readings of different definitions are not comparable. ``stand_in``: another value
    stands in for the metric, which can be compared with its like but is not shown or kept. ``correct_bits`` and
    ``scores``: one bit or score per input; ``replicates``: values for the draws of a bootstrap, where the value is no
    mean over inputs. ``scale`` names the scale of all three. ``clock_step``: the relative step of the clock that the
    launches were timed with, 0 if it is too fine to show.
    """

    value: float
    low: float | None = None
    high: float | None = None
    count: int = 1
    p90: float | None = None
    mean: float | None = None
    mad: float | None = None
    launches: tuple[float, ...] = ()
    tainted: bool = False
    held: float | None = None
    definition: str = ""
    stand_in: bool = False
    correct_bits: str = ""
    scores: tuple[float, ...] = ()
    replicates: tuple[float, ...] = ()
    scale: str = ""
    clock_step: float = 0.0
    tolerance: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumn:
    """One column of the CSV: its name, which ends in the unit, and its value, None where it was not measured."""

    name: str
    read: Callable[[Measurement], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """How the tables of the terminal and of the page show a metric.

    ``heading`` is for the terminal, ``title`` and ``hint`` for the page. ``keep``: in a narrow terminal the columns
    with the lowest number go first. ``under`` words the small line under a figure of the page, given the column's unit.
    ``named`` says which metric of the cell a value is, where cells may have different ones. An ``optional`` column is
    left out where no cell has a value; on the page it stays where ``absent`` says why cells have none.
    ``ratio_to_fp32``: that line is the ratio to the fp32 variant. ``calls_beside``:
    the spread and p90 of the calls follow in columns of their own.
    """

    heading: str
    title: str
    hint: str
    keep: int
    under: Callable[[Measurement, Unit], str] | None = None
    named: Callable[[Measurement], str] | None = None
    optional: bool = False
    absent: Callable[[Measurement], str] | None = None
    ratio_to_fp32: bool = False
    calls_beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. ``name`` is stored in results and histories and never changes.

    ``unit`` is that of stored values. ``relative_tolerance``, or ``absolute_tolerance`` in that unit, is the change
    that matters. ``read`` returns None where the metric was not measured; ``read_launch`` reads one launch from the
    reply of its runner, and is needed for the confirmations ``launches`` and ``medians``. ``least_launches``: fewer on
    a side say too little. ``same_unit``: values are comparable on one and the same device only, not on another
    of its model. ``same_data``: values are comparable on the same test data only. ``group``: conditions that
    touch this group of figures are marked beside the metric. ``json_key``: the key of ``show --json`` that holds the
    metric; without one it appears under ``metrics``. ``table`` is None for a metric that has no column in tables.
    """

    name: str
    label: str
    unit: str
    polarity: Polarity
    relative_tolerance: float
    absolute_tolerance: float = 0.0
    formatter: ValueFormatter
    read: Callable[[Measurement], Reading | None]
    comparison: ComparisonKind
    confirmation: ConfirmationKind
    read_launch: Callable[[RunReply], float | None] | None = None
    least_launches: int = 0
    same_unit: bool = False
    same_data: bool = False
    group: FigureGroup | None = None
    csv: tuple[CsvColumn, ...] = ()
    json_key: str | None = None
    table: TableColumn | None = None

    @property
    def exact(self) -> bool:
        """Whether the same artifact always gives the same value, so that one night is enough to see a change."""
        return self.confirmation is ConfirmationKind.RECORD

    @property
    def higher_is_better(self) -> bool:
        """Whether larger values are better."""
        return self.polarity is Polarity.HIGHER

    def tolerates(self, before: float, after: float) -> bool:
        """Return whether the difference is too small to matter."""
        return abs(after - before) <= max(self.absolute_tolerance, self.relative_tolerance * abs(before))

    def shown(self, measurement: Measurement | None) -> Reading | None:
        """Return what reports show and the history keeps: `read`, but never a stand-in."""
        reading = self.read(measurement) if measurement is not None else None
        return None if reading is None or reading.stand_in else reading
