"""Packages that are not installed are named before anything starts, each with what needs it, and with one command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Called, call_phonebench

# Python imports a module of this name by itself when it starts. A hidden package has neither modules nor metadata.
HIDE = """
import importlib.metadata, os, sys

HIDDEN = dict(pair.split("=") for pair in os.environ["HIDDEN_PACKAGES"].split(","))

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN.values():
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Hide())
whole = importlib.metadata.Distribution.from_name

def from_name(name):
    if name in HIDDEN:
        raise importlib.metadata.PackageNotFoundError(name)
    return whole(name)

importlib.metadata.Distribution.from_name = from_name
"""
MODULES = {
    "torch-pruning": "torch_pruning",
    "scikit-learn": "sklearn",
    "onnxscript": "onnxscript",
    "executorch": "executorch",
}


@pytest.fixture
def without(tmp_path: Path) -> Without:
    """The command line in an environment without some packages."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(HIDE)
    return Without(tmp_path)


class Without:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, packages: tuple[str, ...], *args: str) -> Called:
        root = Path(__file__).parents[2]
        environment = {
            "HIDDEN_PACKAGES": ",".join(f"{package}={MODULES[package]}" for package in packages),
            "PYTHONPATH": os.pathsep.join((str(self._folder / "hide"), str(root))),
            "PHONEBENCH_CACHE": str(self._folder / "cache"),
        }
        return call_phonebench(*args, cwd=self._folder, env=environment)


def reasons(done: Called) -> dict[str, str]:
    return {hole["cell"]["key"]: hole["reason"] for hole in done.json()["holes"]}


@pytest.mark.parametrize(
    ("packages", "variant", "formats", "needed"),
    [
        (("torch-pruning",), "prune50", "onnx", "torch-pruning (prune)"),
        (("scikit-learn",), "cluster16", "onnx", "scikit-learn (cluster)"),
        (("torch-pruning",), "fuse+distill", "onnx", "torch-pruning (distill)"),
        (("onnxscript",), "fp32", "onnx", "onnxscript (onnx)"),
        (("executorch",), "fp32", "pte", "executorch (pte)"),
    ],
)
def test_a_dry_run_says_what_is_missing_and_not_will_run(
    without: Without, packages: tuple[str, ...], variant: str, formats: str, needed: str
) -> None:
    done = without(packages, "run", "squeezenet1_1", "--dry-run", "--variant", variant, "--format", formats)
    assert done.code == 0, done.err
    assert "will run" not in done.out
    assert "cells: 0" in done.out
    assert needed in done.err
    assert "pip install 'phonebench[" in done.err


def test_all_that_is_missing_is_said_once_with_one_command(without: Without) -> None:
    packages = ("torch-pruning", "scikit-learn", "onnxscript")
    args = ("--variant", "fp32,prune50,cluster16", "--format", "onnx,ptl", "--dry-run")
    done = without(packages, "run", *args, "--json")
    assert [cell["key"] for cell in done.json()["cells"]] == ["digits-fp32-ptl-cpu-t1-host-quick"]
    assert len(reasons(done)) == 5
    assert done.err.count("pip install") == 1
    for package in packages:
        assert package in done.err
    assert "phonebench[onnx-export,torch]" in done.err


def test_a_run_stores_the_hole_and_measures_the_rest(without: Without, tmp_path: Path) -> None:
    done = without(("torch-pruning",), "run", "--device", "fake", "--format", "ptl", "--variant", "fp32,prune50")
    assert done.code == 0, done.err
    assert done.err.index("torch-pruning (prune)") < done.err.index("build")
    assert "No module named" not in done.out + done.err
    stored = next((tmp_path / "results").glob("*/measurements.jsonl")).read_text().splitlines()
    status = {cell["cell"]: cell["status"] for cell in map(json.loads, stored)}
    assert status == {"digits-fp32-ptl-cpu-t1-fake-quick": "ok", "digits-prune50-ptl-cpu-t1-fake-quick": "unsupported"}


def test_a_build_keeps_a_row_for_what_is_missing(without: Without) -> None:
    done = without(("torch-pruning",), "build", "--format", "ptl", "--variant", "fp32,prune50", "--json")
    assert done.code == 0, done.err
    states = {artifact["variant"]: artifact["state"] for artifact in done.json()["artifacts"]}
    assert states == {"fp32": "ready", "prune50": "unsupported"}
    assert "torch-pruning (prune)" in done.err


def test_doctor_lists_the_packages_of_the_steps(without: Without) -> None:
    done = without(("torch-pruning", "scikit-learn"), "doctor", "--json")
    rows = {(row["extra"], row["name"]): row for row in done.json()["packages"]}
    assert rows["torch", "torch-pruning"]["version"] is None
    assert rows["torch", "torch-pruning"]["purpose"] == "graph steps: prune, distill"
    assert rows["torch", "scikit-learn"]["purpose"] == "graph steps: cluster"
    assert "phonebench[torch,examples,metrics]" in done.json()["advice"]
