"""Tests that are run by several processes: each runs once, whatever ends a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.loop.schedule import LongestFirst

def pytest_xdist_make_scheduler(config, log):
    return LongestFirst(config, log)
"""
# A test writes down that it began. The one whose number is in the file's name ends its process.
FILE = """
import os, pytest

@pytest.mark.parametrize("number", range({count}))
def test_one(number):
    with open({log!r}, "a") as log:
        log.write(f"{name}-{{number}}\\n")
    if number == {fatal}:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(
    ("files", "fatal"),
    [
        pytest.param([3] * 8, {}, id="none"),
        pytest.param([3] * 8, {4: 1}, id="middle"),
        pytest.param([1] * 9, {8: 0}, id="the last of all"),
        pytest.param([2] * 6, {0: 0, 5: 1}, id="first and last"),
        pytest.param([1], {0: 0}, id="the only one"),
        pytest.param([40, 1, 1], {0: 20}, id="a long file"),
    ],
)
def test_a_process_that_dies_costs_one_test_and_no_other_waits(
    tmp_path: Path, files: list[int], fatal: dict[int, int]
) -> None:
    log = tmp_path / "began.txt"
    log.touch()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number, count in enumerate(files):
        text = FILE.format(count=count, log=str(log), name=number, fatal=fatal.get(number))
        (tmp_path / f"test_file{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    expected = {f"{number}-{test}" for number, count in enumerate(files) for test in range(count)}
    assert Counter(log.read_text().split()) == Counter(expected), done.stdout
    assert done.returncode == (1 if fatal else 0), done.stdout
    passed, failed = len(expected) - len(fatal), len(fatal)
    summary = done.stdout.strip().splitlines()[-1]
    assert not passed or f"{passed} passed" in summary
    assert not failed or f"{failed} failed" in summary
