"""A run as one self-contained HTML page: no network, no other files, readable on a phone and on paper.

The page walks the sections and places what they return. Everything is escaped, except what is Markup already.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Report, Section, report_of
from harness.spec.formats import FORMATS
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from harness.report.charts.charts import Chart

_TEMPLATE = "templates/report.html.j2"


def render_page(run: RunRecord, drawn: tuple[Chart, ...], sections: tuple[Section, ...] = SECTIONS) -> str:
    """Return the report of ``run`` as HTML; ``drawn`` are its charts, see `harness.report.charts.charts.charts`."""
    import jinja2
    from markupsafe import Markup

    # A misspelt name in a template must fail the tests and not leave a gap on the page.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    report = report_of(run, drawn)
    # No loader: a section brings its template along, and templates neither include nor extend each other.
    fragments = [fragment for section in sections if (fragment := section.html(report)) is not None]
    rendered = [environment.from_string(f.template).render(f.values) for f in fragments]
    page = resources.files("harness.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(page).render(_heading(report), sections=[Markup(text) for text in rendered])


def _heading(report: Report) -> dict[str, Any]:
    head = report.head
    models = ", ".join(model.name for model in head.models) or "no model"
    devices = ", ".join([f"{d.model} ({d.key})" for d in head.devices] or head.spec.device)
    profiles = list(dict.fromkeys(v.cell.profile.value for v in report.views)) or [head.spec.profile.value]
    counts = [(s.value, n) for s in CellStatus if (n := sum(1 for v in report.views if v.status is s))]
    return {
        "title": f"{models} on {devices}",
        "created": units.stamp(head.created_at),
        "profiles": profiles,
        "counts": counts,
        "finished": head.finished_at is not None,
        "colours": {format_.value: row.colour for format_, row in FORMATS.items()},
    }
