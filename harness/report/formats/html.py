"""A run as one self-contained HTML page: no network, no other files, readable on a phone and on paper.

The page walks the sections and places what they return. Everything is escaped, except what is Markup already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Fragment, Report, Section, report_of
from harness.spec.formats import FORMATS
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from markupsafe import Markup

    from harness.report.charts.charts import Chart
    from harness.report.evidence import Evidence


def render_page(
    run: RunRecord,
    drawn: tuple[Chart, ...],
    sections: tuple[Section, ...] = SECTIONS,
    evidence: Evidence | None = None,
) -> str:
    """Return the report of ``run`` as HTML.

    ``drawn`` are its charts, see `harness.report.charts.charts.charts`. ``evidence`` reads its replies; without it, the
    details of a cell have no calls, operators or logs.
    """
    report = report_of(run, drawn) if evidence is None else report_of(run, drawn, evidence)
    fragments = [fragment for section in sections if (fragment := section.html(report)) is not None]
    return render_house(_heading(report), fragments)


def render_house(heading: dict[str, Any], fragments: Sequence[Fragment]) -> str:
    """Return a page of the house: ``heading`` has a title and a lead, and the fragments follow each other."""
    import jinja2
    from markupsafe import Markup

    # A misspelt name in a template must fail the tests and not leave a gap on the page.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # No loader: a section brings its template along, and templates neither include nor extend each other.
    rendered = [environment.from_string(f.template).render(f.values) for f in fragments]
    embedded = {name: _embedded(data) for f in fragments for name, data in f.embedded.items()}
    return environment.from_string(_file("report.html.j2")).render(
        heading,
        sections=[Markup(text) for text in rendered],
        embedded=embedded,
        css=Markup(_file("house.css")),
        script=Markup(_file("house.js")),
        colours={format_.value: row.colour for format_, row in FORMATS.items()},
    )


def _file(name: str) -> str:
    return resources.files("harness.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> Markup:
    """``data`` as JSON inside a script element, which ends at the first ``</script`` whatever the quotes around it."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


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
    }
