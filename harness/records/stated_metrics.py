"""The metrics that only imported results have, one row each.

Some programs report a mean and no median, a rate, or the speed of a language model. Such a figure never stands in for
one of ours: it has a row of its own, and tables show its column only if a cell has it.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.records.conditions import FigureGroup
from harness.records.measurement import Measurement
from harness.records.metric import ComparisonKind, ConfirmationKind, CsvColumn, Metric, Polarity, Reading, TableColumn
from harness.records.origin import StatedFigure, StatedName
from harness.records.units import PlainFormatter, ShareFormatter, TimeFormatter, Unit, ValueFormatter

_ENDS = {"ns": "_ns", "1/s": "_per_s", "1": ""}


def _stated(name: StatedName) -> Callable[[Measurement], Reading | None]:
    def read(measurement: Measurement) -> Reading | None:
        figure = stated_figure(measurement, name)
        if figure is None:
            return None
        launches = figure.launches or (figure.value,)
        return Reading(value=figure.value, count=len(launches), launches=launches, definition=figure.definition)

    return read


def stated_figure(measurement: Measurement | None, name: StatedName) -> StatedFigure | None:
    """Return the figure of that name, or None if the file did not state it, or the cell was not measured."""
    return next((figure for figure in measurement.stated if figure.name is name), None) if measurement else None


def _row(name: StatedName, label: str, unit: str, formatter: ValueFormatter, *, hint: str) -> Metric:
    read = _stated(name)
    lower, share = unit == "ns", unit == "1"

    def under(measurement: Measurement, _: Unit) -> str:
        # The other rows are what their name says.
        figure = stated_figure(measurement, name) if name is StatedName.LATENCY else None
        return figure.definition if figure else ""

    def value(measurement: Measurement) -> object:
        reading = read(measurement)
        return reading.value if reading else None

    return Metric(
        name=name.value,
        label=label,
        unit=unit,
        polarity=Polarity.LOWER if lower else Polarity.HIGHER,
        relative_tolerance=0.0 if share else 0.03,
        absolute_tolerance=0.01 if share else 0.0,
        formatter=formatter,
        read=read,
        comparison=ComparisonKind.TOLERANCE,
        # No device of ours can be asked again: the record is all there is.
        confirmation=ConfirmationKind.RECORD,
        least_launches=3,
        same_data=share,
        group=FigureGroup.ACCURACY if share else FigureGroup.LATENCY,
        csv=(CsvColumn(name=f"{name.value}{_ENDS[unit]}", read=value),),
        json_key="stated",
        table=TableColumn(
            heading=label,
            title=label,
            hint=hint,
            keep=95 if name is StatedName.LATENCY else 93,
            under=under,
            optional=True,
        ),
    )


ROWS: tuple[Metric, ...] = (
    _row(
        StatedName.LATENCY,
        "stated latency",
        "ns",
        TimeFormatter(),
        hint="of a program that states no median; what it is instead stands below",
    ),
    _row(StatedName.P90, "stated p90", "ns", TimeFormatter(), hint="90th percentile, as stated"),
    _row(StatedName.THROUGHPUT, "per second", "1/s", PlainFormatter(), hint="calls or samples per second, as stated"),
    _row(StatedName.PREFILL, "prefill/s", "1/s", PlainFormatter(), hint="tokens of the prompt per second, as stated"),
    _row(StatedName.DECODE, "decode/s", "1/s", PlainFormatter(), hint="tokens generated per second, as stated"),
    _row(StatedName.FIRST_TOKEN, "first token", "ns", TimeFormatter(), hint="from the prompt to the first token"),
    _row(StatedName.ACCURACY, "stated accuracy", "1", ShareFormatter(), hint="of a program that counts no answers"),
)
