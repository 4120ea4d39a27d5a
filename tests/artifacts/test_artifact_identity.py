"""The key of an artifact changes with everything that decides the file or its verification, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.artifacts import identity
from harness.artifacts.identity import artifact_key
from harness.plan.cells import Build
from harness.spec.formats import FORMATS, Backend
from harness.spec.recipe import AS_IS, Recipe
from harness.spec.shorthand import parse_recipe
from harness.wire import DType, Format, TensorSpec
from tests.artifacts.builders import FACTS
from tests.artifacts.rows import change_row

WIDER = (TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 3)),)


def key(
    variant: str = "fp32",
    *,
    format_: Format = Format.PTE,
    backend: Backend | None = Backend.XNNPACK,
    recipe: Recipe | None = None,
    **facts: Any,
) -> str:
    """The key of one artifact of the tiny model with some facts changed."""
    build = Build(model="tiny", variant=variant, format=format_, backend=backend)
    known = None if variant == AS_IS else recipe or parse_recipe(variant)
    return artifact_key(replace(FACTS, **facts), known, build)


def test_the_same_artifact_has_the_same_key() -> None:
    assert key() == key()
    assert len(key()) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"weights_sha256": "other"},
        {"data_sha256": "other"},
        {"key": "another forward, the same weights"},
        {"inputs": WIDER},
        {"variant": "fp16"},
        {"variant": "int8"},
        {"format_": Format.ONNX},
        {"backend": Backend.PORTABLE},
        {"variant": "int8-histogram"},
        {"variant": "fuse"},
        {"variant": "nhwc"},
    ],
)
def test_what_decides_the_file_or_its_figures_changes_the_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


@pytest.mark.parametrize(
    "changed", [{"model": "renamed"}, {"parameters": 7}, {"float_correct": 3}, {"files": {"a": "b"}}]
)
def test_what_decides_neither_leaves_the_key(changed: dict[str, Any]) -> None:
    assert key(**changed) == key()


@pytest.mark.parametrize(
    ("variant", "counts"), [("fp32", False), ("fp16", False), ("int8-dynamic", False), ("int8", True), (AS_IS, False)]
)
def test_calibration_counts_for_static_precisions_alone(variant: str, counts: bool) -> None:
    assert (key(variant, calibration_sha256="other") != key(variant)) is counts


def test_two_formats_of_the_same_packages_are_two_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    change_row(monkeypatch, Format.ONNX, packages=FORMATS[Format.PTE].packages, revision=FORMATS[Format.PTE].revision)
    assert key(format_=Format.ONNX) != key(format_=Format.PTE)


def test_a_package_that_takes_part_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before, ready = key(), key(AS_IS)
    change_row(monkeypatch, Format.PTE, packages=("torch", "numpy"))
    assert key() != before
    assert key(AS_IS) == ready
    change_row(monkeypatch, Format.PTE, runtime_packages=("numpy",))
    assert key(AS_IS) != ready


@pytest.mark.parametrize("variant", ["fp32", "int8", AS_IS])
def test_a_new_revision_of_the_verification_changes_every_key(monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    before = key(variant)
    monkeypatch.setattr(identity, "GATE_REVISION", identity.GATE_REVISION + 1)
    assert key(variant) != before


def test_a_new_revision_of_an_exporter_changes_the_keys_of_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    before, other = key(), key(format_=Format.ONNX, backend=None)
    change_row(monkeypatch, Format.PTE, revision=99)
    assert key() != before
    assert key(format_=Format.ONNX, backend=None) == other
