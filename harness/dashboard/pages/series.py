"""The list of series, and the nights of one with their chart."""

from __future__ import annotations

from harness.dashboard.content import (
    ONE_SERIES,
    Content,
    Place,
    Query,
    link,
    name_in,
    page_in,
    parts_of,
    search_field,
)
from harness.dashboard.site import Site
from harness.errors import UsageError
from harness.history.browse import SeriesLine, find_lines
from harness.history.queries import decisions_of, nights_of, series_named
from harness.history.story import tell
from harness.records import units
from harness.records.metrics import METRICS
from harness.records.units import PlainFormatter
from harness.report.nights_page import story_parts
from harness.report.pages import PageTable, page_fragments

# A page of more nights would take longer than a reader waits; `phonebench history show` draws all of them.
MOST_NIGHTS = 370
ROWS = 100


def series_list(site: Site, query: Query) -> Content:
    """The series whose names contain the words of the query, each with its newest value."""
    words, shown = query.get("find", ""), page_in(query)
    with site.history.reading() as history:
        lines, total = find_lines(history, words.replace("\0", " "), shown)
    found = f"{total} series" if not words else f"{total} series with {words!r} in the name"
    answer = [f"{found}."] if total else [f"No series has {words!r} in its name." if words else "There are no series."]
    table = PageTable(
        heading="Series",
        titles=("series", "newest value", "95 % interval", "night", "nights"),
        rows=[_row(line) for line in lines],
        texts=(0,),
    )
    fragments = page_fragments(about="series", answer=answer, tables=[table])
    parts = parts_of(Place.SERIES, shown, total, find=words)
    return Content(
        place=Place.SERIES,
        title="Series",
        lead="One metric of one cell, night after night",
        fragments=[search_field(Place.SERIES, words), *fragments, *([parts] if total else [])],
    )


def one_series(site: Site, query: Query) -> Content:
    """The newest nights of a series: levels, changes, swaps, and every value."""
    name = name_in(query, "series")
    with site.history.reading() as history:
        series = series_named(history, name)
        if series is None:
            msg = f"the history has no series {name!r}"
            raise UsageError(msg)
        nights = nights_of(history, name, last=MOST_NIGHTS)
        decisions = decisions_of(history, name)
    parts = story_parts(tell(series, nights, decisions), most=ROWS)
    return Content(
        place=Place.SERIES,
        title=name,
        lead=parts.lead,
        fragments=page_fragments(about=name, answer=parts.answer, charts=parts.charts, tables=parts.tables),
    )


def show_value(metric: str, unit: str, value: float | None) -> str:
    """Return a value in words. For a metric that a later version added, it is a plain number with its unit."""
    row = METRICS.get(metric)
    return (PlainFormatter(name=unit) if row is None else row.formatter).text(value)


def _row(line: SeriesLine) -> tuple[str, ...]:
    interval = units.NONE
    if line.low is not None and line.high is not None:
        ends = (show_value(line.metric, line.unit, end) for end in (line.low, line.high))
        interval = " to ".join(ends)
    value = units.NONE if line.value is None else show_value(line.metric, line.unit, line.value)
    return (link(line.name, ONE_SERIES, name=line.name), value, interval, line.night or units.NONE, str(line.nights))
