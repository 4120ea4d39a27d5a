"""Sustained launches and quality targets, which only some runs have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.measurement import MinuteLatency, Passed, TargetFacts
from harness.report.sections.extras import extra_sentences
from harness.report.view import cell_views
from tests.report.builders import cells, host_run, make_run, measurement


def test_most_runs_have_none() -> None:
    assert list(extra_sentences(cell_views(host_run()))) == []


def test_a_sustained_launch_is_shown_by_its_minutes() -> None:
    (cell, *_) = cells()
    measured = measurement(cell)
    assert measured.latency is not None
    minutes = tuple(
        MinuteLatency(minute=m, median_ns=1e6 * (1 + m / 100), p90_ns=2e6, calls=9) for m in (1, 2, 5, 15, 30)
    )
    run = make_run((cell,), (replace(measured, latency=replace(measured.latency, over_time=minutes)),))
    (line,) = extra_sentences(cell_views(run))
    assert "1.01 in minute 1, 1.05 in minute 5, 1.15 in minute 15, 1.30 in minute 30 (ms)" in line
    assert line.endswith("last minute / first minute 1.29")


@pytest.mark.parametrize(("low", "high", "interval"), [(0.74, 0.76, " (0.74 to 0.76)"), (None, None, "")])
def test_a_target_is_shown_with_its_interval_if_it_has_one(
    low: float | None, high: float | None, interval: str
) -> None:
    (cell, *_) = cells()
    target = TargetFacts(
        preset="mlperf-classification",
        metric="top-1",
        wanted=0.7467,
        value=0.75,
        low=low,
        high=high,
        passed=Passed.UNDECIDED,
    )
    (line,) = extra_sentences(cell_views(make_run((cell,), (replace(measurement(cell), target=target),))))
    assert f"target mlperf-classification: undecided; top-1 0.75{interval}, required 0.7467" in line
