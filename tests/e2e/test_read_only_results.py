"""A results folder on a read-only disk: reading works, and every command that writes says so in one sentence.

The tests may run as root, for whom permissions mean nothing. So the folder is mounted read-only in a namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MISSING

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
USER = ("--user", "--map-root-user") if os.geteuid() else ()
# $1 is the folder; the rest is the command.
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


def on_read_only(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    line = ["unshare", *USER, "-m", "sh", "-c", READ_ONLY, "sh", str(folder), *command]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read-only") / "results"
    for run in ("finished", "interrupted"):
        shutil.copytree(GOLDEN / run, folder / run)
    if shutil.which("unshare") is None:
        pytest.skip(f"{MISSING}unshare; apt-get install util-linux")
    tried = on_read_only(folder, "true")
    if tried.returncode:
        pytest.skip(f"{MISSING}namespaces: {tried.stderr.strip()}; run the tests as root, or allow user namespaces")
    return folder


def phonebench(results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "harness", *arguments, "--results", str(results))
    return on_read_only(results, *command)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("report", "finished"), "finished"),
        (("compare", "finished", "interrupted", "--html"), ""),
        (("run", "--resume", "interrupted"), "interrupted"),
        (("run", str(GOLDEN / "tiny.onnx"), "--device", "fake"), ""),
        (("history", "ingest", "finished"), ""),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_command_that_writes_says_that_it_cannot(results: Path, arguments: tuple[str, ...], place: str) -> None:
    done = phonebench(results, *arguments)
    assert done.returncode == 6
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"phonebench: cannot write to '{results / place}")
    assert "Traceback" not in done.stderr


def test_a_run_on_a_read_only_disk_is_shown(results: Path) -> None:
    done = phonebench(results, "show", "finished")
    assert done.returncode == 0
    assert "digits" in done.stdout
