"""Sustained launches by the minute, and quality targets.

Most runs have neither, so these are sentences below the table and not columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.records import units
from harness.records.measurement import MinuteLatency, TargetFacts
from harness.report.sections.section import Fragment, Line, Report
from harness.report.view import CellView, full_labels
from harness.stats.overtime import SHOWN_MINUTES, last_over_first

_PAGE = """\
<h2>Sustained speed and quality targets</h2>
<ul class="notes">{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
"""


def lines(report: Report) -> Iterator[Line]:
    """Yield the sentences."""
    return (Line(text=sentence) for sentence in extra_sentences(report.views))


def html(report: Report) -> Fragment | None:
    """Return the sentences as a list."""
    sentences = list(extra_sentences(report.views))
    return Fragment(template=_PAGE, values={"sentences": sentences}) if sentences else None


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its minutes and its target."""
    return {}


def extra_sentences(views: Iterable[CellView]) -> Iterator[str]:
    """Yield the sentences in the order of the cells; what is the same on every thread count is said once per file."""
    listed = tuple(views)
    names, files = full_labels(listed), full_labels(listed, threads=False)
    sentences: dict[str, None] = {}
    for view in listed:
        if view.latency is not None and view.latency.over_time:
            sentences[f"{names[view.cell.key]}: {_minutes(view.latency.over_time)}"] = None
        if view.measurement is not None and view.measurement.target is not None:
            sentences[f"{files[view.cell.key]}: {_target(view.measurement.target)}"] = None
    yield from sentences


def _minutes(over_time: tuple[MinuteLatency, ...]) -> str:
    unit = units.time_unit(m.median_ns for m in over_time)
    medians = [f"{unit.show(m.median_ns)} in minute {m.minute}" for m in over_time if m.minute in SHOWN_MINUTES]
    ratio = last_over_first([minute.median_ns for minute in over_time])
    slowdown = f"; last minute / first minute {ratio:.2f}" if ratio is not None else ""
    return f"{', '.join(medians)} ({unit.name}){slowdown}"


def _target(target: TargetFacts) -> str:
    # Too few inputs give no interval.
    has_interval = target.low is not None and target.high is not None
    interval = f" ({target.low:.4g} to {target.high:.4g})" if has_interval else ""
    value = f"{target.metric} {target.value:.4g}{interval}"
    return f"target {target.preset}: {target.passed.value}; {value}, required {target.wanted:.4g}"
