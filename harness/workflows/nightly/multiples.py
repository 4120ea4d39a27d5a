"""The nights of each series that changed or is suspected, for the small charts of the night's page."""

from __future__ import annotations

import math

from harness.history.database import History
from harness.history.queries import nights_of
from harness.history.records import Night, NightStatus
from harness.history.story import values_of
from harness.records.metrics import metric_named
from harness.report.charts.nights import BETTER, POINT, WORSE
from harness.report.charts.panels import Panel
from harness.workflows.nightly.files import describe, show_value
from harness.workflows.nightly.record import NightRecord, SeriesNight, State

MOST_PANELS = 24
# Older nights would make points too dense for a small chart.
NIGHTS_DRAWN = 60
_COLOURS = {State.REGRESSION: WORSE, State.SUSPICIOUS: POINT, State.IMPROVEMENT: BETTER}


def panels_of(history: History, record: NightRecord) -> tuple[Panel, ...]:
    """Return a panel for each series that changed or is suspected, the worst first, `MOST_PANELS` at most."""
    nights = worst_first(record)[:MOST_PANELS]
    made = (panel_of(night, nights_of(history, night.series, last=NIGHTS_DRAWN), record) for night in nights)
    return tuple(panel for panel in made if panel is not None)


def worst_first(record: NightRecord) -> list[SeriesNight]:
    """Return the regressions, the suspicions and the improvements of a night, each group by the size of its change."""
    states = list(_COLOURS)
    changed = [night for night in record.series or () if night.state in _COLOURS]
    return sorted(changed, key=lambda night: (states.index(night.state), -_size(night)))


def panel_of(night: SeriesNight, nights: tuple[Night, ...], record: NightRecord) -> Panel | None:
    """Return the panel of ``night`` from the series' ``nights``, oldest first; None if tonight has no value there."""
    started = _started(nights, record)
    shown = [n for n in nights if n.status is NightStatus.OK and n.figures and n.created_at <= started]
    if not shown or shown[-1].run != record.run:
        return None
    values = values_of(shown)
    unit = metric_named(night.metric).formatter.unit_for(values)
    begins = night.suspect.first_run if night.suspect else record.run
    shown_value = show_value(night.value, night.metric)
    return Panel(
        name=night.series,
        unit=unit.name,
        values=tuple(value / unit.size for value in values),
        first=next((i for i, n in enumerate(shown) if n.run == begins), len(shown) - 1),
        level=None if night.level is None else night.level / unit.size,
        colour=_COLOURS[night.state],
        about=f"{night.series}: {night.state.value}, tonight {shown_value}. {describe(night)}",
    )


def _started(nights: tuple[Night, ...], record: NightRecord) -> str:
    """When tonight's run began; a night that is resumed late may have later ones after it in the history."""
    return next((n.created_at for n in nights if n.run == record.run), "")


def _size(night: SeriesNight) -> float:
    """How far the value is from the level before, as a logarithm."""
    if not night.value or not night.level or night.value * night.level < 0:
        return 0.0
    return abs(math.log(night.value / night.level))
