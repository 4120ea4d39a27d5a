"""Small prepared models and manifests, written by hand so that tests of what reads them need no torch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.sources.prepared_model import (
    CALIBRATION_FILE,
    LABELS_FILE,
    PREPARED_FILE,
    REFERENCE_FILE,
    Prepared,
    PreparedModel,
)
from harness.model.card import ModelCard, SourceKind, Task
from harness.spec.shorthand import parse_recipe
from harness.system.files import file_sha256
from harness.wire import INPUTS_FILE, DType, Format, TensorSpec
from harness.wire.tensors import write_tensors

KEY = "5f" * 32
Floats = npt.NDArray[np.float32]

CARD = ModelCard(
    name="tiny",
    task=Task.CLASSIFICATION,
    kind=SourceKind.PYTHON,
    source="network:build",
    folder=None,
    weights=None,
    license="",
    inputs=(),
    data=None,
    random_weights=False,
    seed=0,
)

FACTS = Prepared(
    key="source",
    model="tiny",
    inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 2)),),
    outputs=(TensorSpec(name="output_0", dtype=DType.FLOAT32, shape=(1, 2)),),
    weights_sha256="weights",
    data_sha256="data",
    calibration_sha256="calibration",
    test_count=4,
    calibration_count=4,
    labelled=False,
    random_inputs=False,
    random_calibration=False,
    parameters=6,
    float_correct=None,
)


def make_manifest(**changes: Any) -> Manifest:
    """The manifest of a verified float onnx file."""
    blank = Manifest(
        key=KEY,
        model="tiny",
        variant="fp32",
        recipe=parse_recipe("fp32"),
        format=Format.ONNX,
        backend=None,
        state=ArtifactState.READY,
        versions={"onnxruntime": "1"},
    )
    return replace(blank, **changes)


def sha256(data: bytes) -> str:
    """The digest of ``data``."""
    return hashlib.sha256(data).hexdigest()


def make_prepared(folder: Path, reference: Floats, labels: Any = None, **changes: Any) -> PreparedModel:
    """Write an entry whose inputs are also its reference outputs, of shape (count, classes)."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = reference.reshape(len(reference), 1, -1)
    tensor = TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, rows.shape[2]))
    for name in (INPUTS_FILE, CALIBRATION_FILE, REFERENCE_FILE):
        write_tensors(folder / name, [rows], [tensor])
    if labels is not None:
        np.save(folder / LABELS_FILE, np.asarray(labels, dtype=np.int64))
    facts = replace(
        FACTS,
        inputs=(tensor,),
        outputs=(replace(tensor, name="output_0"),),
        data_sha256=file_sha256(folder / INPUTS_FILE),
        calibration_sha256=file_sha256(folder / CALIBRATION_FILE),
        test_count=len(rows),
        calibration_count=len(rows),
        labelled=labels is not None,
        files={file.name: file_sha256(file) for file in folder.iterdir()},
    )
    facts = replace(facts, **changes)
    (folder / PREPARED_FILE).write_bytes(msgspec.json.encode(facts))
    return PreparedModel(facts=facts, folder=folder)


def onnx_file(path: Path, operator: str, operand: Floats, shape: tuple[int | str, ...] = (1, 2)) -> Path:
    """Write a file that returns ``operator(x, operand)`` for its input x. A size given as a word is open."""
    import onnx

    make = onnx.helper
    shapes = [("x", list(shape)), ("y", None)]
    inputs, outputs = (make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes)
    nodes = [make.make_node(operator, ["x", "operand"], ["y"])]
    constants = [onnx.numpy_helper.from_array(operand.astype(np.float32), "operand")]
    graph = make.make_graph(nodes, "net", [inputs], [outputs], constants)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path
