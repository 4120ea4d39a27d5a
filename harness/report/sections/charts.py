"""The charts of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.report.sections.section import Block, Fragment, Report

if TYPE_CHECKING:
    from markupsafe import Markup

    from harness.report.charts.charts import Chart

_PAGE = """\
{% for about, drawn in groups.items() %}
{% set fold = about and several > few %}
{% if fold %}
<details class="charts"><summary>Charts of {{ about }}</summary>
{% elif loop.first or several > 1 %}
<h2>Charts{% if about and several > 1 %}: {{ about }}{% endif %}</h2>
{% endif %}
{% for chart, svg in drawn %}
<figure id="{{ chart.name }}">
  {% if chart.folded %}
  <details><summary>{{ chart.heading }}</summary>
  {% else %}
  <h3>{{ chart.heading }}</h3>
  {% endif %}
  <div class="chart" tabindex="0" role="region" aria-label="Chart: {{ chart.heading }}">{{ svg }}</div>
  <figcaption>{{ chart.caption }}</figcaption>
  {% if chart.folded %}</details>{% endif %}
</figure>
{% endfor %}
{% if fold %}</details>{% endif %}
{% endfor %}
{% if undrawn %}
<p class="muted">The charts of {{ undrawn }} more pairs of a model and a device are not on this page. To draw them:
  <code>{{ command }}</code></p>
{% endif %}
"""
# The charts of more pairs of a model and a device are folded.
FEW_PAIRS = 4


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: a terminal shows no charts."""
    return ()


def html(report: Report) -> Fragment | None:
    """Return the charts under a heading per model and device."""
    from harness.report.charts.inline import inline_svg

    groups: dict[str, list[tuple[Chart, Markup]]] = {}
    for chart in report.charts:
        groups.setdefault(chart.about, []).append((chart, inline_svg(chart)))
    if not groups:
        return None
    abouts = [f"{r.model} on {r.device}" for r in report.rankings if r.ok]
    values = {
        "groups": groups,
        "several": max(len(abouts), sum(1 for about in groups if about)),
        "few": FEW_PAIRS,
        "undrawn": sum(about not in groups for about in abouts),
        "command": f"phonebench report {report.head.id} --to svg",
    }
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the charts show what the cells carry."""
    return {}
