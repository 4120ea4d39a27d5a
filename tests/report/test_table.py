"""The CSV of a run."""

from __future__ import annotations

import csv
import io

from harness.records.generation_metrics import ROWS as GENERATION
from harness.records.metrics import ENERGY, TOKEN_ENERGY
from harness.records.stated_metrics import ROWS as STATED
from harness.report.formats.csv import columns, csv_text
from tests.report.builders import cells, host_run, make_run


def test_one_row_per_cell_in_base_units() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(host_run()))))
    assert len(rows) == 16
    first = rows[0]
    assert (first["variant"], first["format"]) == ("fp32", "pte")
    assert (first["artifact_bytes"], first["calls"]) == ("79000", "700")
    assert float(first["latency_median_ns"]) > 1000
    assert first["conditions"] == "DESKTOP-CPU SHARED-HOST INDICATIVE"
    assert (first["memory_peak_growth_bytes"], first["correct"]) == ("1364576", "356")


def test_what_was_not_measured_is_empty() -> None:
    row = next(csv.DictReader(io.StringIO(csv_text(make_run(cells()[:1], ())))))
    assert row["status"] == "pending"
    assert [row[k] for k in ("latency_median_ns", "accuracy", "artifact_bytes", "sqnr_db", "nodes_total")] == [""] * 5


def test_a_run_without_cells_is_a_header() -> None:
    assert csv_text(make_run((), ())).split("\n") == [",".join(columns()), ""]


def test_a_row_fills_every_column() -> None:
    row = next(csv.DictReader(io.StringIO(csv_text(host_run()))))
    # The model of this run names no metric of its own.
    own = {"worst_group", "worst_group_drop", "inputs_lost", "inputs_won"}
    # What only other programs state.
    own |= {column.name for metric in STATED for column in metric.csv}
    # A computer has no power sensor.
    own |= {column.name for column in (*ENERGY.csv, *TOKEN_ENERGY.csv)}
    # The model generates nothing.
    own |= {column.name for metric in GENERATION for column in metric.csv}
    own |= {"score_metric", "score", "score_low", "score_high", "score_unit", "score_higher_is_better"}
    assert {k for k, v in row.items() if v == ""} == {"reason", "latency_low_ns", "latency_high_ns", *own}
