"""What each graph step needs is known without importing it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from harness.artifacts.manifest import VARIANT_PACKAGES
from harness.spec.recipe import STEP_EXTRA, STEP_PACKAGES, STEPS, Cluster, Distill, Prune, Qat, Step, step_packages
from harness.variants import make

ROOT = Path(__file__).parents[2]


def test_every_step_has_its_packages_and_its_function() -> None:
    assert set(STEP_PACKAGES) == set(get_args(Step)) == set(STEPS.values()) == set(make.STEPS)


@pytest.mark.parametrize("package", sorted({name for names in STEP_PACKAGES.values() for name in names}))
def test_the_extra_of_the_steps_installs_each_package(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package in {line.split("==")[0] for line in project["optional-dependencies"][STEP_EXTRA]}


def test_the_packages_of_several_steps_are_each_named_once() -> None:
    steps = (Prune(ratio=0.5), Cluster(), Qat())
    assert step_packages(steps) == ("torch", "torch-pruning", "scikit-learn", "torchao", "executorch")


def test_a_student_of_its_own_needs_no_pruning() -> None:
    assert step_packages((Distill(),)) == ("torch", "torch-pruning")
    assert step_packages((Distill(),), has_student=True) == ("torch",)


def test_the_key_of_a_cached_variant_counts_the_same_packages_as_before() -> None:
    assert set(VARIANT_PACKAGES) == {"torch", "torch-pruning", "scikit-learn", "torchao", "executorch"}


def test_the_table_is_read_without_importing_any_of_them() -> None:
    heavy = ("torch", "torchao", "executorch", "sklearn", "torch_pruning")
    code = f"import sys, harness.spec.recipe; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
