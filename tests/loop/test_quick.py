"""``make quick`` takes the nearest tests that fit its time, and the longest tests start first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.loop.durations import merged
from tests.loop.imports import ROOT, read_graph
from tests.loop.quick import BUDGET_S, LONGEST_S, NAMED, PROCESSES, choose, left_out_lines, named_tests, touched_tests
from tests.loop.schedule import by_length, is_waiting, unit_of
from tests.loop.shared import SharedFolder

NEAR, FAR = "tests/test_near.py", "tests/test_far.py"


def test_a_long_test_is_left_out_however_near_it_is() -> None:
    tests = {NEAR: [f"{NEAR}::test_a", f"{NEAR}::test_b"], FAR: [f"{FAR}::test_c"]}
    choice = choose({NEAR: 1, FAR: 5}, tests, {f"{NEAR}::test_a": LONGEST_S + 1})
    assert choice.tests == (FAR, f"{NEAR}::test_b")
    assert choice.left_out == {f"{NEAR}::test_a": LONGEST_S + 1}


def test_the_time_goes_to_the_nearest_tests() -> None:
    names = [f"{NEAR}::test_{n}" for n in range(40)]
    far = [f"{FAR}::test_{n}" for n in range(40)]
    durations = dict.fromkeys([*names, *far], 10.0)
    choice = choose({NEAR: 1, FAR: 2}, {NEAR: names, FAR: far}, durations)
    assert choice.seconds == BUDGET_S * PROCESSES
    assert not [test for test in choice.tests if test.startswith(FAR)]
    assert len(choice.left_out) == 80 - BUDGET_S * PROCESSES / 10
    assert len(left_out_lines(choice.left_out)) == NAMED + 1


def test_a_change_of_a_module_touches_its_own_tests_first() -> None:
    touched = touched_tests(["harness/stats/intervals.py"], read_graph())
    assert touched["tests/stats/test_intervals.py"] == 1
    assert "tests/test_structure.py" in touched
    assert "tests/vphone/test_vphone_wire.py" not in touched


def test_a_document_touches_the_tests_that_name_it() -> None:
    touched = touched_tests(["docs/measurement.md"], read_graph())
    assert "tests/loop/test_quick.py" in touched
    assert all("measurement.md" in (ROOT / file).read_text() for file in touched)


def test_the_tests_of_a_file_are_named_as_pytest_names_them() -> None:
    names = named_tests(["tests/loop/test_quick.py"])["tests/loop/test_quick.py"]
    assert "tests/loop/test_quick.py::test_the_tests_of_a_file_are_named_as_pytest_names_them" in names


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        ("tests/stats/test_pairs.py::test_x[1-2]", "tests/stats/test_pairs.py"),
        ("tests/e2e/test_host.py::test_x[0]", "tests/e2e/test_host.py::test_x"),
        ("tests/vphone/test_vphone_wire.py::test_x[debian-1]", "tests/vphone/test_vphone_wire.py[debian]"),
        ("tests/android_runner/test_maven_build.py::test_x", "java"),
    ],
)
def test_what_runs_in_one_process(test: str, unit: str) -> None:
    assert unit_of(test) == unit


def test_the_longest_unit_is_first_and_phones_are_waited_for() -> None:
    short, long = (
        "tests/stats/test_pairs.py::test_x",
        "tests/e2e/test_resume.py::test_two_runs_at_once_share_one_cold_cache",
    )
    assert by_length([short, long]) == [long, "tests/stats/test_pairs.py"]
    assert is_waiting("tests/vphone/test_vphone_wire.py[wheel]")
    assert not is_waiting(long)


def test_short_tests_are_not_kept_in_the_list() -> None:
    assert merged({"old": 3.0, "now short": 9.0}, {"now short": 0.1, "new": 1.26}) == {"old": 3.0, "new": 1.3}


def test_processes_that_need_the_same_folder_make_it_once(tmp_path: Path) -> None:
    shared, made = SharedFolder(tmp_path), []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("x")

    threads = [threading.Thread(target=shared.once, args=("one", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert shared.once("one", make).joinpath("file").read_text() == "x"


def test_a_folder_whose_maker_failed_is_made_again(tmp_path: Path) -> None:
    shared = SharedFolder(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError(folder)

    with pytest.raises(OSError, match="one"):
        shared.once("one", fail)
    assert list(shared.once("one", lambda folder: (folder / "whole").write_text("")).iterdir()) == [
        tmp_path / "one" / "whole"
    ]


def test_processes_run_every_test_once(tmp_path: Path) -> None:
    """The real scheduler on made-up files, with more processes than there is work for."""
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(
            "import pytest\n@pytest.mark.parametrize('n', range(7))\ndef test_x(n): pass\n"
        )
    (tmp_path / "conftest.py").write_text(
        "def pytest_xdist_make_scheduler(config, log):\n"
        "    from tests.loop.schedule import LongestFirst\n    return LongestFirst(config, log)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "4",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "-p xdist",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
    )
    assert "14 passed" in done.stdout, done.stdout + done.stderr
