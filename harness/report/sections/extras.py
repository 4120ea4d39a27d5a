"""Lines below the table that only some runs have: a sustained launch by the minute, and quality targets.

The one decision: these are sentences and not columns, because most runs have neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.records import units
from harness.records.measurement import MinuteLatency, TargetFacts
from harness.report.view import CellView
from harness.stats.overtime import SHOWN_MINUTES, last_over_first


def extra_lines(views: Iterable[CellView]) -> Iterator[str]:
    """Yield the lines, in the order of the cells."""
    for view in views:
        name = f"{view.cell.model} {view.cell.variant} {view.cell.format.value}"
        if view.latency is not None and view.latency.over_time:
            yield f"{name}: {_minutes(view.latency.over_time)}"
        if view.measurement is not None and view.measurement.target is not None:
            yield f"{name}: {_target(view.measurement.target)}"


def _minutes(found: tuple[MinuteLatency, ...]) -> str:
    shown = [m for m in found if m.minute in SHOWN_MINUTES]
    unit = units.time_unit(m.median_ns for m in found)
    said = ", ".join(f"{unit.show(m.median_ns)} in minute {m.minute}" for m in shown)
    ratio = last_over_first([minute.median_ns for minute in found])
    return f"{said} ({unit.name})" + (f"; last over first minute {ratio:.2f}" if ratio is not None else "")


def _target(found: TargetFacts) -> str:
    wanted = f"{found.metric} {found.value:.4g} ({found.low:.4g} to {found.high:.4g}), {found.wanted:.4g} wanted"
    return f"target {found.preset}: {found.passed.value}; {wanted}"
