"""The nights of one series as a page: the chart with levels, changes and swaps, and every night in a table."""

from __future__ import annotations

from harness.history.story import Story
from harness.records import units
from harness.records.metrics import metric_named
from harness.report.charts.nights import nights_figure
from harness.report.formats.nights_text import TITLES, night_rows, summary_lines
from harness.report.pages import PageChart, PageTable, page

_CAPTION = (
    "A point is a night, with its 95 % interval; hollow points were tainted by a condition of that night alone. "
    "Lines are the level of each stretch. Vertical lines are changes and swaps: red and green only where pairs "
    "confirmed them. A cross is a night on which the cell failed."
)


def story_page(story: Story) -> str:
    """Return the story of a series as HTML; it may have no nights."""
    metric = metric_named(story.series.metric)
    lines = summary_lines(story) or ["No night has a value."]
    chart = PageChart(name="nights", heading="Nights", caption=_CAPTION, draw=lambda: nights_figure(story))
    rows = night_rows(story, last=len(story.nights) + len(story.gaps))
    table = PageTable(
        heading="Every night",
        titles=[title or "what happened" for title in TITLES],
        # The newest first: that is what a reader looks for.
        rows=rows[::-1],
        texts=(0, 4, 5),
    )
    return page(
        title=story.series.name,
        lead=f"{metric.label}, {metric.polarity.value} · {units.nights(len(story.nights))}",
        answer=[line[:1].upper() + line[1:] for line in lines],
        charts=[chart],
        tables=[table],
    )
