"""``make quick``: run the tests that a change touches, nearest first, and leave out what would take too long.

What changed is what git shows against the commit where this branch left ``main``, with what is not committed yet.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.loop.durations import read_durations
from tests.loop.imports import FOLDERS, ROOT, Graph, read_graph

# Together with the start of pytest and a busy machine this stays under two minutes.
BUDGET_S = 80.0
# One test that takes longer is for ``make test``.
LONGEST_S = 15.0
# Assumed for a test that durations.json does not list.
SHORT_S = 0.05
PROCESSES = 2
# Below this it takes longer to start processes than to run the tests in one.
PARALLEL_FROM_S = 15.0
# How many of the left-out tests are listed by name.
NAMED = 12
# They read the source of every file, so no import leads to them.
READS_SOURCE = ("tests/test_structure.py",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The tests to run, as pytest takes them, and those that were left out with the seconds that each takes."""

    tests: tuple[str, ...]
    seconds: float
    left_out: Mapping[str, float]


def main() -> int:
    """Choose, say what is left out, and run."""
    parser = argparse.ArgumentParser(prog="make quick", description=__doc__)
    parser.add_argument("--base", help="compare with this commit")
    parser.add_argument("--list", action="store_true", help="print the tests and run none")
    options, for_pytest = parser.parse_known_args()
    base = options.base or branch_point()
    changed = changed_files(base)
    if not changed:
        print(f"Nothing differs from {base[:10]}.")
        return 0
    distances = touched_tests(changed, read_graph())
    choice = choose(distances, named_tests(distances), read_durations())
    print(f"{len(changed)} files differ from {base[:10]}; they touch {len(distances)} test files.")
    print(*left_out_lines(choice.left_out), sep="\n", end="\n" if choice.left_out else "")
    if options.list:
        print(*choice.tests, sep="\n")
        return 0
    return run(choice, for_pytest)


def run(choice: Choice, for_pytest: Sequence[str]) -> int:
    """Run the chosen tests and return pytest's exit code."""
    if not choice.tests:
        print("No test is left to run.")
        return 0
    parallel = ["--numprocesses", str(PROCESSES), "--dist", "loadfile"] if choice.seconds > PARALLEL_FROM_S else []
    command = [sys.executable, "-m", "pytest", "-q", *parallel, *for_pytest, *choice.tests]
    code = subprocess.run(command, cwd=ROOT, check=False, env=os.environ).returncode
    if choice.left_out:
        print(f"{len(choice.left_out)} tests that the change touches were left out; make test runs all.")
    return code


def left_out_lines(left_out: Mapping[str, float]) -> list[str]:
    """Return a line for each of the longest tests that are left out, and one for the rest."""
    longest = sorted(left_out.items(), key=lambda item: -item[1])
    lines = [f"left out: {seconds:4.0f} s  {test}" for test, seconds in longest[:NAMED]]
    rest = longest[NAMED:]
    return lines + ([f"left out: {sum(s for _, s in rest):4.0f} s  in {len(rest)} other tests"] if rest else [])


def branch_point() -> str:
    """Return the commit where this branch left main; without a main, the last commit."""
    for main_branch in ("main", "origin/main"):
        found = _git("merge-base", "HEAD", main_branch)
        if found:
            return found[0]
    return "HEAD"


def changed_files(base: str) -> list[str]:
    """Return the files that differ from ``base``, with new and deleted ones."""
    return sorted({*_git("diff", "--name-only", base), *_git("ls-files", "--others", "--exclude-standard")})


def _git(*args: str) -> list[str]:
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def touched_tests(changed: Iterable[str], graph: Graph) -> dict[str, int]:
    """Return the test files that a change touches, with the number of imports between the two."""
    sources = {node for file in changed for node in _nodes(file, graph)}
    distances = {node: steps for node, steps in graph.users_of(sources).items() if _is_test_file(node)}
    if any(file.startswith(FOLDERS) for file in changed):
        distances |= dict.fromkeys(READS_SOURCE, 0)
    return {file: steps for file, steps in distances.items() if (ROOT / file).exists()}


def _nodes(file: str, graph: Graph) -> list[str]:
    """The nodes of the graph that a change of ``file`` concerns."""
    if file in graph.uses:
        return [file]
    path = PurePosixPath(file)
    # A template or a table belongs to the modules in its folder and below.
    owners = [node for node in graph.uses if node.startswith(f"{path.parent}/")]
    # Documents and data of other kinds are known to the tests that name them.
    readers = [node for node in graph.uses if _is_test_file(node) and path.name in (ROOT / node).read_text()]
    return owners + readers


def _is_test_file(node: str) -> bool:
    return node.startswith("tests/") and PurePosixPath(node).name.startswith("test_") and node.endswith(".py")


def named_tests(files: Iterable[str]) -> dict[str, list[str]]:
    """Return the test functions of each file, as pytest names them."""
    found = {}
    for file in files:
        tree = ast.parse((ROOT / file).read_bytes(), file)
        functions = [part.name for part in tree.body if isinstance(part, ast.FunctionDef)]
        found[file] = [f"{file}::{name}" for name in functions if name.startswith("test_")]
    return found


def choose(distances: Mapping[str, int], tests: Mapping[str, Sequence[str]], durations: Mapping[str, float]) -> Choice:
    """Take the nearest tests first, of equally near ones the shortest, until the time is used up."""
    ranked = sorted(
        (steps, durations.get(test, SHORT_S), test) for file, steps in distances.items() for test in tests[file]
    )
    taken: list[str] = []
    left_out: dict[str, float] = {}
    total = 0.0
    for _, seconds, test in ranked:
        if seconds > LONGEST_S or total + seconds > BUDGET_S * PROCESSES:
            left_out[test] = seconds
        else:
            taken.append(test)
            total += seconds
    return Choice(tests=_by_whole_files(taken, tests), seconds=total, left_out=left_out)


def _by_whole_files(taken: Sequence[str], tests: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Name a file in place of its tests when all of them are taken."""
    chosen = set(taken)
    whole = {file for file, inside in tests.items() if inside and chosen.issuperset(inside)}
    return (*sorted(whole), *(test for test in taken if test.partition("::")[0] not in whole))


if __name__ == "__main__":
    sys.exit(main())
