"""The runner of docs/write_a_runner.md, and other programs in its place, through the whole command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import DeviceError
from harness.records.conditions import ConditionId

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "docs/small_runner.py"
PAGE = ROOT / "docs/write_a_runner.md"


def phonebench(*args: str) -> Result:
    return CliRunner().invoke(cli, args, standalone_mode=False)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """One cache for this file, so that the model is built once."""
    folder = tmp_path_factory.mktemp("small")
    return "--results", str(folder / "results"), "--cache-dir", str(folder / "cache"), "--json"


def measured(program: Path, places: tuple[str, ...], *options: str) -> dict[str, Any]:
    """The only cell of digits, as ``program`` measured it."""
    done = phonebench("run", "digits", "-f", "onnx", "-v", "fp32", "-d", f"runner:{program}", *options, *places)
    assert done.stdout, done.exception
    (cell,) = json.loads(done.stdout)["cells"]
    return dict(cell)


@pytest.fixture(scope="module")
def cell(places: tuple[str, ...]) -> dict[str, Any]:
    return measured(SMALL, places)


def test_the_small_runner_measures_a_real_model(cell: dict[str, Any]) -> None:
    assert cell["status"] == "ok"
    assert cell["latency"]["median_ns"] > 1000
    assert cell["latency"]["calls"] >= 50
    assert cell["accuracy"]["value"] > 0.98
    assert cell["fidelity"]["sqnr_db"] > 60
    ids = {condition["id"] for condition in cell["conditions"]}
    assert not ids & {ConditionId.CUT_SHORT, ConditionId.UNSCORED, ConditionId.FALLBACK}


def test_it_is_known_by_its_kind_and_its_device_by_its_whole_path(cell: dict[str, Any]) -> None:
    assert cell["device"] == f"runner:{SMALL}"
    assert cell["runner"]["kind"] == "small-runner"


def test_what_it_lacks_is_a_hole_with_its_reason(places: tuple[str, ...]) -> None:
    hole = measured(SMALL, places, "--delegate", "nnapi")
    assert hole["status"] == "unsupported"
    assert hole["reason"] == "this runner only runs .onnx files on the processor"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"threads": self.threads', '"threads": 99'), "threads is 99, but 1 was requested"),
        (("return time.perf_counter_ns() - start", "return 0"), "samples are 0 ns: its clock is too coarse"),
    ],
)
def test_a_runner_that_says_what_cannot_be_true_ships_nothing(
    change: tuple[str, str], said: str, places: tuple[str, ...], tmp_path: Path
) -> None:
    source = SMALL.read_text()
    assert change[0] in source
    liar = tmp_path / "liar.py"
    liar.write_text(source.replace(*change))
    refused = measured(liar, places)
    assert refused["status"] == "failed"
    assert said in refused["reason"]


def test_a_program_that_is_not_there_is_refused_before_anything_is_built() -> None:
    done = phonebench("run", "digits", "-f", "onnx", "-v", "fp32", "-d", "runner:no/such.py", "--dry-run")
    assert isinstance(done.exception, DeviceError)
    assert "no/such.py', which is not a file" in str(done.exception)


def test_a_program_that_cannot_be_executed_says_how_to_mend_that(tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\n")
    done = phonebench("run", "digits", "-f", "onnx", "-v", "fp32", "-d", f"runner:{program}", "--dry-run")
    assert isinstance(done.exception, DeviceError)
    assert f"run: chmod +x {program}" in str(done.exception)


def test_it_imports_nothing_of_phonebench(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text('{"schema": 2, "cell": "c", "launch": 3}')
    # -I: no folder of this project is on the path.
    subprocess.run([sys.executable, "-I", str(SMALL), str(tmp_path)], check=True, env=os.environ | {"HOME": "/"})
    reply = json.loads((tmp_path / "reply.json").read_bytes())
    assert (reply["cell"], reply["launch"], reply["failure"]["kind"]) == ("c", 3, "input")
    assert "harness" not in SMALL.read_text()


def test_the_page_names_the_file_and_its_length() -> None:
    lines = len(SMALL.read_text().splitlines())
    assert lines <= 200
    assert f"{lines} lines" in PAGE.read_text()
    # Every function that the page sends a reader to exists.
    for name in re.findall(r"`(\w+)\(\)`", PAGE.read_text()):
        assert re.search(rf"def {name}\(", SMALL.read_text()), name
