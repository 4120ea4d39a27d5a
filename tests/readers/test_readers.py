"""What a file says about itself, compared with what its own library says."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.readers.facts import OPEN, FileTensor
from harness.readers.onnx import read_onnx
from harness.readers.pte import read_pte_tensors
from harness.readers.ptl import read_ptl
from harness.readers.read import READERS, read_file
from harness.readers.tflite import read_tflite
from harness.wire import DType, Format
from tests.readers.tflite_files import tflite_file

onnx: Any = pytest.importorskip("onnx")
make, numbers = onnx.helper, onnx.numpy_helper
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
OPSET = [make.make_opsetid("", 17)]


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: Sequence[Any] = ()) -> Path:
    graph = make.make_graph(nodes, "net", inputs, outputs, weights)
    onnx.save(make.make_model(graph, opset_imports=OPSET, ir_version=9), str(path))
    return path


def test_an_onnx_file_tells_its_tensors_as_onnx_does(tmp_path: Path) -> None:
    inputs = [
        make.make_tensor_value_info("x", FLOAT, [1, "rows", None]),
        make.make_tensor_value_info("sr", INT64, []),
        make.make_tensor_value_info("any", FLOAT, None),
    ]
    nodes = [make.make_node("Identity", ["x"], ["y"]), make.make_node("Identity", ["sr"], ["z"])]
    outputs = [make.make_tensor_value_info("y", FLOAT, [1, "rows", None]), make.make_tensor_value_info("z", INT64, [])]
    facts = read_onnx(save(tmp_path / "net.onnx", nodes, inputs, outputs))
    assert facts.inputs == (
        FileTensor(name="x", kind="float32", shape=(1, OPEN, OPEN)),
        FileTensor(name="sr", kind="int64", shape=()),
        FileTensor(name="any", kind="float32", shape=None),
    )
    assert facts.outputs is not None
    assert [(t.name, t.kind, t.shape) for t in facts.outputs] == [("y", "float32", (1, OPEN, OPEN)), ("z", "int64", ())]


@pytest.mark.parametrize("number", sorted(onnx.TensorProto.DataType.values())[1:])
def test_every_element_type_of_onnx_has_a_name(tmp_path: Path, number: int) -> None:
    value = make.make_tensor_value_info("x", number, [2])
    facts = read_onnx(save(tmp_path / "net.onnx", [], [value], [value]))
    name = onnx.TensorProto.DataType.Name(number).lower()
    assert facts.inputs is not None
    assert facts.inputs[0].kind == {"float": "float32", "double": "float64", "string": "strings"}.get(name, name)
    plain = {"float16", "float", "double", "bool", "int8", "int16", "int32", "int64"}
    assert (facts.inputs[0].dtype is not None) == (name in plain | {"uint8", "uint16", "uint32", "uint64"})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (make.make_tensor_sequence_value_info("y", FLOAT, None), "a sequence"),
        (make.make_value_info("y", make.make_map_type_proto(INT64, make.make_tensor_type_proto(FLOAT, []))), "a map"),
        (make.make_sparse_tensor_value_info("y", FLOAT, [2, 2]), "a sparse tensor"),
        (
            make.make_value_info("y", make.make_optional_type_proto(make.make_tensor_type_proto(FLOAT, []))),
            "an optional",
        ),
    ],
)
def test_what_is_no_tensor_is_named(tmp_path: Path, value: Any, words: str) -> None:
    facts = read_onnx(save(tmp_path / "net.onnx", [], [], [value]))
    assert facts.outputs is not None
    assert facts.outputs[0].kind.startswith(words)
    assert facts.outputs[0].dtype is None


def test_the_weights_of_onnx_are_counted_wherever_they_are(tmp_path: Path) -> None:
    """In initialisers (which old files list among the inputs), in constants, and in the branches of an If."""
    half = np.ones((3, 5), np.float16)
    branch = make.make_graph(
        [make.make_node("Constant", [], ["b"], value=numbers.from_array(np.ones(7, np.int8), "c"))],
        "branch",
        [],
        [make.make_tensor_value_info("b", onnx.TensorProto.INT8, [7])],
    )
    nodes = [
        make.make_node("Constant", [], ["k"], value=numbers.from_array(half, "k")),
        make.make_node("If", ["q"], ["o"], then_branch=branch, else_branch=branch),
    ]
    weight = numbers.from_array(np.ones((4, 2), np.float32), "w")
    inputs = [
        make.make_tensor_value_info("w", FLOAT, [4, 2]),
        make.make_tensor_value_info("q", onnx.TensorProto.BOOL, []),
    ]
    outputs = [make.make_tensor_value_info("o", onnx.TensorProto.INT8, [7])]
    facts = read_onnx(save(tmp_path / "net.onnx", nodes, inputs, outputs, [weight]))
    assert facts.weights == {"float32": 8, "float16": 15, "int8": 14}
    assert facts.inputs is not None
    assert [tensor.name for tensor in facts.inputs] == ["q"]


def test_the_files_with_the_weights_of_onnx_are_named(tmp_path: Path) -> None:
    weights = [numbers.from_array(np.ones((64, 64), np.float32), name) for name in ("a", "b")]
    value = make.make_tensor_value_info("x", FLOAT, [64, 64])
    nodes = [make.make_node("Add", ["x", "a"], ["t"]), make.make_node("Add", ["t", "b"], ["y"])]
    outputs = [make.make_tensor_value_info("y", FLOAT, [64, 64])]
    model = make.make_model(make.make_graph(nodes, "net", [value], outputs, weights), opset_imports=OPSET)
    onnx.save(model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="net.data", size_threshold=0)
    facts = read_onnx(tmp_path / "net.onnx")
    assert facts.companions == ("net.data",)
    assert facts.weights == {"float32": 2 * 64 * 64}


@pytest.fixture(scope="module")
def network() -> Any:
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10)).eval()


def parameters(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("frozen", [False, True])
def test_the_weights_of_a_ptl_are_counted(tmp_path: Path, network: Any, frozen: bool) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, torch.zeros(1, 1, 8, 8))
        (torch.jit.freeze(traced) if frozen else traced)._save_for_lite_interpreter(str(tmp_path / "net.ptl"))
    facts = read_ptl(tmp_path / "net.ptl")
    assert facts.weights["float32"] == parameters(network)
    assert facts.inputs is None


_LOWER = """
import sys, torch
from pathlib import Path
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
for name in sys.argv[1:]:
    partitioners = [XnnpackPartitioner()] if name == "delegated" else []
    program = to_edge_transform_and_lower(torch.export.load(name + ".pt2"), partitioner=partitioners)
    Path(name + ".pte").write_bytes(program.to_executorch().buffer)
