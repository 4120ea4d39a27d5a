"""What is written to standard error is heard, and still arrives there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = (
    "import os; from harness.runners.host.runtimes.native_log import heard\n"
    "os.write(2, b'before ')\n"
    "with heard() as said: os.write(2, 'drei \u00fc'.encode()); {inside}\n"
    "os.write(2, b' after'); print(ascii(said.text))"
)


def run(inside: str, stderr: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", CODE.format(inside=inside)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False, timeout=60)


def test_a_pipe_gets_everything_in_order() -> None:
    done = run("pass", subprocess.PIPE)
    assert (done.stdout.strip(), done.stderr.decode()) == (b"'drei \\xfc'", "before drei ü after")


def test_a_file_gets_everything_in_order(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        done = run("pass", log.fileno())
    assert done.stdout.strip() == b"'drei \\xfc'"
    assert (tmp_path / "log").read_text(encoding="utf-8") == "before drei ü after"


def test_a_file_has_the_last_words_of_a_library_that_crashes(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        done = run("os.abort()", log.fileno())
    assert done.returncode < 0
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith("before drei ü")


def test_an_error_in_the_block_passes_and_what_was_said_stays() -> None:
    done = run("raise OSError(5, 'no')", subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith("before drei ü".encode())
    assert b"OSError" in done.stderr
