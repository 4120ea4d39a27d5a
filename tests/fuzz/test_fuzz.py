"""A short run of every fuzz target; ``make fuzz`` is the long one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
# For all targets together about 40,000 inputs.
RUNS = 800
# A file of ExecuTorch takes its exporter, and what a cloud sends takes a whole run. The converter of Core ML's packages
# cannot share a process with all others.
WITHOUT_EXAMPLES = {"pte", "cloud-run", "mlpackage"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_refused_with_the_readers_own_error(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason=f"{MISSING}atheris; make setup")
    command = [sys.executable, "-m", "tests.fuzz", name, "--runs", str(RUNS), "--seconds", "60", "--seed", "1"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, env=_environment(tmp_path)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"stat::number_of_executed_units: {RUNS}" in done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(TARGETS.keys() - WITHOUT_EXAMPLES))
def test_a_reader_accepts_an_example(name: str) -> None:
    """A fuzzer that begins with what is refused hardly comes further than that."""
    target = TARGETS[name]()
    accepted = []
    for seed in target.seeds():
        with contextlib.suppress(*target.refuses):
            accepted.append(target.read(seed))
    assert accepted


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
