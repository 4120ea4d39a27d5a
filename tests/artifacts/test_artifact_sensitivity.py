from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.build import build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Manifest
from harness.artifacts.sensitivity.scan_model import scan_model
from harness.errors import BuildError, UsageError
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.progress import Silent
from harness.spec.recipe import KeepFloat, Precision, Quantisation, Recipe
from harness.wire import Format
from tests.artifacts.builders import CARD
from tests.artifacts.orders import order
from tests.model.folders import make_folder

DIGITS_LAYERS = 10


def test_a_scan_is_made_once_by_a_worker(tmp_path: Path) -> None:
    card, cache = resolve(str(make_folder(tmp_path / "own")), ModelOptions()), Cache(tmp_path / "cache")
    first = scan_model(card, cache, Silent(), inputs=4)
    assert {unit.name for unit in first.units} == {"0", "3"}
    assert (first.inputs, first.random_inputs) == (4, True)
    assert scan_model(card, cache, Silent(), inputs=4) == first, "the time that it took would differ"
    assert scan_model(card, cache, Silent(), inputs=5).key != first.key


def test_what_cannot_be_scanned_is_said(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with pytest.raises(UsageError, match="from 1 to 1000"):
        scan_model(CARD, cache, Silent(), inputs=0)
    (tmp_path / "x.tflite").write_bytes(b"")
    with pytest.raises(UsageError, match="ready-made file"):
        scan_model(resolve(str(tmp_path / "x.tflite"), ModelOptions()), cache, Silent())
    own = make_folder(tmp_path / "own", network="from torch import nn\n\n\ndef build():\n    return nn.ReLU()\n")
    with pytest.raises(BuildError, match="no convolution or linear layer"):
        scan_model(resolve(str(own), ModelOptions()), cache, Silent())


KEPT = {
    "three": KeepFloat(share=0.3),
    "one": KeepFloat(share=0.01),
    "named": KeepFloat(layers=("features.1",)),
    "unknown": KeepFloat(layers=("features.9",)),
    "too-many": KeepFloat(sqnr_db=150.0),
}


@pytest.fixture(scope="module")
def mixed(working_cache: Path) -> dict[str, Manifest]:
    """Digits as int8 ``.onnx`` with each choice of layers that stay float."""
    recipes = {
        name: Recipe(name=name, precision=Precision.INT8, quantisation=Quantisation(keep_float=keep))
        for name, keep in KEPT.items()
    }
    builds = [Build(model="digits", variant=name, format=Format.ONNX, backend=None) for name in recipes]
    requested = order([resolve("digits", ModelOptions())], builds, recipes)
    artifacts = build_artifacts(requested, Cache(working_cache), Silent()).artifacts
    return {build.variant: artifact.manifest for build, artifact in artifacts.items()}


@pytest.mark.parametrize(
    ("name", "state", "kept"),
    [
        ("three", "ready", 3),
        ("one", "ready", 1),
        ("named", "ready", 2),
        ("unknown", "unsupported", 0),
        ("too-many", "unsupported", 0),
    ],
)
def test_the_manifest_names_the_layers_that_stay_float(
    mixed: dict[str, Manifest], name: str, state: str, kept: int
) -> None:
    manifest = mixed[name]
    assert (manifest.state, len(manifest.kept_float)) == (state, kept), manifest.reason
    assert manifest.reason is None or "keep_float" in manifest.reason
