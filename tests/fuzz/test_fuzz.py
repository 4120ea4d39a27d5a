"""A short run of every fuzz target; ``make fuzz`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
RUNS = 1500


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_refused_with_the_readers_own_error(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason=f"{MISSING}atheris; make setup")
    command = [sys.executable, "-m", "tests.fuzz", name, "--runs", str(RUNS), "--seconds", "60", "--seed", "1"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, env=_environment(tmp_path)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"stat::number_of_executed_units: {RUNS}" in done.stderr


def test_a_bug_is_found(tmp_path: Path) -> None:
    """Proof that a run can fail: the reader of another format, as if its errors were not expected."""
    pytest.importorskip("atheris", reason=f"{MISSING}atheris; make setup")
    code = (
        "import sys, dataclasses; from tests.fuzz import targets, __main__ as fuzz\n"
        "real = targets.TARGETS['reply']\n"
        "targets.TARGETS['reply'] = lambda: dataclasses.replace(real(), refuses=())\n"
        "sys.argv = ['fuzz', 'reply', '--runs', '50', '--seed', '1']\nsys.exit(fuzz.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=_environment(tmp_path) | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode != 0
    assert "WireError" in done.stdout + done.stderr


def _environment(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "TMPDIR": str(folder)}
