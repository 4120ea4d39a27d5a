"""The small charts of a night: which series, in which order, and what each shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.metrics import LATENCY
from harness.report.charts.figure import svg_of
from harness.report.charts.panels import COLUMNS, panels
from harness.workflows.nightly.multiples import panel_of, worst_first
from harness.workflows.nightly.page import night_page
from harness.workflows.nightly.record import NightRecord, SeriesNight, State, Suspect, Trigger
from tests.history.nights import CELL, SERIES, run_facts
from tests.history.test_history_story import level
from tests.workflows.nightly.test_night_files import SUSPECT
from tests.workflows.nightly.test_night_files import record as record_of

# Twenty nights at 1 ms and three at 1.2 ms; the last is tonight.
NIGHTS = tuple(level(20) + level(3, start=20, factor=1.2))
TONIGHT = run_facts(22).name


def changed(state: State, factor: float = 1.2, **facts: object) -> SeriesNight:
    blank = SeriesNight(series=SERIES.name, cell=CELL.key, metric=LATENCY.name, state=state, level=1e6)
    return replace(blank, value=1e6 * factor, **facts)  # type: ignore[arg-type]


def record(*series: SeriesNight) -> NightRecord:
    return replace(record_of(*series), run=TONIGHT)


def since(index: int) -> Suspect:
    return replace(SUSPECT, trigger=Trigger.NEW_FILE, first_run=run_facts(index).name)


def test_the_worst_comes_first() -> None:
    night_ = record(
        changed(State.IMPROVEMENT, 0.5),
        changed(State.NONE, 3.0),
        changed(State.SUSPICIOUS, 2.0),
        changed(State.REGRESSION, 1.1),
        changed(State.REGRESSION, 1.4),
        changed(State.SUSPICIOUS, 0.1),
    )
    factors = [round((n.value or 0) / 1e6, 1) for n in worst_first(night_)]
    assert factors == [1.4, 1.1, 0.1, 2.0, 0.5]


def test_a_panel_has_the_nights_the_level_before_and_where_the_new_one_begins() -> None:
    one = changed(State.REGRESSION, suspect=since(20))
    panel = panel_of(one, NIGHTS, record(one))
    assert panel is not None
    assert (len(panel.values), panel.first, panel.unit, panel.level) == (23, 20, "ms", 1.0)
    assert panel.values[-1] == pytest.approx(NIGHTS[-1].figures.value / 1e6)  # type: ignore[union-attr]


def test_without_a_suspicion_the_new_level_begins_tonight_and_later_nights_are_left_out() -> None:
    one = changed(State.SUSPICIOUS)
    later = (*NIGHTS, *level(2, start=23))
    panel = panel_of(one, later, record(one))
    assert panel is not None
    assert (len(panel.values), panel.first) == (23, 22)


def test_a_series_without_a_value_tonight_has_no_panel() -> None:
    one = changed(State.SUSPICIOUS)
    assert panel_of(one, NIGHTS[:-1], record(one)) is None
    assert panel_of(one, (), record(one)) is None


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 1])
def test_every_panel_is_drawn_and_says_what_it_is(count: int) -> None:
    one = changed(State.REGRESSION, suspect=since(20))
    panel = panel_of(one, NIGHTS, record(one))
    assert panel is not None
    figure = panels([replace(panel, name=f"series {i}") for i in range(count)])
    assert figure is not None
    svg = svg_of(figure)
    assert [f"series {i}<" in svg for i in range(count + 1)] == [True] * count + [False]
    assert svg.count("regression, tonight 1.20 ms") == count


def test_the_page_has_the_charts_only_where_something_changed() -> None:
    one = changed(State.REGRESSION, suspect=since(20))
    panel = panel_of(one, NIGHTS, record(one))
    assert panel is not None
    assert "night by night" in night_page(record(one), [panel])
    assert "night by night" not in night_page(record(changed(State.NONE)))


def test_one_night_alone_is_a_point() -> None:
    (single,) = level(1, start=22)
    one = replace(changed(State.SUSPICIOUS), level=None)
    panel = panel_of(one, (single,), record(one))
    assert panel is not None
    figure = panels([panel])
    assert figure is not None
    # There is no half of a night.
    assert all(float(at).is_integer() for at in figure.axes[0].get_xticks())
