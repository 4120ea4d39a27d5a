"""The graph of imports finds what a change touches, in made-up files and in the project itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loop.imports import Graph, read_graph

FILES = {
    "harness/__init__.py": "",
    "harness/__main__.py": "from harness import tool",
    "harness/tool.py": "def go():\n    from harness.inner.deep import value\n",
    "harness/inner/__init__.py": "",
    "harness/inner/deep.py": "value = 1",
    "harness/inner/other.py": "WORKER = 'harness.inner.deep'",
    "tests/conftest.py": (
        "import pytest\nfrom harness.inner import other\nMISSING = 'x'\n"
        "def call(): return ['-m', 'harness']\n"
        "@pytest.fixture\ndef program(): return call()\n"
    ),
    "tests/test_program.py": "def test_it(program): pass",
    "tests/test_missing.py": "from tests.conftest import MISSING",
    "tests/inner/test_deep.py": "import harness.inner.deep",
}


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_graph(tmp_path)


def touched_by(graph: Graph, changed: str) -> dict[str, int]:
    return {node: steps for node, steps in graph.users_of([changed]).items() if "/test_" in node}


def test_a_test_is_touched_by_what_it_imports_and_nearer_by_less_steps(graph: Graph) -> None:
    touched = touched_by(graph, "harness/inner/deep.py")
    assert touched["tests/inner/test_deep.py"] == 1
    assert touched["tests/test_program.py"] > 1


def test_an_import_inside_a_function_and_a_module_named_in_a_string_count(graph: Graph) -> None:
    assert {"harness/tool.py", "harness/inner/other.py"} <= set(graph.users_of(["harness/inner/deep.py"]))


def test_only_tests_that_use_a_fixture_are_touched_through_it(graph: Graph) -> None:
    assert set(touched_by(graph, "harness/tool.py")) == {"tests/test_program.py"}
    assert set(touched_by(graph, "tests/conftest.py")) == {"tests/test_program.py", "tests/test_missing.py"}


def test_the_exporters_take_part_in_artifacts_and_the_report_does_not() -> None:
    used = read_graph().used_by("harness/artifacts/build.py")
    assert {"harness/artifacts/workers/worker.py", "harness/artifacts/export/pte.py"} <= used
    assert not [node for node in used if node.startswith(("harness/report/", "harness/cli/"))]
