"""Where compiled files go, a new folder with the facts of how each was made, and the programs that make them."""

from __future__ import annotations

import json
import subprocess
import sys
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
