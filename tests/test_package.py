"""What a wheel holds, since users install wheels."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.workflows.doctor import PACKAGES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.mark.parametrize(
    "name",
    [
        "harness/py.typed",
        "harness/report/templates/report.html.j2",
        "harness/workflows/probe_model/model.toml",
        "harness/bundled_models/digits/weights.safetensors",
        "harness/bundled_models/digits/digits.npz",
        "harness/bundled_models/efficientnet_lite0/model.toml",
    ],
)
def test_a_wheel_has_what_the_code_reads(wheel: zipfile.ZipFile, name: str) -> None:
    assert name in wheel.namelist()


def test_a_wheel_has_no_tests(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if name.startswith(("tests/", "results/"))]


def test_the_doctor_knows_the_extras_of_the_package(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode()
    for extra, package, _ in PACKAGES:
        assert any(
            line.startswith(f"Requires-Dist: {package}") and f"extra == '{extra}'" in line
            for line in metadata.splitlines()
        ), (extra, package)
