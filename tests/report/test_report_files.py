"""The report as files, also if the times of single calls are lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.report.files import write_report
from tests.report.builders import cells, make_run, measurement


def test_files_are_written_and_lost_replies_cost_the_distribution_alone(tmp_path: Path) -> None:
    planned = cells()[:2]
    run = replace(make_run(planned, tuple(measurement(c) for c in planned)), directory=tmp_path)
    written = write_report(run)
    names = [p.name for p in written.charts]
    drawn = ("latency", "quality", "memory", "memory-parts", "delegate", "size")
    assert names == [f"{name}.{suffix}" for suffix in ("svg", "png") for name in drawn]
    assert written.html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert written.csv.read_text(encoding="utf-8").count("\n") == 3
