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
<h2>Charts{% if groups | length > 1 %}: {{ about }}{% endif %}</h2>
{% for chart, svg in drawn %}
<figure id="{{ chart.name }}">
  <h3>{{ chart.heading }}</h3>
  <div class="chart">{{ svg }}</div>
  <figcaption>{{ chart.caption }}</figcaption>
</figure>
{% endfor %}
{% endfor %}
"""


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: a terminal shows no charts."""
    return ()


def html(report: Report) -> Fragment | None:
    """Return the charts under a heading per model and device."""
    from harness.report.charts.inline import inline_svg

    groups: dict[str, list[tuple[Chart, Markup]]] = {}
    for chart in report.charts:
        groups.setdefault(chart.about, []).append((chart, inline_svg(chart)))
    return Fragment(template=_PAGE, values={"groups": groups}) if groups else None


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the charts show what the cells carry."""
    return {}
