"""Where compiled files go, a new folder with the facts of how each was made, and the programs that make them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import BuildError, UsageError

FACTS_FILE = "npu.json"
_JOB_FILE, _DONE_FILE = "job.json", "done.json"
_TIMEOUT_S = 1800


def check_output(output: Path) -> None:
    """Raise `UsageError` for a folder that already holds something."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"--output {str(output)!r} exists and is not empty: name a new folder"
        raise UsageError(msg)


@contextmanager
def fill_output(output: Path) -> Iterator[None]:
    """Make the folder ``output``, which the block fills, and delete it if the block raises.

    Raises `UsageError` if something was put there while the compiler ran.
    """
    check_output(output)
    output.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise


def write_facts(output: Path, facts: dict[str, Any]) -> None:
    """Write how the files in ``output`` were made beside them, with the schema of the record."""
    (output / FACTS_FILE).write_text(json.dumps({"schema": 1, **facts}, indent=2) + "\n", encoding="utf-8")


def do_job(
    folder: Path, make: Callable[[dict[str, Any]], dict[str, Any]], reason: Callable[[Exception], str] = str
) -> None:
    """In the program that `run_child` starts: do the job in ``folder`` with ``make``, and write what it returns.

    A refusal of the compiler is a result too, in the words that ``reason`` makes of it.
    """
    job: dict[str, Any] = json.loads((folder / _JOB_FILE).read_text(encoding="utf-8"))
    try:
        done = make(job)
    # Compilers raise plain exceptions of their own.
    except Exception as error:  # noqa: BLE001
        done = {"refused": reason(error) or type(error).__name__}
    (folder / _DONE_FILE).write_text(json.dumps(done), encoding="utf-8")


def run_child(module: str, scratch: Path, job: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Do ``job`` in a program of its own, which runs `do_job` in ``scratch``, and return what it leaves there.

    ``errors`` in that are what its libraries printed as errors. Raises `BuildError` for one that crashes or does not
    finish.
    """
    (scratch / _JOB_FILE).write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-P", "-m", module, str(scratch)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the compiler did not finish within {_TIMEOUT_S // 60} minutes and was stopped"
        raise BuildError(msg) from error
    done = scratch / _DONE_FILE
    if not done.is_file():
        msg = f"the compiler crashed with code {ended.returncode}: {last_line(ended.stderr)}"
        raise BuildError(msg)
    result: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
    printed = f"{ended.stdout}\n{ended.stderr}".splitlines()
    result["errors"] = [line.partition("[ERROR]")[2].strip() for line in printed if "[ERROR]" in line]
    return result


def last_line(text: str) -> str:
    """Return the last line of ``text`` that says something, cut to 300 characters."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")[:300]
