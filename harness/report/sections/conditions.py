"""The footnotes: each condition of the run once, with the letter that stands beside the figures it touches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.report.sections.section import Fragment, Line, Report, Tone

_PAGE = """\
<h2>Conditions</h2>
<p class="muted">A condition makes a figure less trustworthy. Its letter stands beside each figure that it touches,
  or in the heading where it touches the whole column.</p>
<ul class="notes">
{% for note in notes %}
  <li id="note-{{ note.letter }}"><span class="mark">{{ note.letter }}</span> <strong>{{ note.id.value }}</strong>
    <span class="muted">({{ note.cells }} of {{ cell_count }} cells)</span>
    {{ note.summaries | join("; ") }}. <span class="muted">{{ note.meaning }}</span></li>
{% endfor %}
</ul>
"""


def lines(report: Report) -> Iterator[Line]:
    """Yield one line per condition: what the cells say of it. The page adds what it means."""
    for note in report.footnotes:
        yield Line(text=f"{note.letter}  {note.id.value}: {'; '.join(note.summaries)}", tone=Tone.WARNING)


def html(report: Report) -> Fragment | None:
    """Return the footnotes, which the letters in the table link to."""
    if not report.footnotes:
        return None
    return Fragment(template=_PAGE, values={"notes": report.footnotes, "cell_count": len(report.views)})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its conditions."""
    return {}
