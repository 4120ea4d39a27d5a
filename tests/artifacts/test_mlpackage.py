"""Core ML packages: one zip, identical for the same network, with the requested precision inside."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.export.coreml import import_coremltools
from harness.artifacts.manifest import ArtifactState
from harness.artifacts.verify.inspect import check_unrun
from harness.wire import Format
from tests.artifacts.tiny import Bench, image_card

pytestmark = pytest.mark.filterwarnings("ignore")

WEIGHTS = "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
# The static quantiser exports its patterns each time, which takes a quarter of a minute on one core.
INT8 = pytest.param("int8", marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("mlpackage"))


def package(bench: Bench, variant: str) -> Path:
    manifest = bench.make(image_card(bench.cache.root), variant, Format.MLPACKAGE)
    assert (manifest.state, manifest.reason) == (ArtifactState.UNVERIFIED, None)
    assert manifest.file == "model.mlpackage.zip"
    assert "specification 8" in (manifest.checked or "")
    return bench.path(manifest)


def model_of(path: Path) -> Any:
    """The Core ML model in the zip, located the way Core ML does."""
    import_coremltools()
    from coremltools.proto import Model_pb2

    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("model.mlpackage/Manifest.json"))
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        return Model_pb2.Model.FromString(archive.read(f"model.mlpackage/Data/{root}"))


def operations(path: Path) -> set[str]:
    """The kinds of operations in the program."""
    functions = model_of(path).mlProgram.functions.values()
    return {op.type for f in functions for block in f.block_specializations.values() for op in block.operations}


def test_weights_shrink_with_the_precision(bench: Bench) -> None:
    sizes = {}
    for variant in ("fp32", "fp16", "int8-weight", "int4-weight"):
        with zipfile.ZipFile(package(bench, variant)) as archive:
            sizes[variant] = archive.getinfo(WEIGHTS).file_size
    assert sizes["fp32"] > sizes["fp16"] > sizes["int8-weight"]
    assert sizes["fp16"] > sizes["int4-weight"]


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("int4-weight", "constexpr_lut_to_dense"),
        ("int8-weight", "constexpr_affine_dequantize"),
        pytest.param("int8", "quantize", marks=pytest.mark.slow),
    ],
)
def test_each_precision_has_its_own_operations(bench: Bench, variant: str, kind: str) -> None:
    assert kind in operations(package(bench, variant))
    assert kind not in operations(package(bench, "fp16"))


@pytest.mark.parametrize("variant", ["fp32", "fp16", INT8])
def test_inputs_have_the_names_of_the_card_and_stay_float32(bench: Bench, variant: str) -> None:
    description = model_of(package(bench, variant)).description
    assert [i.name for i in description.input] == ["picture"]
    arrays = [t.type.multiArrayType for t in (*description.input, *description.output)]
    assert [list(a.shape) for a in arrays] == [[1, 3, 6, 5], [1, 4]]
    assert {a.dataType for a in arrays} == {arrays[0].FLOAT32}


def test_the_same_network_gives_the_same_zip(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path)
    assert package(bench, "fp16").read_bytes() == package(other, "fp16").read_bytes()


def test_a_cut_off_package_is_broken(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "model.mlpackage.zip"
    path.write_bytes(package(bench, "fp32").read_bytes()[:-30])
    check = check_unrun(path, Format.MLPACKAGE, None)
    assert check.state is ArtifactState.BROKEN
    assert "does not parse" in (check.reason or "")
