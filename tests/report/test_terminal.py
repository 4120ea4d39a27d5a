"""The terminal table at the widths that people have."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from harness.plan.cells import Hole
from harness.report.formats.terminal import Column, fit, run_renderables
from harness.store.records import RunRecord
from tests.report.builders import cells, host_run, make_run, measurement, phone_run, with_head


def printed(run: RunRecord, width: int) -> str:
    """What a terminal of ``width`` columns shows."""
    out = io.StringIO()
    console = Console(file=out, width=width)
    for part in run_renderables(run):
        console.print(part)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_row_is_whole_and_fits(width: int) -> None:
    lines = printed(host_run(), width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert sum(bool(re.match(r"(fp32|fp16|int8|int8-dynamic) +(pte|tflite|onnx|ptl) ", line)) for line in lines) == 15
    assert not any("…" in line for line in lines)


def test_what_does_not_fit_is_named() -> None:
    assert "Left out at this width: load ms" in printed(host_run(), 80)
    assert "Left out" not in printed(host_run(), 120)


@pytest.mark.parametrize(
    "text",
    ["41.1", "98.9", "broken: digits int8 ptl on host", "no dynamically quantised linear", "DESKTOP-CPU", "p5–p90"],
)
def test_the_host_run_shows(text: str) -> None:
    assert text in printed(host_run(), 160)


@pytest.mark.parametrize(
    "text", ["interval", "failed: digits int8 ptl", "1 of 16 cells have not run yet", "ok a", "Ship int8 tflite"]
)
def test_the_phone_run_shows(text: str) -> None:
    assert text in printed(phone_run(), 160)


def test_markup_in_a_name_is_text() -> None:
    planned = cells(model="[red]x[/nothing]")[:2]
    run = make_run(planned[:1], (measurement(planned[0]),), holes=(Hole(cell=planned[1], reason="[bold]no[/]"),))
    assert "[bold]no[/]" in printed(run, 120)
    assert "model [red]x[/nothing]" in printed(run, 120)


def test_nothing_has_run() -> None:
    run = with_head(make_run(cells(), ()), finished_at=None)
    assert "No cell has run yet." in printed(run, 80)
    assert "16 of 16 cells have not run yet;" in printed(run, 80)
    assert "not finished" in printed(run, 80)


def test_the_least_needed_column_goes_first() -> None:
    columns = [Column(title=t, values=("12345",), keep=k) for t, k in (("a", 9), ("b", 1), ("c", 5))]
    kept, dropped = fit(columns, 11)
    assert ([c.title for c in kept], [c.title for c in dropped]) == (["a", "c"], ["b"])
    assert [c.title for c in fit(columns, 1)[0]] == ["a"]
