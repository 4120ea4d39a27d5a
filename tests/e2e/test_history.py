"""The history from the command line, on runs of the scripted phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CommandLine

RUN = ("run", "digits", "--device", "fake", "--format", "onnx", "--variant", "fp32", "--json")


def test_a_run_enters_is_listed_drawn_and_exported(phonebench: CommandLine, tmp_path: Path) -> None:
    run = phonebench(*RUN).json()["run"]
    first = phonebench("history", "ingest", "--json").json()
    assert (first["run"], first["known"]) == (run["id"] if isinstance(run, dict) else run, 0)
    assert phonebench("history", "ingest").out.split(": ")[1].startswith("0 values added")
    series = [s["name"] for s in phonebench("history", "list", "--json").json()]
    assert len(series) == first["added"]
    shown = phonebench("history", "fp32", "--json").json()
    assert shown["series"]["metric"] == "latency"
    assert (tmp_path / shown["chart"]).read_text().startswith("<?xml")
    assert phonebench("history", "export", "--parquet", "h.parquet", "--json").json()["rows"] == first["added"]
    assert [s["series"] for s in phonebench("history", "latest", "--json").json()["series"]] == series


def test_a_damaged_history_is_a_sentence(phonebench: CommandLine, tmp_path: Path) -> None:
    phonebench(*RUN)
    (tmp_path / "bad.sqlite").write_bytes(b"")
    done = phonebench("history", "ingest", "--history", "bad.sqlite")
    assert done.code == 6
    assert "is empty" in done.err
    assert "Traceback" not in done.err
    assert phonebench("history", "ingest").code == 0


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["history", "digits"], 6, "there is no history"),
        (["history", "ingest", "--history", "mysql://h/d"], 2, "no runs"),
        (["history", "list", "--history", "mysql://h/d"], 6, "is not a database that can hold a history"),
        (["history", "export"], 2, "--parquet"),
    ],
)
def test_what_is_not_there(phonebench: CommandLine, args: list[str], code: int, words: str) -> None:
    done = phonebench(*args)
    assert done.code == code, done.err
    assert words in done.err
