"""Tables: whole in a pipe, wrapped between words on a terminal, and a path never broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.console import table_lines

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
    assert done.stdout.split() == ["cell", "digits-fp32-pte-xnnpack-t1-host-quick", "will", "run"]