"""


@pytest.fixture(scope="module")
def programs(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``.pte`` files: ``portable``, ``delegated`` to XNNPACK, and ``open`` in one size.

    Made in a process of its own: ExecuTorch's exporter crashes where some other libraries are loaded.
    """
    torch: Any = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("programs")
    whole = torch.export.export(network, (torch.zeros(1, 1, 8, 8),))
    rows = torch.export.Dim("rows", min=2, max=16)
    linear = torch.nn.Linear(4, 3).eval()
    made = {
        "portable": whole,
        "delegated": whole,
        "open": torch.export.export(linear, (torch.zeros(8, 4),), dynamic_shapes=({0: rows},)),
    }
    for name, program in made.items():
        torch.export.save(program, folder / f"{name}.pt2")
    command = [sys.executable, "-P", "-W", "ignore", "-c", _LOWER, *made]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder


@pytest.mark.parametrize("name", ["portable", "delegated"])
def test_a_pte_tells_its_tensors_and_weights(programs: Path, network: Any, name: str) -> None:
    facts = read_pte_tensors(programs / f"{name}.pte")
    assert facts.inputs == (FileTensor(name="input_0", kind="float32", shape=(1, 1, 8, 8)),)
    assert facts.outputs == (FileTensor(name="output_0", kind="float32", shape=(1, 10)),)
    assert facts.weights == {"float32": parameters(network)}


def test_a_pte_of_open_sizes_tells_its_limits(programs: Path) -> None:
    facts = read_pte_tensors(programs / "open.pte")
    assert facts.inputs == (FileTensor(name="input_0", kind="float32", shape=(16, 4), bounded=True),)


