"""The version of an app changes with everything it is built from, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from harness.runners.android.identity import version_name
from harness.runners.android.records import Abi, Runtime


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("pom.xml", "core/pom.xml", "app/pom.xml", "tflite/pom.xml", "pytorch/pom.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("core", "app", "tflite", "pytorch"):
        (tmp_path / name / "src/main").mkdir(parents=True)
        (tmp_path / name / "src/main/A.java").write_text(name)
    return tmp_path


def version(
    sources: Path, *, runtime: Runtime = Runtime.TFLITE, abis: tuple[Abi, ...] = (Abi.ARM64,), library: str = "a"
) -> str:
    return version_name(runtime, abis=abis, library_sha256=library, debuggable=False, folder=sources)


def test_it_is_the_version_of_phonebench_and_twelve_digits(sources: Path) -> None:
    name, _, digits = version(sources).partition("+")
    assert name == harness.__version__
    assert len(digits) == 12
    assert int(digits, 16) >= 0


@pytest.mark.parametrize(
    "changed", ["core/src/main/A.java", "app/src/main/A.java", "tflite/src/main/A.java", "pom.xml"]
)
def test_a_changed_source_is_another_version(sources: Path, changed: str) -> None:
    before = version(sources)
    (sources / changed).write_text("changed")
    assert version(sources) != before


def test_another_runtimes_sources_and_what_was_built_are_not_in_it(sources: Path) -> None:
    before = version(sources)
    (sources / "pytorch/src/main/A.java").write_text("changed")
    (sources / "core/target").mkdir()
    (sources / "core/target/A.class").write_text("built")
    assert version(sources) == before


def test_the_library_the_machines_and_the_runtime_are_in_it(sources: Path) -> None:
    names = {
        version(sources),
        version(sources, library="b"),
        version(sources, abis=(Abi.ARM64, Abi.X86_64)),
        version(sources, runtime=Runtime.PYTORCH),
    }
    assert len(names) == 4


def test_the_order_of_the_machines_is_not(sources: Path) -> None:
    there, back = (Abi.ARM64, Abi.X86_64), (Abi.X86_64, Abi.ARM64)
    assert version(sources, abis=there) == version(sources, abis=back)
