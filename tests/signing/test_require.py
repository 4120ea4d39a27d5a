"""What else must not run where signatures are required."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import sys
from pathlib import Path
from harness.errors import BuildError
from harness.model.user_code import load_object
from harness.signing.require import ignore_compiled_modules
if "--required" in sys.argv:
    ignore_compiled_modules()
print(load_object("network:ORIGIN", Path(sys.argv[1]), raises=BuildError))
"""


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with a compiled module that is not of its source, but has the source's time and size."""
    # Another test may have required signatures in this process.
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "")
    source = tmp_path / "network.py"
    source.write_text("ORIGIN = 'poison'\n")
    compiled = py_compile.compile(str(source))
    assert compiled is not None
    source.write_text("ORIGIN = 'source'\n")
    seconds = int.from_bytes(Path(compiled).read_bytes()[8:12], "little")
    os.utime(source, (seconds, seconds))
    return tmp_path


@pytest.mark.parametrize(("options", "origin"), [(["--required"], "source"), ([], "poison")])
def test_python_does_not_take_compiled_modules_for_signed_sources(
    poisoned: Path, options: list[str], origin: str
) -> None:
    """Without the requirement the attack works, so this test can fail."""
    command = [sys.executable, "-c", LOAD, str(poisoned), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (origin, 0), done.stderr


def test_processes_that_are_started_from_here_do_the_same(poisoned: Path) -> None:
    child = "import subprocess, sys; from harness.signing.require import ignore_compiled_modules as f; f(); " + (
        "raise SystemExit(subprocess.call([sys.executable, '-c', 'import network; print(network.ORIGIN)']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", child],
        capture_output=True,
        text=True,
        check=False,
        cwd=poisoned,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(poisoned), str(Path(__file__).parents[2])))},
    )
    assert (done.stdout.strip(), done.returncode) == ("source", 0), done.stderr
