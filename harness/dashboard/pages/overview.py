"""The first page: the newest nights, what was decided about them, and the newest runs."""

from __future__ import annotations

from harness.dashboard.content import ONE_NIGHT, ONE_SERIES, Content, Place, Query, link
from harness.dashboard.pages.nights import nights_table
from harness.dashboard.pages.runs import newest_runs, runs_table
from harness.dashboard.site import Site
from harness.errors import StoreError
from harness.history.browse import NightLine, Page, Sums, list_nights, newest_decisions, sums
from harness.history.records import Decided
from harness.records import units
from harness.report.pages import PageTable, page_fragments
from harness.store.reader import list_runs

FEW = Page(size=7)
DECISIONS = 20


def overview(site: Site, query: Query) -> Content:  # noqa: ARG001  every page is called alike
    """What happened lately. Without a history it says so, and still shows the runs."""
    tables: list[PageTable] = []
    try:
        with site.history.reading() as history:
            total, (nights, _), decided = (
                sums(history),
                list_nights(history, FEW),
                newest_decisions(history, most=DECISIONS),
            )
        answer = _answer(total, nights)
        tables += [_decisions(decided), nights_table(nights, "Newest nights")]
    except StoreError as error:
        answer = ["The history cannot be read.", f"{error}."]
    if site.trusted is not None:
        answer.append(f"Only runs signed by {site.trusted} are shown. The history and the nights have no signatures.")
    names = list_runs(site.results)[::-1][: FEW.size]
    tables.append(runs_table(newest_runs(site, names), "Newest runs"))
    return Content(
        place=Place.OVERVIEW,
        title="phonebench",
        lead=f"Results in {site.results}",
        fragments=page_fragments(about="overview", answer=answer, tables=tables),
    )


def _answer(total: Sums, nights: tuple[NightLine, ...]) -> list[str]:
    if not nights:
        return ["The history has no nights yet."]
    newest = nights[0]
    return [
        f"The newest night is {newest.night}{'' if newest.finished_at else ', which is not finished'}.",
        f"{total.series} series of {total.devices} devices over {units.nights(total.nights)}.",
    ]


def _decisions(decided: tuple[Decided, ...]) -> PageTable:
    rows = [
        (
            link(one.series, ONE_SERIES, name=one.series),
            one.decision.value,
            units.NONE if one.ratio is None else f"{100 * (one.ratio - 1):+.1f} %",
            _interval(one),
            link(one.seen_run, ONE_NIGHT, name=one.seen_run),
        )
        for one in decided
    ]
    return PageTable(
        heading="What pairs decided",
        titles=("series", "decision", "change", "95 % interval", "night"),
        rows=rows,
        texts=(0, 1, 4),
        words="Suspected changes that were measured again side by side, the newest first.",
    )


def _interval(one: Decided) -> str:
    if one.low is None or one.high is None:
        return units.NONE
    return f"{100 * (one.low - 1):+.1f} to {100 * (one.high - 1):+.1f} %"
