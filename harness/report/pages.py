"""Pages that are not of one run: runs side by side, an A/B session, and the nights of a series.

Each is a heading, sentences, charts and tables in the house of all pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.charts.charts import Chart
from harness.report.charts.figure import svg_of
from harness.report.charts.inline import inline_svg
from harness.report.house import render_house
from harness.report.sections.section import Fragment
from harness.stats.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ANSWER = """\
<section aria-label="Result"><div class="card advice result">
  <p class="headline">{{ headline }}</p>
  {% for sentence in sentences %}<p>{{ sentence }}</p>{% endfor %}
</div></section>
"""
_CHART = """\
<h2>{{ heading }}</h2>
<figure id="{{ name }}">
  <div class="chart" tabindex="0" role="region" aria-label="Chart: {{ heading }}">{{ svg }}</div>
  <figcaption>{{ caption }}</figcaption>
</figure>
"""
_TABLE = """\
<h2>{{ heading }}</h2>
{% if words %}<p class="muted">{{ words }}</p>{% endif %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ heading }}"><table>
<thead><tr>{% for title in titles %}
  <th scope="col" class="{{ "word" if loop.index0 in texts else "" }}">{{ title }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}
<tr>{% for text in row %}{% set word = loop.index0 in texts %}
<td class="{{ "word" if word else "" }}{{ " wrap" if word and loop.index0 < 2 else "" }}{{ " last" if loop.last }}">
  {%- if text in verdicts %}<span class="badge {{ verdicts[text] }}">{{ text }}</span>{% else %}{{ text }}{% endif -%}
</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% if more %}<p class="muted">{{ more }} more rows are in <code>--json</code>.</p>{% endif %}
"""
# How verdicts stand out in a table.
_BADGES = {
    Verdict.REGRESSED.value: "failed",
    Verdict.IMPROVED.value: "ship",
    Verdict.EQUIVALENT.value: "",
    Verdict.UNDECIDED.value: "pending",
    Verdict.NOT_COMPARABLE.value: "",
}
# More rows would make the page slow.
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table of a page; the columns whose numbers are in ``texts`` are left-aligned."""

    heading: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: tuple[int, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageChart:
    """A chart of a page: ``draw`` returns None if there is nothing to draw."""

    name: str
    heading: str
    caption: str
    draw: Callable[[], Figure | None]


def page(
    *,
    title: str,
    lead: str,
    answer: Sequence[str],
    charts: Sequence[PageChart] = (),
    tables: Sequence[PageTable] = (),
) -> str:
    """Return a page of the house as HTML. The first sentence of ``answer`` is its headline."""
    fragments = page_fragments(about=title, answer=answer, charts=charts, tables=tables)
    return render_house({"title": title, "lead": lead, "state": ""}, fragments)


def page_fragments(
    *,
    about: str,
    answer: Sequence[str],
    charts: Sequence[PageChart] = (),
    tables: Sequence[PageTable] = (),
) -> list[Fragment]:
    """Return what `page` places below its heading; ``about`` is what its charts show, for screen readers."""
    headline, *sentences = answer
    fragments = [Fragment(template=_ANSWER, values={"headline": headline, "sentences": sentences})]
    for chart in charts:
        figure = chart.draw()
        if figure is not None:
            fragments.append(_chart(chart, svg_of(figure), about))
    return fragments + [_table(table) for table in tables if table.rows]


def _chart(chart: PageChart, svg: str, about: str) -> Fragment:
    inline = inline_svg(Chart(name=chart.name, about=about, heading=chart.heading, caption=chart.caption, svg=svg))
    values = {"name": chart.name, "heading": chart.heading, "caption": chart.caption, "svg": inline}
    return Fragment(template=_CHART, values=values)


def _table(table: PageTable) -> Fragment:
    values: dict[str, Any] = {
        "heading": table.heading,
        "titles": table.titles,
        "rows": table.rows[:MOST_ROWS],
        "texts": table.texts,
        "words": table.words,
        "verdicts": _BADGES,
        "more": len(table.rows[MOST_ROWS:]),
    }
    return Fragment(template=_TABLE, values=values)
