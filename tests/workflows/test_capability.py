"""The capability probe tries what this computer can do; doctor lists what is installed."""

from __future__ import annotations

import os
import platform
import re
import tomllib
from pathlib import Path

import pytest

from harness.artifacts.cache import Cache
from harness.artifacts.manifest import ArtifactState
from harness.progress import Silent
from harness.runners.host.vulkan import has_own_driver, software_driver
from harness.spec.formats import Backend, own_formats
from harness.wire import Delegate, Format
from harness.workflows import doctor
from harness.workflows.capability import STATES, VARIANTS, Capabilities, Capability, VariantCapability, probe
from harness.workflows.doctor import examine
from tests.artifacts.rows import change_row

# What has a reason in place of a file, of the runtimes that run here.
HOLES: dict[tuple[Format, str | None], tuple[str, ...]] = {
    (Format.PTE, Backend.XNNPACK.value): ("8da4w", "bf16", "int8-weight", "int16x8"),
    (Format.PTE, Backend.PORTABLE.value): ("8da4w", "int8-weight", "int4-weight", "int16x8"),
    (Format.TFLITE, None): ("8da4w", "bf16", "fp16-whole"),
    (Format.ONNX, None): ("8da4w", "bf16", "int16x8"),
    (Format.PTL, None): ("8da4w", "int8-weight", "int4-weight", "int16x8"),
}


class Recorder(Silent):
    """A progress that records the stages that start."""

    def __init__(self) -> None:
        self.started = 0

    def start(self, stage: str, total: int) -> None:
        self.started += len(stage) > 0 and total > 0


@pytest.mark.slow
def test_every_variant_and_delegate_is_tried_once(tmp_path: Path) -> None:
    recorder = Recorder()
    table = probe(Cache(tmp_path), recorder)
    variants = {(v.format, v.backend, v.variant): v for v in table.variants}
    formats = [f for f, row in own_formats().items() if not row.only_language]
    backends = {f: [b.value for b in Backend] if f is Format.PTE else [None] for f in formats}
    assert set(variants) == {(f, b, v) for f in formats for b in backends[f] for v in VARIANTS}
    for (format_, backend), unsupported in HOLES.items():
        rows = [v for v in table.variants if (v.format, v.backend) == (format_, backend)]
        assert {v.variant for v in rows if v.state is Capability.UNSUPPORTED} == set(unsupported), (format_, backend)
        assert {v.variant: v.detail for v in rows if v.variant not in unsupported and not _works(v)} == {}
        assert all(v.detail for v in rows)
    built = {key for key, v in variants.items() if v.state is Capability.BUILT}
    assert built == {
        *((Format.PTE, "vulkan", v) for v in ("fp32", "fp16", "int8", "int8-dynamic", "int8-weight")),
        *((Format.PTE, "coreml", v) for v in ("fp32", "fp16", "int8")),
        *((Format.MLPACKAGE, None, v) for v in ("fp32", "fp16", "fp16-whole", "int8", "int8-weight", "int4-weight")),
    }
    assert all(v.detail for v in variants.values() if v.state is not Capability.WORKS)
    elsewhere = {(d.format, d.delegate) for d in table.delegates if d.state is Capability.BUILT}
    coreml = {(Format.PTE, Delegate.COREML), (Format.MLPACKAGE, Delegate.COREML)}
    assert elsewhere == coreml | {(Format.PTE, Delegate.GPU)}
    states = {(d.format.value, d.delegate.value): d.state for d in table.delegates if d.state is Capability.WORKS}
    host = {("tflite", "xnnpack"), ("tflite", "cpu"), ("onnx", "cpu"), ("pte", "xnnpack"), ("pte", "cpu")}
    gpu = {("tflite", "gpu")} if software_driver() or has_own_driver(os.environ) else set()
    assert set(states) == host | gpu | {("ptl", "cpu")}
    details = {(d.format, d.delegate): d.detail for d in table.delegates}
    assert "no xnnpack delegate on this host" in details[Format.ONNX, Delegate.XNNPACK]
    assert (" on " if gpu else "no Vulkan driver") in details[Format.TFLITE, Delegate.GPU]
    assert recorder.started == 1
    assert probe(Cache(tmp_path), recorder) == table
    assert recorder.started == 1


def _works(variant: VariantCapability) -> bool:
    return variant.state is Capability.WORKS and variant.detail.endswith("dB against float")


def _tried(table: Capabilities) -> list[VariantCapability]:
    """The variants that no format and backend refuses beforehand."""
    return [v for v in table.variants if v.variant in ("fp32", "fp16", "int8")]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for format_ in Format:
        change_row(monkeypatch, format_, packages=("no-such-package",))


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_missing_is_a_hole_and_what_failed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(STATES, ArtifactState.UNSUPPORTED, Capability.FAILED)
        assert {v.state for v in _tried(probe(Cache(tmp_path), Silent()))} == {Capability.FAILED}
    table = probe(Cache(tmp_path), Silent())
    assert {v.state for v in table.variants} == {d.state for d in table.delegates} == {Capability.UNSUPPORTED}
    assert all("pip install 'phonebench[" in v.detail for v in _tried(table))
    assert all(v.detail for v in table.variants)
    assert all(d.detail for d in table.delegates)


def test_the_doctor_finds_what_is_installed() -> None:
    found = {package.name: package for package in examine().packages}
    assert found["torch"].version is not None
    assert (found["torch"].extra, found["onnxruntime"].extra) == ("torch", "onnx")
    assert examine().cores >= 1


@pytest.mark.parametrize(
    ("packages", "advice"),
    [
        ((("torch", "numpy", "x"),), "Everything is installed."),
        (
            (("torch", "no-such-a", "x"), ("onnx", "no-such-b", "x"), ("torch", "no-such-c", "x")),
            "To install what is missing: pip install 'phonebench[torch,onnx]', or only the extras you need",
        ),
    ],
)
def test_the_doctor_ends_with_the_one_command(packages: tuple[tuple[str, str, str], ...], advice: str) -> None:
    found = examine(packages)
    assert found.advice == advice
    assert [p.name for p in found.packages] == [name for _, name, _ in packages]


def test_the_extras_of_the_doctor_are_those_of_the_project() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for extra, name, _ in doctor.optional_packages():
        assert f"\n{extra} = [" in text
        assert re.search(rf'"{name}(\[[\w-]+\])?(==|>=)', text), name


def test_the_doctor_knows_every_extra_that_brings_packages() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_bytes()
    extras = set(tomllib.loads(text.decode())["project"]["optional-dependencies"])
    listed = {extra for extra, _, _ in doctor.optional_packages()}
    # These two bring others, and what only contributors need.
    assert listed >= extras - {"all", "dev"} - (set() if platform.machine() == "x86_64" else {"qnn"})