def test_a_tflite_tells_what_its_interpreter_does(digits_files: dict[tuple[str, str], Path]) -> None:
    interpreter: Any = pytest.importorskip("ai_edge_litert.interpreter")
    for variant in ("fp32", "int8"):
        path = digits_files["tflite", variant]
        native = interpreter.Interpreter(model_path=str(path))
        native.allocate_tensors()
        facts = read_tflite(path)
        for tensors, details in (
            (facts.inputs, native.get_input_details()),
            (facts.outputs, native.get_output_details()),
        ):
            assert tensors is not None
            assert [t.kind for t in tensors] == [np.dtype(d["dtype"]).name for d in details]
            assert [t.shape for t in tensors] == [tuple(d["shape_signature"]) for d in details]
            assert [t.quantised for t in tensors] == [variant == "int8"] * len(details)
        assert facts.inputs is not None
        assert facts.inputs[0].dtype is DType.FLOAT32


def test_the_weights_of_a_tflite_are_those_of_its_buffers(digits_files: dict[tuple[str, str], Path]) -> None:
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    path = digits_files["tflite", "int8"]
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    expected: Counter[str] = Counter()
    for graph in model.subgraphs:
        for tensor in {t.buffer: t for t in graph.tensors if model.buffers[t.buffer].data is not None}.values():
            shape = tensor.shape if tensor.shape is not None else []
            expected[names[tensor.type]] += math.prod(int(n) for n in shape)
    assert read_tflite(path).weights == dict(expected)
    assert expected["int8"] > 0.9 * sum(expected.values())


@pytest.mark.parametrize("format_", list(READERS))
@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"\x00" * 200, b"\x1c\x00\x00\x00TFL3" + b"\xff" * 100])
def test_a_file_that_does_not_parse_is_left_to_its_runtime(tmp_path: Path, format_: Format, data: bytes) -> None:
    (tmp_path / "net").write_bytes(data)
    assert read_file(tmp_path / "net", format_) is None


def test_no_code_of_a_ptl_runs(tmp_path: Path) -> None:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # Calls os.system("touch HERE") when unpickled by pickle itself.
        archive.writestr("net/data.pkl", b"cos\nsystem\n(S'touch " + str(tmp_path / "here").encode() + b"'\ntR.")
    (tmp_path / "net.ptl").write_bytes(buffer.getvalue())
    read_ptl(tmp_path / "net.ptl")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("format_", ["onnx", "ptl", "pte"])
def test_the_int8_files_of_digits_hold_int8(digits_files: dict[tuple[str, str], Path], format_: str) -> None:
    """As many numbers of int8 as its convolutions and linear layers have weights, and a zero point per channel."""
    facts = read_file(digits_files[format_, "int8"], Format(format_))
    assert facts is not None
    torch: Any = pytest.importorskip("torch")
    from harness.model.card import ModelOptions
    from harness.model.network import load_network
    from harness.model.resolve import resolve

    layers = load_network(resolve("digits", ModelOptions())).modules()
    expected = sum(m.weight.numel() for m in layers if isinstance(m, torch.nn.Conv2d | torch.nn.Linear))
    assert facts.weights["int8"] + facts.weights.get("uint8", 0) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "signature", "expected"),
    [([], None, ()), ([2, 3], None, (2, 3)), ([1, 1, 1, 3], [1, -1, -1, 3], (1, OPEN, OPEN, 3))],
)
def test_a_tflite_tells_scalars_and_open_sizes(
    tmp_path: Path, shape: list[int], signature: list[int] | None, expected: tuple[int, ...]
) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_file("FLOAT32", shape, signature))
    assert read_tflite(tmp_path / "net.tflite").inputs == (FileTensor(name="x", kind="float32", shape=expected),)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("STRING", "strings"), ("RESOURCE", "a resource"), ("VARIANT", "a variant"), ("COMPLEX64", "complex64")],
)
def test_a_tflite_names_what_is_no_number(tmp_path: Path, kind: str, words: str) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_file(kind, [2]))
    (tensor,) = read_tflite(tmp_path / "net.tflite").inputs or ()
    assert (tensor.kind, tensor.dtype) == (words, None)
