"""The list of nights, and one night: what moved the most, what failed, and the page that the night wrote."""

from __future__ import annotations

from harness.dashboard.content import (
    NIGHT_FILE,
    ONE_NIGHT,
    ONE_SERIES,
    Content,
    Document,
    Place,
    Query,
    lines_below,
    link,
    name_in,
    page_in,
    parts_of,
)
from harness.dashboard.documents import night_file, stored_document
from harness.dashboard.pages.series import show_value
from harness.dashboard.site import Site
from harness.errors import SignatureError, UsageError
from harness.history.browse import BEFORE, Moved, NightLine, NightSummary, list_nights, night_summary
from harness.records import units
from harness.report.pages import PageTable, page_fragments

COMMIT_SHOWN = 12


def night_list(site: Site, query: Query) -> Content:
    """The nights of the history, the newest first."""
    shown = page_in(query)
    with site.history.reading() as history:
        lines, total = list_nights(history, shown)
    answer = [f"{units.nights(total)} in the history." if total else "The history has no nights yet."]
    fragments = page_fragments(about="nights", answer=answer, tables=[nights_table(lines, "Nights")])
    parts = [parts_of(Place.NIGHTS, shown, total)] if total else []
    return Content(place=Place.NIGHTS, title="Nights", lead="The newest first", fragments=[*fragments, *parts])


def nights_table(lines: tuple[NightLine, ...], heading: str) -> PageTable:
    """Return a table of nights with links to them."""
    rows = [
        (
            link(line.name, ONE_NIGHT, name=line.name),
            units.stamp(line.created_at),
            units.stamp(line.finished_at) if line.finished_at else "not finished",
            (line.commit or units.NONE)[:COMMIT_SHOWN],
        )
        for line in lines
    ]
    return PageTable(heading=heading, titles=("night", "started", "finished", "commit"), rows=rows, texts=(0, 1, 2, 3))


def one_night(site: Site, query: Query) -> Content:
    """A night: its values by status, what moved the most against the nights before, and what failed."""
    name = name_in(query, "night")
    with site.history.reading() as history:
        night = night_summary(history, name)
    table = PageTable(
        heading="What moved the most",
        titles=("series", "this night", "mean before", "range before", "nights", "change"),
        rows=[_moved_row(moved) for moved in night.moved],
        texts=(0,),
        words=f"Against the {BEFORE} nights before. This is an overview, not a verdict: "
        "a difference between two nights is often noise.",
    )
    fragments = page_fragments(about=name, answer=_answer(site, night), tables=[table])
    failed = [link(series, ONE_SERIES, name=series) for series in night.failed]
    more = [lines_below("Series that failed or were broken", failed)] if failed else []
    commit = f" · commit {night.line.commit[:COMMIT_SHOWN]}" if night.line.commit else ""
    return Content(
        place=Place.NIGHTS,
        title=f"Night {name}",
        lead=f"{units.stamp(night.line.created_at)}{commit}",
        fragments=[*fragments, *more],
    )


def night_document(site: Site, query: Query) -> Document:
    """The page that the nightly job wrote for this night, with its verdicts."""
    name = name_in(query, "night")
    path = night_file(site.results, name)
    if path is not None and site.trusted is not None:
        msg = f"the page of night {name!r} has no signature, and this dashboard shows only what is signed"
        raise SignatureError(msg)
    if path is None:
        msg = f"night {name!r} has no page in {str(site.results)!r}: the job keeps it in its own results folder"
        raise UsageError(msg)
    return stored_document(path, Place.NIGHTS)


def _answer(site: Site, night: NightSummary) -> list[str]:
    counts = ", ".join(f"{number} {status.value}" for status, number in night.statuses.items())
    answer = [f"{sum(night.statuses.values())} values{f': {counts}' if counts else ''}."]
    if site.trusted is None and night_file(site.results, night.line.name) is not None:
        answer.append(link("The verdicts of this night", NIGHT_FILE, name=night.line.name))
    return answer


def _moved_row(moved: Moved) -> tuple[str, ...]:
    change = units.NONE if not moved.mean else f"{100 * (moved.value / moved.mean - 1):+.1f} %"
    low, mean, high = (
        units.NONE if value is None else show_value(moved.metric, moved.unit, value)
        for value in (moved.low, moved.mean, moved.high)
    )
    value = show_value(moved.metric, moved.unit, moved.value)
    span = units.NONE if moved.low is None else f"{low} to {high}"
    return link(moved.series, ONE_SERIES, name=moved.series), value, mean, span, str(moved.nights), change
