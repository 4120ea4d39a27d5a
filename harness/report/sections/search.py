"""The result of a search: what to ship, how the drop was judged, and the front.

The words are made by `harness.report.search_words`, which is loaded for a search alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.report.sections.section import Fragment, Line, Report, Tone

_PAGE = """\
<section aria-label="Search result">
<div class="card advice">
  <h2 class="small">Search result</h2>
  <p class="headline">{{ headline }}</p>
  <ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
  {% if rows %}
  <div class="scroll front" tabindex="0" role="region" aria-label="Points of the search"><table>
    <thead><tr>
    {% for title in titles %}
      <th class="{{ "word" if loop.index0 in word_columns else "" }}" scope="col">{{ title }}</th>
    {% endfor %}
    </tr></thead>
    <tbody>
    {% for row in rows %}
      <tr>
      {% for text in row %}
        <td class="{{ "word" if loop.index0 in word_columns else "" }}">{{ text }}</td>
      {% endfor %}
      </tr>
    {% endfor %}
    </tbody>
  </table></div>
  {% endif %}
</div>
</section>
"""


def lines(report: Report) -> Iterator[Line]:
    """Yield what to ship and its limits."""
    if report.head.goal is None:
        return
    from harness.report.search_words import findings_of, headline, notes

    findings = findings_of(report.run)
    if findings is not None:
        yield Line(text=headline(findings), tone=Tone.GOOD if findings.ship else Tone.STRONG)
        yield from (Line(text=f"  {note}", tone=Tone.QUIET) for note in notes(findings))


def html(report: Report) -> Fragment | None:
    """Return the box on top of the page of a search, with the front."""
    if report.head.goal is None:
        return None
    from harness.report.search_words import TITLES, WORD_COLUMNS, findings_of, front_rows, headline, notes

    findings = findings_of(report.run)
    if findings is None:
        return None
    values = {"headline": headline(findings), "notes": notes(findings), "titles": TITLES, "rows": front_rows(findings)}
    return Fragment(template=_PAGE, values=values | {"word_columns": WORD_COLUMNS})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: ``phonebench search --json`` prints `harness.report.search_words.search_json`."""
    return {}
