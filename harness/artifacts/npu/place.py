"""Where compiled files go, a new folder with the facts of how each was made, and the programs that make them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import BuildError, UsageError

FACTS_FILE = "npu.json"
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


def run_child(module: str, scratch: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run a compiler as a program of its own, and return the ``done.json`` that it leaves in ``scratch``.

    ``errors`` in it are what its libraries printed as errors. Raises `BuildError` for one that crashes or does not
    finish.
    """
    command = [sys.executable, "-P", "-m", module, str(scratch)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"the compiler did not finish within {_TIMEOUT_S // 60} minutes and was stopped"
        raise BuildError(msg) from error
    done = scratch / "done.json"
    if not done.is_file():
        said = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "it says nothing")
        msg = f"the compiler crashed with code {ended.returncode}: {said.strip()[:300]}"
        raise BuildError(msg)
    result: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
    printed = f"{ended.stdout}\n{ended.stderr}".splitlines()
    result["errors"] = [line.partition("[ERROR]")[2].strip() for line in printed if "[ERROR]" in line]
    return result
