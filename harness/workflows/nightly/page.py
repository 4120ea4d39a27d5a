"""A night as a page: the common shifts, what moved, and every series that needs attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.records import units
from harness.records.metrics import LATENCY
from harness.report.charts.forest import ForestRow, forest
from harness.report.charts.panels import Panel, panels
from harness.report.pages import PageChart, PageTable, page
from harness.stats.verdicts import Verdict
from harness.workflows.nightly.device_words import USAGE_TITLES, USAGE_WORDS, device_lines, usage_rows
from harness.workflows.nightly.files import describe, describe_cause, show_value
from harness.workflows.nightly.record import NightRecord, SeriesNight, State

PAGE_FILE = "night.html"
_CAPTION = (
    "Tonight's latency against the level of the nights before. An interval is that of the pairs that compared the "
    "files side by side; a change without one was not compared. Colour is only for what such pairs decided."
)
_PAST_CAPTION = (
    "One small chart per series, the worst first and 24 at most: regressions, then suspicions, then improvements. The "
    "diamond is tonight, and nights are counted back from it. The neutral line is the level before, the coloured line "
    "the median since the level changed: orange for a confirmed regression, green for an improvement, blue for what is "
    "only suspected. What all names have at their end is left out."
)
_VERDICTS = {State.REGRESSION: Verdict.REGRESSED, State.IMPROVEMENT: Verdict.IMPROVED}


def night_page(record: NightRecord, changed: Sequence[Panel] = ()) -> str:
    """Return the night as HTML; it may have no series yet. ``changed``: series that changed or are suspected."""
    series = record.series or ()
    count = Counter(night.state for night in series)
    states = ", ".join(_counted(state, count[state]) for state in State if count[state]) or "no series"
    bad = count[State.REGRESSION]
    headline = f"{bad} confirmed regression{'s' if bad > 1 else ''}" if bad else "No regression is confirmed"
    chart = PageChart(
        name="changes",
        heading="Latency tonight",
        caption=_CAPTION,
        draw=lambda: forest([_row(n) for n in series if _is_drawn(n)], label="latency against the level before"),
    )
    past = PageChart(
        name="nights",
        heading="What changed or is suspected, night by night",
        caption=_PAST_CAPTION,
        draw=lambda: panels(changed),
    )
    rows = [
        (_word(n.state), n.series, show_value(n.value, n.metric), show_value(n.level, n.metric), describe(n))
        for n in sorted(series, key=lambda n: list(State).index(n.state))
    ]
    return page(
        title=f"Night {record.id}",
        lead=f"{units.stamp(record.created_at)}{f' · commit {record.commit[:12]}' if record.commit else ''}",
        answer=[
            f"{headline}.",
            f"{len(series)} series: {states}.",
            *map(describe_cause, record.causes),
            *device_lines(record),
        ],
        charts=[chart, past],
        tables=[
            PageTable(
                heading="Series",
                titles=("state", "series", "tonight", "level before", "what is known"),
                rows=rows,
                texts=(0, 1, 4),
            ),
            PageTable(
                heading="Devices",
                titles=USAGE_TITLES,
                rows=usage_rows(record.usage),
                texts=(0,),
                words=USAGE_WORDS,
            ),
        ],
    )


def _word(state: State) -> str:
    return "no change" if state is State.NONE else state.value


def _counted(state: State, count: int) -> str:
    nouns = (State.REGRESSION, State.IMPROVEMENT)
    return f"{count} {_word(state)}{'s' if state in nouns and count > 1 else ''}"


def _is_drawn(night: SeriesNight) -> bool:
    return night.metric == LATENCY.name and bool(night.value) and bool(night.level)


def _row(night: SeriesNight) -> ForestRow:
    assert night.value is not None
    assert night.level
    confirmed = night.confirmation
    compared = confirmed is not None and confirmed.ratio is not None
    return ForestRow(
        name=night.cell,
        change=(confirmed.ratio if confirmed and confirmed.ratio is not None else night.value / night.level) - 1,
        low=confirmed.low - 1 if compared and confirmed and confirmed.low is not None else None,
        high=confirmed.high - 1 if compared and confirmed and confirmed.high is not None else None,
        margin=LATENCY.relative_tolerance,
        verdict=_VERDICTS.get(night.state, Verdict.UNDECIDED),
    )
