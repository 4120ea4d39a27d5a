"""A run as one self-contained HTML page: no network, no other files, readable on a phone and on paper.

The page walks the sections and places what they return in the house of all pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.records import units
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus
from harness.report.house import render_house
from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Report, Section, report_of
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from harness.report.charts.charts import Chart
    from harness.report.evidence import Evidence


# More names than this do not fit a heading.
_MOST_NAMES = 6


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


def _few(names: list[str], plural: str) -> str:
    return ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} {plural}"


def _device_name(device: DeviceInfo) -> str:
    return device.model if device.model == device.key else f"{device.model} ({device.key})"


def _heading(report: Report) -> dict[str, Any]:
    head = report.head
    # A run that was stopped early or imported stores no models.
    models = _few([model.name for model in head.models] or list(head.spec.model), "models")
    devices = _few([_device_name(d) for d in head.devices] or list(head.spec.device), "devices")
    profiles = list(dict.fromkeys(v.cell.profile.value for v in report.views)) or [head.spec.profile.value]
    counts = [(s.value, n) for s in CellStatus if (n := sum(1 for v in report.views if v.status is s))]
    words = ", ".join(f"{count} {status}" for status, count in counts) or "no cells"
    return {
        "title": f"{models} on {devices}",
        "lead": f"{units.stamp(head.created_at)} · profile {', '.join(profiles)} · {words}",
        "state": "" if head.finished_at is not None else "not finished",
    }
