"""The list of stored runs: each with its cells counted, and a damaged one does not hide the others."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from harness.records.measurement import CellStatus
from harness.report.formats.run_list import TITLES, list_json, list_rows
from harness.report.view import cell_views
from harness.store.listing import RunStatus, listed_runs
from harness.store.reader import load_run
from harness.store.records import MEASUREMENTS_FILE, RUN_FILE

GOLDEN = Path(__file__).parents[1] / "golden" / "results"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of the stored runs."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "results"))


def test_the_list_says_what_the_full_record_says(results: Path) -> None:
    for run in listed_runs(results):
        record = load_run(results, run.id)
        views = cell_views(record)
        assert run.models == tuple(m.name for m in record.head.models)
        assert run.devices == tuple(d.key for d in record.head.devices)
        assert (run.created_at, run.finished_at) == (record.head.created_at, record.head.finished_at)
        assert run.cells == Counter(view.status for view in views)


def test_a_cell_without_a_whole_line_is_pending(results: Path) -> None:
    first = listed_runs(results)[0]
    path = results / first.id / MEASUREMENTS_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert listed_runs(results)[0].cells[CellStatus.PENDING] == first.cells.get(CellStatus.PENDING, 0) + 1


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', '{"schema": "x"}'])
def test_a_damaged_run_is_listed_as_such(text: str, results: Path) -> None:
    first, *others = listed_runs(results)
    (results / first.id / RUN_FILE).write_text(text)
    damaged, *rest = listed_runs(results)
    assert (damaged.id, damaged.status, damaged.cells) == (first.id, RunStatus.DAMAGED, {})
    assert rest == others
    assert list_rows([damaged])[0] == (first.id, "–", "–", "–", "damaged", "–")


def test_a_run_of_another_version_is_damaged(results: Path) -> None:
    path = results / listed_runs(results)[0].id / RUN_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    assert listed_runs(results)[0].status is RunStatus.DAMAGED


def test_an_unfinished_run_names_what_was_asked_for(results: Path) -> None:
    path = results / listed_runs(results)[0].id / RUN_FILE
    head = json.loads(path.read_text()) | {"finished_at": None, "models": [], "devices": []}
    path.write_text(json.dumps(head))
    run = listed_runs(results)[0]
    assert run.status is RunStatus.UNFINISHED
    assert (run.models, run.devices) == (tuple(head["spec"]["model"]), tuple(head["spec"]["device"]))


def test_rows_and_json_have_every_field() -> None:
    runs = listed_runs(GOLDEN)
    assert len(TITLES) == len(list_rows(runs)[0])
    shown = list_json(runs)
    assert json.loads(json.dumps(shown)) == shown
    assert list(shown[0]) == ["id", "created_at", "finished_at", "models", "devices", "status", "cells"]


def test_no_folder_has_no_runs(tmp_path: Path) -> None:
    assert listed_runs(tmp_path / "none") == ()
