"""Core ML ``.mlpackage`` by coremltools, as one zip. It is built here and runs on Apple's systems only.

A package is a folder whose items have random names and the date in them. The zip is made identical for identical
networks: items are named by position, times are fixed, and facts about the build are left out.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from harness.artifacts.export.coreml import import_coremltools, quantised
from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.readers.archive import read_members
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe
from harness.system.decoding import plain_json
from harness.wire import DType

# The folder in the zip.
ROOT = "model.mlpackage"
_MANIFEST = "Manifest.json"
# The converter adds this file if ExecuTorch is loaded. Nothing reads it on a phone.
_LEFT_OUT = ("executorch_debug_handle_mapping.json",)
# The earliest date that a zip can hold.
_DATE = (1980, 1, 1, 0, 0, 0)
_WEIGHTS = "com.apple.CoreML/weights"


class MlpackageExporter:
    """Converts the network once in float16 and compresses the weights of that; float32 and int8 are separate."""

    def __init__(self, source: FloatModel) -> None:
        self._source = source
        self._ct = import_coremltools()
        self._half: Any = None

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the variant to ``path``, a zip."""
        precision = self._ct.precision
        match recipe.precision:
            case Precision.FP32:
                model = self._convert(self._source.exportable(), precision.FLOAT32, float_io=True)
            case Precision.FP16:
                whole = not recipe.float_io
                model = (
                    self._convert(self._source.exportable(), precision.FLOAT16, float_io=False)
                    if whole
                    else self._base()
                )
            case Precision.INT8:
                model = self._convert(quantised(self._source, recipe), precision.FLOAT16, float_io=True)
            case Precision.INT8_WEIGHT:
                model = self._linear_weights()
            case Precision.INT4_WEIGHT:
                model = self._palettised()
            case _:
                msg = f"phonebench cannot build mlpackage in {recipe.precision.value}"
                raise UnsupportedError(msg)
        with tempfile.TemporaryDirectory(prefix="phonebench-mlpackage-") as folder:
            package = Path(folder) / ROOT
            model.save(str(package))
            pack(package, path)

    def _base(self) -> Any:
        if self._half is None:
            self._half = self._convert(self._source.exportable(), self._ct.precision.FLOAT16, float_io=True)
        return self._half

    def _convert(self, network: Any, precision: Any, *, float_io: bool) -> Any:
        import numpy as np
        import torch

        ct = self._ct
        program = torch.export.export(network, self._source.example()).run_decompositions({})
        floats = np.float32 if float_io else np.float16
        types = {DType.FLOAT32: floats, DType.FLOAT16: floats}
        inputs = [
            ct.TensorType(name=spec.name, shape=spec.shape, dtype=types.get(spec.dtype, np.int32))
            for spec in self._source.inputs
        ]
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS17,
            # Loading a model needs macOS.
            skip_model_load=True,
            compute_precision=precision,
            inputs=inputs,
            outputs=[ct.TensorType(dtype=floats) for _ in _outputs(program)],
        )
        # It has the versions of the converter, which are in the manifest already.
        model.user_defined_metadata.clear()
        return model

    def _linear_weights(self) -> Any:
        import coremltools.optimize.coreml as cto

        # By default small weights are left uncompressed.
        rules = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
        return cto.linear_quantize_weights(self._base(), cto.OptimizationConfig(global_config=rules))

    def _palettised(self) -> Any:
        """Compress the weights to sixteen shared values per tensor, found by k-means, and 4-bit indices."""
        import coremltools.optimize.coreml as cto

        rules = cto.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=0)
        return cto.palettize_weights(self._base(), cto.OptimizationConfig(global_config=rules))


def _outputs(program: Any) -> list[Any]:
    return list(program.graph_signature.user_outputs)


def pack(package: Path, path: Path) -> None:
    """Write the folder ``package`` as a zip that is identical for identical content."""
    names = sorted(file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            if name in _LEFT_OUT:
                continue
            content = (package / name).read_bytes()
            entry = zipfile.ZipInfo(f"{ROOT}/{name}", date_time=_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # The permissions are in the upper 16 bits; by default they would be none at all.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _named_by_place(content) if name == _MANIFEST else content)


def _named_by_place(content: bytes) -> bytes:
    """Return the package's list of its items with numbers in place of the random names."""
    manifest = json.loads(content)
    items = sorted(manifest["itemInfoEntries"].items(), key=lambda item: str(item[1]["path"]))
    names = {old: f"00000000-0000-4000-8000-{place:012d}" for place, (old, _) in enumerate(items)}
    manifest["itemInfoEntries"] = {names[old]: value for old, value in items}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    return json.dumps(manifest, indent=2, sort_keys=True).encode()


def describe_package(path: Path) -> str:
    """Return what is in the zip at ``path``, without running it. Raises `ValueError` if it does not parse."""
    import_coremltools()
    from coremltools.proto import Model_pb2
    from google.protobuf.message import DecodeError

    try:
        listed = f"{ROOT}/{_MANIFEST}"
        manifest = plain_json(read_members(path, lambda name: name == listed)[listed].decode())
        root = f"{ROOT}/Data/{manifest['itemInfoEntries'][manifest['rootModelIdentifier']]['path']}"
        model = Model_pb2.Model.FromString(read_members(path, lambda name: name == root)[root])
        with zipfile.ZipFile(path) as archive:
            weights = sum(i.file_size for i in archive.infolist() if _WEIGHTS in i.filename)
    except (OSError, AttributeError, LookupError, TypeError, ValueError, DecodeError) as error:
        msg = f"{path.name} does not parse: {error}"
        raise ValueError(msg) from error
    functions = model.mlProgram.functions.values()
    blocks = [block for function in functions for block in function.block_specializations.values()]
    operations = sum(op.type != "const" for block in blocks for op in block.operations)
    return f"specification {model.specificationVersion}, {operations} operations, {weights:,} bytes of weights"
