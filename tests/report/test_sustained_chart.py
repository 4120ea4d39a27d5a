"""Sustained cells over each other, relative to their first minute."""

from __future__ import annotations

from dataclasses import replace

from harness.records.measurement import Measurement, MinuteLatency
from harness.report.charts.figure import svg_of
from harness.report.charts.sustained import MOST_LINES, sustained_lines
from harness.report.ranking import rankings
from harness.store.records import RunRecord
from tests.report.builders import PHONE, cells, make_run, measurement


def sustained(one: Measurement, first_ns: float, last_ns: float) -> Measurement:
    assert one.latency is not None
    minutes = tuple(
        MinuteLatency(minute=i, median_ns=ns, p90_ns=ns * 1.1, calls=50) for i, ns in enumerate((first_ns, last_ns), 1)
    )
    return replace(one, latency=replace(one.latency, over_time=minutes))


def run_on(*devices: str, count: int = 1) -> RunRecord:
    planned = tuple(cell for device in devices for cell in cells(device=device)[:count])
    measured = tuple(sustained(measurement(cell), 2e6, 3e6) for cell in planned)
    return make_run(planned, measured, device=PHONE)


def test_each_line_says_how_much_slower_its_last_minute_is() -> None:
    figure = sustained_lines(rankings(run_on("android:A", "android:B")))
    assert figure is not None
    svg = svg_of(figure).replace("\u202f", " ")
    # 3 ms after 2 ms.
    for device in ("android:A", "android:B"):
        assert f"on {device}: 2.00 ms in minute 1, 1.50 × that in minute 2" in svg


def test_lines_that_cannot_be_told_apart_are_left_out() -> None:
    figure = sustained_lines(rankings(run_on("android:A", count=8)))
    assert figure is not None
    drawn = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    assert len(drawn) == MOST_LINES


def test_short_launches_have_no_chart_of_minutes() -> None:
    planned = cells()[:2]
    assert sustained_lines(rankings(make_run(planned, tuple(map(measurement, planned))))) is None
