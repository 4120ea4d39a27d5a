"""The metrics of language models, one row each; only cells of language models have them."""

from __future__ import annotations

from collections.abc import Callable

from harness.records.conditions import FigureGroup
from harness.records.generation import (
    GenerationFigure,
    GenerationSummary,
    decode_of_launch,
    prefill_of_launch,
    ttft_of_launch,
)
from harness.records.measurement import Measurement
from harness.records.metric import ComparisonKind, ConfirmationKind, CsvColumn, Metric, Polarity, Reading, TableColumn
from harness.records.units import PlainFormatter, TimeFormatter, Unit
from harness.wire import RunReply

_Read = Callable[[GenerationSummary], GenerationFigure | None]


def _figure(measurement: Measurement, read: _Read) -> GenerationFigure | None:
    return None if measurement.generation is None else read(measurement.generation)


def _of_generation(field: str) -> CsvColumn:
    def read(measurement: Measurement) -> object:
        return getattr(measurement.generation, field, None)

    return CsvColumn(name=field, read=read)


# In front of the first figure, which means nothing without them.
_LENGTHS = tuple(map(_of_generation, ("prompt_tokens", "new_tokens", "kv_cache_bytes")))


def _row(name: str, label: str, read: _Read, read_launch: Callable[[RunReply], float | None], *, hint: str) -> Metric:
    is_time = name == "ttft"
    end = "_ns" if is_time else "_per_s"

    def reading(measurement: Measurement) -> Reading | None:
        figure = _figure(measurement, read)
        if figure is None:
            return None
        return Reading(
            value=figure.value,
            low=figure.low,
            high=figure.high,
            count=len(figure.launches),
            launches=figure.launches,
            definition=figure.definition,
        )

    def interval(measurement: Measurement, unit: Unit) -> str:
        figure = _figure(measurement, read)
        if figure is None or figure.low is None:
            return ""
        return f"{unit.show(figure.low)}–{unit.show(figure.high)}"

    def field(key: str) -> Callable[[Measurement], object]:
        return lambda measurement: getattr(_figure(measurement, read), key, None)

    return Metric(
        name=name,
        label=label,
        unit="ns" if is_time else "1/s",
        polarity=Polarity.LOWER if is_time else Polarity.HIGHER,
        relative_tolerance=0.03,
        formatter=TimeFormatter() if is_time else PlainFormatter(),
        read=reading,
        read_launch=read_launch,
        comparison=ComparisonKind.LAUNCHES,
        confirmation=ConfirmationKind.LAUNCHES,
        group=FigureGroup.LATENCY,
        csv=(
            *(_LENGTHS if is_time else ()),
            CsvColumn(name=f"{name}{end}", read=field("value")),
            CsvColumn(name=f"{name}_low{end}", read=field("low")),
            CsvColumn(name=f"{name}_high{end}", read=field("high")),
        ),
        # All three are in one key, the definitions beside them.
        json_key=f"generation.{name}",
        table=TableColumn(heading=label, title=label, hint=hint, keep=97, under=interval, optional=True),
    )


TTFT = _row(
    "ttft",
    "first token",
    lambda generation: generation.ttft,
    ttft_of_launch,
    hint="time from the prompt's tokens to the first new token; its 95 % interval over launches",
)
PREFILL = _row(
    "prefill",
    "prefill tok/s",
    lambda generation: generation.prefill,
    prefill_of_launch,
    hint="tokens of the prompt / the time until it was evaluated; its 95 % interval over launches",
)
DECODE = _row(
    "decode",
    "decode tok/s",
    lambda generation: generation.decode,
    decode_of_launch,
    hint="(new tokens - 1) / the time from the first to the last; its 95 % interval over launches",
)

ROWS: tuple[Metric, ...] = (TTFT, PREFILL, DECODE)
