"""The terminal at the widths that people have."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.plan.cells import Hole
from harness.records.conditions import Condition, ConditionId
from harness.report.formats.terminal import fit, run_lines
from harness.report.sections.section import Column
from harness.store.records import RunRecord
from tests.report.builders import DESKTOP, cells, host_run, make_run, measurement, phone_run, unstyled, with_head


def printed(run: RunRecord, width: int | None) -> str:
    """What a terminal of ``width`` columns shows, without its colours."""
    return "\n".join(unstyled(line) for line in run_lines(run, width))


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
    ["41.1", "98.9", "broken: int8 ptl: its outputs", "no dynamically quantised linear", "DESKTOP-CPU", "p5–p90"],
)
def test_the_host_run_shows(text: str) -> None:
    assert text in printed(host_run(), 160)


@pytest.mark.parametrize(
    "text",
    [
        "interval",
        "failed: int8 ptl: the runner was killed",
        "1 of 16 cells have not run yet",
        "ok a",
        "Ship int8 tflite",
    ],
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
    assert "16 of 16 cells have not run yet. To resume:\n  phonebench run --resume=20261123-014001-5f3a\n" in printed(
        run, 80
    )
    assert "not finished" in printed(run, 80)


def test_the_command_to_resume_finds_the_run_where_it_is() -> None:
    run = replace(make_run(cells(), ()), directory=Path("/tmp/my runs/20261123-014001-5f3a"))
    assert "--resume=20261123-014001-5f3a --results '/tmp/my runs'" in printed(run, 160)


def test_the_least_needed_column_goes_first() -> None:
    columns = [Column(title=t, values=("12345",), keep=k) for t, k in (("a", 9), ("b", 1), ("c", 5))]
    kept, dropped = fit(columns, 11)
    assert ([c.title for c in kept], [c.title for c in dropped]) == (["a", "c"], ["b"])
    assert [c.title for c in fit(columns, 1)[0]] == ["a"]


def test_a_reason_that_cells_share_is_given_once() -> None:
    planned = cells()
    run = make_run((), (), holes=tuple(Hole(cell=cell, reason="no such kernels") for cell in planned))
    shown = printed(run, 80)
    assert shown.count("no such kernels") == 1
    assert "unsupported: 16 cells: no such kernels" in shown
    assert "  fp32 pte, fp16 pte, int8 pte," in shown


def test_a_condition_is_given_once_and_briefly() -> None:
    shown = printed(host_run(), 160)
    assert all(shown.count(f"{id_.value}: ") == 1 for id_ in (ConditionId.DESKTOP_CPU, ConditionId.INDICATIVE))
    assert "c  INDICATIVE: one launch: no interval between launches" in shown.splitlines()


def test_conditions_of_every_row_are_above_the_table() -> None:
    one, two = cells()[:2]
    hot = Condition(id=ConditionId.THERMAL, summary="warm")
    run = make_run((one, two), (measurement(one, conditions=(DESKTOP,)), measurement(two, conditions=(DESKTOP, hot))))
    shown = printed(run, 120)
    assert "device host, delegate xnnpack, threads 1, conditions b." in shown
    assert [line.split("ok")[1] for line in shown.splitlines() if " ok" in line] == ["", " a"]


def test_the_answer_is_at_the_end() -> None:
    lines = printed(phone_run(), 160).splitlines()
    answer = next(i for i, line in enumerate(lines) if line.startswith("Ship "))
    assert all(line.startswith("  ") for line in lines[answer + 1 :])


def test_piped_output_is_neither_wrapped_nor_narrowed() -> None:
    (reason,) = (line for line in printed(host_run(), None).splitlines() if line.startswith("unsupported: "))
    assert reason.endswith("no dynamically quantised linear; use the xnnpack delegate")
    assert "Left out" not in printed(host_run(), None)


def test_a_name_cannot_send_control_sequences() -> None:
    run = make_run((), (), holes=(Hole(cell=cells()[0], reason="\x1b[2Jgone"),))
    assert "\x1b[2J" not in "".join(run_lines(run, 80))


def test_the_worst_input_stands_beside_the_median() -> None:
    assert any(re.search(r"131\.0\s+119\.0", row) for row in printed(host_run(), 250).splitlines())
