"""The Parquet file: the whole history, in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from harness.errors import StoreError
from harness.history.database import open_history
from harness.history.export import export_parquet
from harness.history.ingest import append
from harness.history.records import NightStatus
from tests.history.nights import OTHER_CELL, PHONE, SERIES, entry, failed_entry, run_facts


def test_the_whole_history_is_in_the_file(where: str, tmp_path: Path) -> None:
    again = replace(entry(2e6), status=NightStatus.SUPERSEDED)
    with open_history(where, create=True) as history:
        append(history, run_facts(0), [entry(5e6, cell=OTHER_CELL), entry(1e6)])
        append(history, run_facts(1), [again, replace(entry(1.1e6), attempt=1), failed_entry()])
        written = export_parquet(history, tmp_path / "out" / "history.parquet")
    rows = parquet.read_table(tmp_path / "out" / "history.parquet").to_pylist()
    assert written == len(rows) == 4
    mine = [row for row in rows if row["series"] == SERIES.name]
    assert [(row["attempt"], row["status"], row["value"]) for row in mine] == [
        (0, "ok", 1e6),
        (0, "superseded", 2e6),
        (1, "ok", 1.1e6),
    ]
    assert mine[0]["os_build"] == PHONE.os_build
    assert mine[0]["commit"] == "000000000000"
    assert mine[0]["night"] == "2026-01-01"


def test_an_empty_history_gives_a_file_without_rows(where: str, tmp_path: Path) -> None:
    with open_history(where, create=True) as history:
        assert export_parquet(history, tmp_path / "history.parquet") == 0
    assert parquet.read_table(tmp_path / "history.parquet").num_rows == 0


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        open_history(str(tmp_path / "h.sqlite"), create=True) as history,
        pytest.raises(StoreError, match="cannot write"),
    ):
        export_parquet(history, tmp_path / "file" / "history.parquet")
