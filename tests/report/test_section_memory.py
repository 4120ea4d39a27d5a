"""What the memory of each cell consists of."""

from __future__ import annotations

from dataclasses import replace

from harness.report.sections.memory import split_rows
from harness.report.view import cell_views
from harness.wire import MemoryMoment, MemorySplit
from tests.report.builders import cells, make_run, measurement

FIRST, SECOND = cells()[:2]
MIB = 1 << 20


def test_a_row_has_what_the_runner_reported_between_calls() -> None:
    measured = measurement(FIRST)
    assert measured.memory is not None
    split = MemorySplit(at=MemoryMoment.STEADY, anonymous_bytes=40 * MIB, file_bytes=60 * MIB, swap_bytes=0)
    run = make_run((FIRST,), (replace(measured, memory=replace(measured.memory, split=(split,))),))
    unit, rows = split_rows(cell_views(run))
    assert (unit.name, rows) == ("MiB", [("fp32 pte", "40.0", "60.0", "–", "0", "–")])


def test_a_runner_that_reports_nothing_has_no_row() -> None:
    measured = measurement(FIRST)
    assert measured.memory is not None
    silent = replace(measured, memory=replace(measured.memory, split=()))
    run = make_run((FIRST, SECOND), (silent, replace(measurement(SECOND), memory=None)))
    assert split_rows(cell_views(run))[1] == []
