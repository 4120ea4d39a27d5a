"""The JSON of Google Benchmark: repetitions of each benchmark and their aggregates, each with its unit.

A repetition is the mean of many iterations, so repetitions are launches and no samples.
"""

from __future__ import annotations

from typing import Any

from harness.errors import UsageError
from harness.exchange.content import Content
from harness.exchange.definitions import MEAN_OF_REPETITIONS
from harness.exchange.fields import MS, SECOND, US, clean, count, mapping, number, objects, scaled, settings, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures
from harness.records.origin import StatedFigure, StatedName

NEWEST = 1
_UNITS = {"ns": 1, "us": US, "ms": MS, "s": SECOND}

_AGGREGATES = ("mean", "median", "stddev", "cv", "BigO", "RMS")

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the file has a context and rows with both times."""
    rows = objects(content.object.get("benchmarks"))
    return (
        "context" in content.object
        and bool(rows)
        and all(
            "real_time" in row or "error_occurred" in row or "skipped" in row or "rms" in row or "big_o" in row
            for row in rows
        )
    )


def read(content: Content) -> ImportedFile:
    """Return one cell per repetition, or per benchmark from its median where only aggregates were written."""
    document = content.object
    context = mapping(document["context"])
    version = number(context.get("json_schema_version"))
    if version is not None and version > NEWEST:
        msg = (
            f"{content.name!r} has schema {version:g} of Google Benchmark, and this phonebench reads up to {NEWEST}: "
            "use a newer phonebench"
        )
        raise UsageError(msg)
    grouped: dict[str, list[Entry]] = {}
    for row in map(_with_type, objects(document["benchmarks"])):
        grouped.setdefault(word(row.get("run_name")) or word(row.get("name")), []).append(row)
    return ImportedFile(cells=tuple(cell for name, rows in grouped.items() for cell in _cells(context, name, rows)))


def _with_type(row: Entry) -> Entry:
    """The row with its type and aggregate, which versions before 1.5 put at the end of the name alone."""
    base, _, end = word(row.get("name")).rpartition("_")
    if "run_type" in row or end not in _AGGREGATES:
        return row
    return {**row, "run_name": base, "run_type": "aggregate", "aggregate_name": end}


def _cells(context: Entry, name: str, rows: list[Entry]) -> list[ImportedCell]:
    repetitions = [row for row in rows if word(row.get("run_type")) in ("", "iteration")]
    if repetitions:
        return [_cell(context, name, row, row) for row in repetitions]
    middle = next((row for row in rows if word(row.get("aggregate_name")) == "median"), None)
    mean = next((row for row in rows if word(row.get("aggregate_name")) == "mean"), {})
    chosen = middle or mean
    return [_cell(context, name, chosen, mean, is_median=middle is not None)] if chosen else []


def _cell(context: Entry, name: str, row: Entry, mean: Entry, *, is_median: bool = True) -> ImportedCell:
    time, mean_time = _time(row), _time(mean)
    failed = row.get("error_occurred") is True or bool(row.get("skipped"))
    words = word(row.get("error_message")) or word(row.get("skip_message")) or "the program gives no reason"
    figures = None
    if time is not None and is_median and not failed:
        figures = LatencyFigures(median_ns=time, mean_ns=mean_time)
    mean_only = StatedFigure(name=StatedName.LATENCY, value=time or 0.0, definition=MEAN_OF_REPETITIONS)
    rate = scaled(row.get("items_per_second"), 1)
    rates = (StatedFigure(name=StatedName.THROUGHPUT, value=rate, definition="items per second"),) if rate else ()
    return ImportedCell(
        model=clean(name) or "unknown",
        threads=count(row.get("threads")),
        device=_device(context),
        program="Google Benchmark",
        program_version=word(context.get("library_version")),
        settings=settings(
            {
                "library build": context.get("library_build_type"),
                "CPU scaling": context.get("cpu_scaling_enabled"),
                "label": row.get("label"),
            }
        ),
        started_at=word(context.get("date")),
        latency=figures,
        stated=() if failed else (*rates, *(() if is_median or not time else (mean_only,))),
        failure=words if failed else "",
    )


def _time(row: Entry) -> float | None:
    """The time of a row in ns, None in a unit that the program does not have. Its first versions wrote no unit."""
    unit = _UNITS.get(word(row.get("time_unit", "ns")))
    return scaled(row.get("real_time"), unit) if unit else None


def _device(context: Entry) -> ImportedDevice:
    return ImportedDevice(model=word(context.get("host_name")), cores=count(context.get("num_cpus")))
