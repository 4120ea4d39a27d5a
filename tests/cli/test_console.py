"""Tables: whole in a pipe, wrapped between words on a terminal, and a path never broken."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.console import Lines, table_lines
from harness.compare.words import COLUMNS

PATH = "/home/somebody/.cache/phonebench/artifacts/a3/a3f09c1d22e87b5f/model.onnx"
REASON = "tflite needs litert-torch, ai-edge-quantizer; run: pip install 'phonebench[tflite-export]'"
TITLES = ("variant", "format", "state", "file or reason")
ROWS = (("fp32", "onnx", "ready", PATH), ("int8-dynamic", "tflite", "unsupported", REASON))


def test_without_a_width_every_row_is_one_line() -> None:
    lines = table_lines(TITLES, ROWS, width=None)
    assert lines == [
        "variant      format state       file or reason",
        f"fp32         onnx   ready       {PATH}",
        f"int8-dynamic tflite unsupported {REASON}",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_terminal_gets_whole_words(width: int) -> None:
    lines = table_lines(TITLES, ROWS, width=width)
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join((*TITLES, *ROWS[0], *ROWS[1])).split())
    assert all(len(line) <= width or line.strip() == PATH or line.endswith(PATH) for line in lines)


def test_an_empty_last_cell_leaves_no_empty_line() -> None:
    assert table_lines(("cell", "metric", ""), (("a" * 20, "latency", ""),), width=24) == [
        "cell",
        "  metric",
        "a" * 20,
        "  latency",
    ]


def test_columns_that_are_too_wide_leave_their_widest_above_each_row() -> None:
    titles = ("state", "series", "tonight", "level before", "")
    key = "digits/prune50+int8/tflite/xnnpack/t1/android:R58M123/latency"
    rows = (
        ("regression", key, "5.12 ms", "4.87 ms", "+5.1 % compared with the last good artifact, commits a..b"),
        ("none", "", "1 ms", "1 ms", ""),
        ("", key, "", "", "only in A"),
    )
    assert table_lines(titles, rows, width=70) == [
        "series",
        "  state      tonight level before",
        key,
        "  regression 5.12 ms 4.87 ms      +5.1 % compared with the last good",
        "                                  artifact, commits a..b",
        "  none       1 ms    1 ms",
        key,
        "  only in A",
    ]
    assert len(table_lines(titles, rows, width=200)) == 4


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_a_comparison_fits_a_terminal(width: int) -> None:
    cell = "digits/int8/tflite/xnnpack/t1/host"
    row = ("latency p50", "12.345 ms", "12.678 ms", "+2.7 %", "-1.0 % to +6.4 %", "not-comparable", "")
    lines = table_lines(("cell", *COLUMNS[1:]), [(cell, *row), ("", *row)], width=width)
    assert all(len(line) <= width for line in lines)
    assert sum(line.strip() == cell for line in lines) == (width < 110)


def test_a_column_with_room_keeps_its_place() -> None:
    lines = table_lines(TITLES, ROWS[1:], width=70)
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 0, 32, 32]


def test_wide_characters_are_counted_as_a_terminal_shows_them() -> None:
    assert table_lines(("a", "b"), (("模型", "x"), ("e\u0301", "y")), width=None) == [
        "a    b",
        "模型 x",
        "e\u0301    y",
    ]


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m harness run --dry-run -t 1,2,3,4,5,6,7,8 | head -2"
    root = Path(__file__).parents[2]
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["cell", "plan", "digits-fp32-pte-xnnpack-t1-host-quick", "will", "run"]


def test_a_log_says_what_is_being_made_while_nothing_finishes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(quiet_s=0.05)
    progress.start("build", 2)
    progress.begin("net (model and data)")
    progress.end("net (model and data)")
    for unit in ("net int8 tflite", "net fp32 pte"):
        progress.begin(unit)
    time.sleep(0.3)
    progress.step("net fp32 pte", "ready")
    time.sleep(0.2)
    progress.step("net int8 tflite", "ready")
    progress.finish()
    printed = [re.sub(r"\(\d+ s\)", "(… s)", line) for line in capsys.readouterr().err.splitlines()]
    assert printed.count("build 0/2, in progress: net int8 tflite (… s), net fp32 pte (… s)") >= 2
    assert "build 1/2, in progress: net int8 tflite (… s)" in printed
    assert not any("model and data" in line for line in printed)
    time.sleep(0.15)
    assert capsys.readouterr().err == "", "a stage that is over is silent"


def test_a_stage_that_names_no_units_says_that_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(quiet_s=0.05)
    progress.start("pairs", 20)
    time.sleep(0.12)
    progress.finish()
    assert "pairs 0/20, still running after 0 s" in capsys.readouterr().err.splitlines()


def test_a_log_in_which_units_finish_has_no_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    progress.start("measure", 1)
    progress.begin("a")
    progress.step("a", "1.0 ms")
    progress.finish()
    assert [line.split(" done in")[0] for line in capsys.readouterr().err.splitlines()] == [
        "measure: 1 to do",
        "measure 1/1 a: 1.0 ms",
        "measure: 1",
    ]


def test_a_counter_never_exceeds_its_total(capsys: pytest.CaptureFixture[str]) -> None:
    """A pair that was dropped is measured again, so that more pairs run than were planned."""
    progress = Lines()
    progress.start("pairs", 4)
    for number in range(9):
        progress.step(f"pair {number}", "")
    progress.finish()
    counters = re.findall(r"^pairs (\d+)/(\d+)", capsys.readouterr().err, flags=re.MULTILINE)
    assert [int(done) for done, _ in counters] == list(range(1, 10))
    assert all(int(done) <= int(total) for done, total in counters)
