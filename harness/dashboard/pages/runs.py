"""The stored runs, and the report of one."""

from __future__ import annotations

from collections.abc import Sequence

from harness.dashboard.content import ONE_RUN, Content, Document, Place, Query, link, name_in, page_in, parts_of
from harness.dashboard.documents import run_document
from harness.dashboard.site import Site
from harness.report.formats.run_list import TITLES, list_rows
from harness.report.pages import PageTable, page_fragments
from harness.store.listing import ListedRun
from harness.store.reader import list_runs
from harness.store.signed import listed_signed_run


def run_list(site: Site, query: Query) -> Content:
    """The runs in the results folder, the newest first."""
    shown = page_in(query)
    names = list_runs(site.results)[::-1]
    runs = newest_runs(site, names[shown.first : shown.first + shown.size])
    answer = [f"{len(names)} runs in {site.results}." if names else f"There are no runs in {site.results} yet."]
    fragments = page_fragments(about="runs", answer=answer, tables=[runs_table(runs, "Runs")])
    parts = [parts_of(Place.RUNS, shown, len(names))] if names else []
    return Content(place=Place.RUNS, title="Runs", lead="The newest first", fragments=[*fragments, *parts])


def newest_runs(site: Site, names: Sequence[str]) -> list[ListedRun]:
    """Return what a list says of each run; of one without the required signature, only that it has none."""
    return [listed_signed_run(site.results / name, site.trusted) for name in names]


def runs_table(runs: list[ListedRun], heading: str) -> PageTable:
    """Return a table of runs with links to their reports; a run that is damaged or not signed has none."""
    rows = [
        (row[0] if run.created_at is None else link(run.id, ONE_RUN, name=run.id), *row[1:])
        for run, row in zip(runs, list_rows(runs), strict=True)
    ]
    return PageTable(heading=heading, titles=TITLES, rows=rows, texts=tuple(range(len(TITLES))))


def one_run(site: Site, query: Query) -> Document:
    """The report of a run."""
    return run_document(site.results, name_in(query, "run"), trusted=site.trusted)
