"""Commands that should answer instantly load only what they need. The tests compare modules, because times vary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "tests" / "golden" / "results"

# Prints the names of all loaded modules after a command has run, which would otherwise end the process.
CODE = """
import contextlib, io, json, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    from harness.cli import main
    main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
"""
# Parts of Python that are slow to load, and that showing a run does not need.
SLOW = {"gzip", "hashlib", "logging", "multiprocessing", "random", "shutil", "statistics", "subprocess", "traceback"}
STORED = ["--results", str(RESULTS)]


def loaded(*args: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run([sys.executable, "-c", CODE, *args], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def third_party(modules: set[str]) -> set[str]:
    """The packages among them that are neither ours nor part of Python."""
    names = {name.partition(".")[0] for name in modules}
    return {n for n in names - sys.stdlib_module_names if not n.startswith(("_", "harness"))}


def stages(modules: set[str]) -> set[str]:
    """The folders of phonebench among them."""
    return {name.split(".")[1] for name in modules if name.startswith("harness.")}


def test_help_loads_click_and_the_commands_alone() -> None:
    modules = loaded("--help")
    assert third_party(modules) == {"click"}
    assert stages(modules) == {"cli", "errors", "system"}


@pytest.mark.parametrize("args", [[], ["--json"]], ids=["table", "json"])
def test_show_loads_what_reads_a_run_and_what_words_it(args: list[str]) -> None:
    modules = loaded("show", "latest", *STORED, *args)
    # msgspec brings typing_extensions on Python 3.11.
    assert third_party(modules) <= {"click", "msgspec", "typing_extensions"}
    assert stages(modules) == {
        "cli",
        "compare",
        "errors",
        "plan",
        "readers",
        "records",
        "report",
        "spec",
        "stats",
        "store",
        "system",
        "wire",
    }
    assert not modules & SLOW
    assert not {"harness.wire.request", "harness.report.files", "harness.report.charts.charts"} & modules


def test_the_list_decodes_no_run_in_full() -> None:
    modules = loaded("show", "--list", *STORED)
    assert not {"numpy", "jinja2", "matplotlib", "pandas", "torch"} & third_party(modules)
    assert "report" in stages(modules)
    assert "harness.report.sections.registry" not in modules
