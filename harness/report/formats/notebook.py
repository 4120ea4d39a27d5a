"""A run as the output of a notebook cell: what the terminal shows, as HTML, and the charts.

No script and no style sheet, because notebooks remove both from outputs that are not trusted.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Block, Grid, Section, Tone, report_of
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from harness.report.charts.charts import Chart

# Colours that are readable on the light and the dark background of notebooks.
_STYLES = {
    Tone.STRONG: "font-weight: bold",
    Tone.GOOD: "font-weight: bold; color: #1a8754",
    Tone.BAD: "color: #d1434b",
    Tone.WARNING: "color: #b07c10",
    Tone.ASIDE: "color: #2f86b7",
    Tone.QUIET: "opacity: 0.7",
}

_OUTPUT = """\
<div class="phonebench">
{% for block in blocks %}
{% if block.columns %}
<table>
<thead><tr>
{% for column in block.columns %}<th style="text-align: {{ "left" if column.text else "right" }}">\
{{ column.title | replace("\n", " ") }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for dimmed in block.dimmed %}{% set row = loop.index0 %}
<tr{% if dimmed %} style="opacity: 0.6"{% endif %}>
{% for column in block.columns %}<td style="text-align: {{ "left" if column.text else "right" }}; white-space: nowrap">\
{{ column.values[row] }}</td>{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
{% elif block.text.strip() %}
<p style="margin: 0.2em 0; {{ styles.get(block.tone, "") }}">{{ block.text }}</p>
{% endif %}
{% endfor %}
{% if drawn %}
<details open><summary>Charts</summary>
{% for chart in drawn %}
<figure style="margin: 1em 0">
<img alt="{{ chart.heading }} of {{ chart.about }}. {{ chart.caption }}" style="max-width: 100%; background: white" \
src="data:image/svg+xml;base64,{{ chart.data }}">
<figcaption><b>{{ chart.heading }}</b> ({{ chart.about }}). {{ chart.caption }}</figcaption>
</figure>
{% endfor %}
</details>
{% endif %}
</div>
"""


def notebook_html(run: RunRecord, drawn: Sequence[Chart] = (), sections: tuple[Section, ...] = SECTIONS) -> str:
    """Return ``run`` as a fragment of HTML: the answer first, then the table, notes and the charts ``drawn``."""
    import jinja2

    report = report_of(run)
    blocks: list[Block] = [block for section in sections for block in section.lines(report)]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # An SVG in the page would share its ids with the other charts, so each is an image of its own.
    pictures = [{"heading": c.heading, "about": c.about, "caption": c.caption, "data": _encoded(c.svg)} for c in drawn]
    shown = [_shown(block) for block in blocks]
    return environment.from_string(_OUTPUT).render(blocks=shown, drawn=pictures, styles=_STYLES)


def _shown(block: Block) -> dict[str, object]:
    if isinstance(block, Grid):
        return {"columns": block.columns, "dimmed": block.dimmed}
    return {"columns": (), "text": block.text, "tone": block.tone}


def _encoded(svg: str) -> str:
    return base64.b64encode(svg.encode()).decode()
