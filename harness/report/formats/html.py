"""A run as one HTML file that stands on its own: no network, no other files, readable on a phone and on paper.

The one decision: this module gathers, the template places, and everything is escaped unless it was made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

from harness.records import units
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus
from harness.report.charts.charts import Chart, charts
from harness.report.charts.distributions import Samples
from harness.report.formats.inline import inline_svg
from harness.report.sections.advice import advise
from harness.report.sections.cells import cell_table
from harness.report.sections.command import command_line
from harness.report.sections.conditions import footnotes
from harness.report.sections.memory import split_table
from harness.report.sections.parts import parts_comparisons, told
from harness.report.sections.ranking import rankings
from harness.report.sections.search import TITLES, findings_of, front_rows, headline, notes
from harness.report.sections.variants import done_table
from harness.report.view import CellView, cell_views, labels
from harness.store.records import ModelFacts, RunRecord

_TEMPLATE = "templates/report.html.j2"
_DIGEST_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A cell without figures: its name, its status and why."""

    status: str
    name: str
    reason: str
    detail: str


def render_html(run: RunRecord, samples: Samples) -> str:
    """Return the report of ``run`` as HTML.

    ``samples`` returns the measured calls of a measurement in ns, one list a launch; an empty list where they are gone.
    """
    return render_page(run, charts(run, samples))


def render_page(run: RunRecord, drawn: tuple[Chart, ...]) -> str:
    """Return the report of ``run`` as HTML, with charts that are drawn already."""
    import jinja2

    source = resources.files("harness.report").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(_context(run, drawn))


def _context(run: RunRecord, drawn: tuple[Chart, ...]) -> dict[str, Any]:
    views = cell_views(run)
    ranked = rankings(run)
    conditions = footnotes(views)
    return {
        "run": run,
        "title": f"{', '.join(m.name for m in run.head.models) or 'no model'} on {', '.join(_device_names(run))}",
        "created": units.stamp(run.head.created_at),
        "took": _took(run),
        "profiles": list(dict.fromkeys(v.cell.profile.value for v in views)) or [run.head.spec.profile.value],
        "counts": [(s.value, n) for s in CellStatus if (n := sum(1 for v in views if v.status is s))],
        "models": [(m.name, _model_facts(m)) for m in run.head.models],
        "devices": [(d.key, _device_facts(d)) for d in run.head.devices],
        "versions": sorted(run.head.versions.items()),
        "advice": [advise(r) for r in ranked],
        "table": cell_table(views, ranked, conditions),
        "notes": conditions,
        "parts": [told(found) for found in parts_comparisons(run.head.models, views)],
        "cell_count": len(views),
        "done": done_table(views, run.head.spec.recipes()),
        "charts": _chart_sections(drawn),
        "splits": split_table(views),
        "missing": _missing(views),
        "pending": sum(1 for v in views if v.status is CellStatus.PENDING),
        "memory_definitions": list(dict.fromkeys(v.memory.definition for v in views if v.memory)),
        "command": command_line(run.head.spec, run.head.goal),
        "found": _found(run),
    }


def _found(run: RunRecord) -> dict[str, Any] | None:
    """The outcome of a search: its headline, what limits it, and the front as rows of text."""
    found = findings_of(run)
    if found is None:
        return None
    return {"headline": headline(found), "notes": notes(found), "titles": TITLES, "rows": front_rows(found)}


def _chart_sections(drawn: tuple[Chart, ...]) -> list[tuple[str, list[tuple[Chart, Any]]]]:
    """Charts with their inline SVG, by what they are about."""
    sections: dict[str, list[tuple[Chart, Any]]] = {}
    for chart in drawn:
        sections.setdefault(chart.about, []).append((chart, inline_svg(chart)))
    return list(sections.items())


def _missing(views: tuple[CellView, ...]) -> list[Missing]:
    names = labels(views)
    several = len({(v.cell.model, v.cell.device) for v in views}) > 1
    found: list[Missing] = []
    for status in (CellStatus.FAILED, CellStatus.BROKEN, CellStatus.UNSUPPORTED):
        for view in (v for v in views if v.status is status):
            where = f"{view.cell.model} {names[view.cell.key]} on {view.cell.device}" if several else ""
            failure = view.measurement.failure if view.measurement else None
            found.append(
                Missing(
                    status=status.value,
                    name=where or names[view.cell.key],
                    reason=view.reason or "no reason was recorded",
                    detail=failure.detail if failure else "",
                )
            )
    return found


def _device_names(run: RunRecord) -> list[str]:
    return [f"{d.model} ({d.key})" for d in run.head.devices] or list(run.head.spec.device)


def _model_facts(model: ModelFacts) -> list[tuple[str, str]]:
    data = f"{model.test_count} test, {model.calibration_count} calibration inputs"
    float_accuracy = None
    if model.float_correct is not None and model.test_count:
        float_accuracy = f"{units.percent(model.float_correct / model.test_count)} top-1 on the test inputs"
    return _present(
        ("task", model.task),
        ("parameters", None if model.parameters is None else f"{model.parameters:,}".replace(",", units.THIN_SPACE)),
        ("source", model.source),
        ("weights", "random" if model.random_weights else model.weights_sha256[:_DIGEST_SHOWN]),
        ("data", f"{data}{'' if model.labelled else ', without labels'}"),
        ("data digest", None if model.data_sha256 is None else model.data_sha256[:_DIGEST_SHOWN]),
        ("float model", float_accuracy),
        ("license", model.license),
    )


def _device_facts(device: DeviceInfo) -> list[tuple[str, str]]:
    return _present(
        ("device", device.model),
        ("system", device.os),
        ("processor", f"{device.cpu}, {device.cores} core{'s' if device.cores != 1 else ''}, {device.abi}"),
        ("memory", units.size(device.memory_bytes)),
        *device.details.items(),
    )


def _present(*facts: tuple[str, str | None]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in facts if value]


def _took(run: RunRecord) -> str | None:
    if run.head.finished_at is None:
        return None
    begin, end = (datetime.fromisoformat(t) for t in (run.head.created_at, run.head.finished_at))
    seconds = round((end - begin).total_seconds())
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def chart_files(drawn: Iterable[Chart]) -> dict[str, str]:
    """Return file name and text of each chart, for a ``charts`` folder."""
    return {f"{chart.name}.svg": chart.svg for chart in drawn}
