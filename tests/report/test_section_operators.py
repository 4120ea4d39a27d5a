"""What the report says of the operators of a cell, with figures that can be checked by eye."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from harness.plan.cells import Cell
from harness.records.measurement import Measurement
from harness.records.operators import Operator, OperatorProfile
from harness.report.formats.csv import operators_csv_text
from harness.report.sections.operators import json, lines, short_name
from harness.report.sections.section import Grid, Line, report_of
from harness.store.records import RunRecord
from harness.wire import NodesLeft
from tests.report.builders import cells, make_run, measurement, page_of

CELLS = cells()
XNNPACK = CELLS[0]

CONV = Operator(name="conv1", kind="Conv", calls=10, total_ns=601_000, ran_on="xnnpack", delegated=True)
GEMM = Operator(name="fc", kind="Gemm", calls=10, total_ns=299_750, ran_on="xnnpack", delegated=True)
TOPK = Operator(
    name="top", kind="TopK", calls=10, total_ns=99_250, ran_on="cpu", delegated=False, reason="no kernel for it."
)
PROFILE = OperatorProfile(source="litert 2.3.0", calls=10, call_ns=110_000, operators=(CONV, TOPK, GEMM))


def profiled(cell: Cell, profile: OperatorProfile | None, left: tuple[NodesLeft, ...] = ()) -> Measurement:
    plain = measurement(cell)
    assert plain.runtime
    return replace(plain, operators=profile, runtime=replace(plain.runtime, nodes_left=left))


def run_of(*measured: Measurement) -> RunRecord:
    keys = [one.cell for one in measured]
    return make_run(tuple(cell for cell in CELLS if cell.key in keys), measured)


def text_of(run: RunRecord) -> list[str]:
    # Per cent signs stand after a narrow space.
    return [block.text.replace("\u202f", " ") for block in lines(report_of(run)) if isinstance(block, Line)]


def test_a_run_without_a_profile_says_nothing_of_operators() -> None:
    report = report_of(run_of(profiled(XNNPACK, None)))
    assert list(lines(report)) == []
    assert json(report) == {}
    assert "<h2>Operators</h2>" not in page_of(run_of(profiled(XNNPACK, None)))


def test_operators_are_listed_by_their_share_of_the_time() -> None:
    grid = next(block for block in lines(report_of(run_of(profiled(XNNPACK, PROFILE)))) if isinstance(block, Grid))
    values = {column.title: column.values for column in grid.columns}
    # Of 1 ms: 0.601, 0.29975 and 0.09925; per call a tenth of the sums.
    assert values["share\n%"] == ("60.1", "30.0", "9.9")
    assert values["time\nµs"] == ("60.1", "30.0", "9.93")
    assert values["operator"] == ("conv1", "fc", "top")
    assert values["type"] == ("Conv", "Gemm", "TopK")
    assert values["ran on"] == ("xnnpack", "xnnpack", "cpu")


def test_sentences_give_the_cost_of_the_profiler_the_places_and_the_reason() -> None:
    told = text_of(run_of(profiled(XNNPACK, PROFILE)))
    assert told[0].startswith("Operators of ")
    median = measurement(XNNPACK).latency
    assert median
    assert any("over 10 calls of 110 µs each, " in line and "without a profiler" in line for line in told)
    assert "  Share of the time: xnnpack 90 %, cpu 10 %." in told
    assert "  Not on xnnpack: 1 TopK (no kernel for it)." in told


def test_what_the_runtime_lists_itself_comes_before_what_the_profile_shows() -> None:
    left = (NodesLeft(kind="TOPK_V2", nodes=2, reason="Operation is not supported."), NodesLeft(kind="CAST", nodes=1))
    told = text_of(run_of(profiled(XNNPACK, PROFILE, left)))
    assert "  Not on xnnpack: 2 TOPK_V2 (Operation is not supported), 1 CAST." in told


def test_operators_without_times_are_counted_by_place() -> None:
    untimed = OperatorProfile(
        source="executorch 1.4.1",
        operators=(
            Operator(name="0", kind="XnnpackBackend", nodes=7, ran_on="xnnpack", delegated=True),
            Operator(name="1", kind="aten::mean.out", ran_on="cpu", delegated=False),
        ),
        reason="the package has no event tracer",
    )
    told = text_of(run_of(profiled(XNNPACK, untimed)))
    assert "  Nodes: 7 on xnnpack, 1 on cpu." in told
    assert "  Not on xnnpack: 1 aten::mean.out." in told
    assert "  The package has no event tracer." in told


def test_of_many_cells_each_has_a_line_and_equal_ones_share_it() -> None:
    missing = OperatorProfile(source="x", reason="there is no profiler")
    run = run_of(*(profiled(cell, missing) for cell in CELLS[:3]), profiled(CELLS[3], PROFILE))
    told = text_of(run)
    assert len(told) == 2
    assert told[0].endswith(": There is no profiler.")
    assert told[0].count(",") == 2
    assert "Conv 60 %, Gemm 30 %, TopK 10 %." in told[1]


def test_many_cells_of_which_the_same_is_said_are_counted() -> None:
    missing = OperatorProfile(source="x", reason="there is no profiler")
    run = run_of(*(profiled(cell, missing) for cell in CELLS[:7]))
    (line,) = text_of(run)
    assert re.fullmatch(r"Operators of 7 cells, such as [^,]+: There is no profiler\.", line)
    page = page_of(run)
    assert len(re.findall(r"<summary>7 cells, such as [^,<]+</summary>", page)) == 1
    assert "more cells are behind their rows" not in page


def test_only_so_many_cells_have_a_line_of_their_own() -> None:
    runs = [replace(PROFILE, reason=f"reason {number}") for number in range(len(CELLS))]
    told = text_of(run_of(*(profiled(cell, profile) for cell, profile in zip(CELLS, runs, strict=True))))
    assert len(told) == 9
    assert told[-1] == f"Operators of {len(CELLS) - 8} more cells are in: phonebench show --json"


@pytest.mark.parametrize(
    ("operators", "is_coarse"),
    [
        ((CONV, TOPK), False),
        ((replace(CONV, total_ns=9000), replace(TOPK, total_ns=20_000)), True),
        ((replace(CONV, total_ns=900_000), replace(TOPK, total_ns=200_000)), False),
    ],
)
def test_times_of_few_whole_microseconds_are_called_coarse(operators: tuple[Operator, ...], is_coarse: bool) -> None:
    told = text_of(run_of(profiled(XNNPACK, replace(PROFILE, operators=operators))))
    assert any("whole microseconds" in line for line in told) == is_coarse


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("conv1", "conv1"),
        ("pkg.network.Net/torch.nn.modules.container.Sequential_0/torch.nn.modules.conv.Conv2d_3;1",
         "Net/Sequential_0/Conv2d_3;1"),
        (";;a.B/c.D_0;;e.F/g.H_1", "B/D_0"),
        ("model.layer1.0.conv1", "model.layer1.0.conv1"),
        ("x" * 60, "…" + "x" * 48),
        ("", ""),
    ],
)  # fmt: skip
def test_names_of_converters_are_shortened(name: str, short: str) -> None:
    assert short_name(name) == short


def test_the_page_and_the_json_have_every_cell() -> None:
    many = replace(PROFILE, operators=tuple(replace(CONV, name=f"<conv{n}>", total_ns=1000 + n) for n in range(20)))
    run = run_of(profiled(XNNPACK, many), profiled(CELLS[1], PROFILE))
    page = page_of(run)
    assert "<h2>Operators</h2>" in page
    assert "&lt;conv19&gt;" in page
    assert "<conv19>" not in page
    assert "5 more operators" in page
    first, second = json(report_of(run))["operators"]
    assert (first["cell"], len(first["operators"])) == (XNNPACK.key, 20)
    assert second["total_ns"] == 1_000_000
    assert second["operators"][1] == {
        "name": "top", "kind": "TopK", "calls": 10, "total_ns": 99_250, "nodes": 1, "ran_on": "cpu",
        "delegated": False, "reason": "no kernel for it.", "mean_ns": 9925.0, "share": 0.09925,
    }  # fmt: skip


def test_the_csv_has_a_row_per_operator_where_a_cell_was_profiled() -> None:
    assert operators_csv_text(run_of(profiled(XNNPACK, None))) is None
    text = operators_csv_text(run_of(profiled(XNNPACK, PROFILE), profiled(CELLS[1], None)))
    assert text is not None
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["cell"], row["kind"], row["total_ns"], row["share"]) for row in rows] == [
        (XNNPACK.key, "Conv", "601000", "0.601"),
        (XNNPACK.key, "TopK", "99250", "0.09925"),
        (XNNPACK.key, "Gemm", "299750", "0.29975"),
    ]
    assert (rows[1]["ran_on"], rows[1]["delegated"], rows[1]["reason"]) == ("cpu", "False", "no kernel for it.")
