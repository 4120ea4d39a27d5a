"""The nights of one series as a page: the chart with levels, changes and swaps, and every night in a table."""

from __future__ import annotations

from dataclasses import dataclass

from harness.history.story import Story
from harness.records import units
from harness.records.metrics import metric_named
from harness.report.charts.nights import nights_figure
from harness.report.formats.nights_text import TITLES, night_rows, summary_lines
from harness.report.pages import PageChart, PageTable, page

_CAPTION = (
    "A point is a night, with its 95 % interval; hollow points were tainted by a condition of that night alone. "
    "Lines are the level of each stretch. Vertical lines are changes and swaps: orange and green only where pairs "
    "confirmed them. A cross is a night on which the cell failed."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryParts:
    """What a page says about a series: a line below the title, sentences, the chart, and the table of nights."""

    lead: str
    answer: tuple[str, ...]
    charts: tuple[PageChart, ...]
    tables: tuple[PageTable, ...]


def story_parts(story: Story, *, most: int | None = None) -> StoryParts:
    """Return the parts of a page about ``story``, which may have no nights; ``most`` limits the rows of the table."""
    metric = metric_named(story.series.metric)
    lines = summary_lines(story) or ["No night has a value."]
    total = len(story.nights) + len(story.gaps)
    rows = night_rows(story, last=total if most is None else most)
    table = PageTable(
        heading="Every night" if len(rows) == total else f"The newest {len(rows)} nights",
        titles=[title or "what happened" for title in TITLES],
        # The newest first: that is what a reader looks for.
        rows=rows[::-1],
        texts=(0, 4, 5),
    )
    return StoryParts(
        lead=f"{metric.label}, {metric.polarity.value} · {units.nights(len(story.nights))}",
        answer=tuple(line[:1].upper() + line[1:] for line in lines),
        charts=(PageChart(name="nights", heading="Nights", caption=_CAPTION, draw=lambda: nights_figure(story)),),
        tables=(table,),
    )


def story_page(story: Story) -> str:
    """Return the story of a series as HTML; it may have no nights."""
    parts = story_parts(story)
    return page(title=story.series.name, lead=parts.lead, answer=parts.answer, charts=parts.charts, tables=parts.tables)
