"""The nodes and edges of a file, compared with what its own library says, or with a count by hand."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.readers.graph import Graph, layer_in_path
from harness.readers.graph_onnx import read_onnx_graph
from harness.readers.graph_ptl import read_ptl_graph
from harness.readers.graph_tflite import read_tflite_graph
from harness.readers.read import GRAPH_READERS, read_graph
from harness.readers.tflite_operators import OPERATORS
from harness.wire import Format
from tests.readers.tflite_files import tflite_chain

onnx: Any = pytest.importorskip("onnx")
make, numbers = onnx.helper, onnx.numpy_helper
FLOAT, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL


def value(name: str, kind: int = FLOAT) -> Any:
    return make.make_tensor_value_info(name, kind, [4])


def save(path: Path, nodes: list[Any], inputs: list[Any], weights: list[Any]) -> Path:
    graph = make.make_graph(nodes, "net", inputs, [value("y")], weights)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def chain_of(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(node.kind, node.after) for node in graph.nodes]


def weights_of(graph: Graph) -> list[int]:
    return [math.prod(node.weight_shape) for node in graph.nodes if math.prod(node.weight_shape or (0,)) > 50]


def test_the_edges_of_an_onnx_file_follow_its_tensors_and_packed_weights_are_no_nodes(tmp_path: Path) -> None:
    weights = [
        numbers.from_array(np.ones((4, 4), np.int8), "blocks.0.fc.weight_quantized"),
        numbers.from_array(np.float32(0.1), "scale"),
        numbers.from_array(np.ones(4, np.float32), "blocks.0.fc.bias"),
    ]
    nodes = [
        make.make_node("DequantizeLinear", ["blocks.0.fc.weight_quantized", "scale"], ["w"]),
        make.make_node("Gemm", ["x", "w", "blocks.0.fc.bias"], ["h"], name="fc"),
        make.make_node("Relu", ["h"], ["r"]),
        make.make_node("Add", ["r", "x"], ["y"]),
    ]
    graph = read_onnx_graph(save(tmp_path / "net.onnx", nodes, [value("x")], weights))
    assert chain_of(graph) == [("Gemm", ()), ("Relu", (0,)), ("Add", (1,))]
    gemm = graph.nodes[0]
    # 16 bytes of int8, 4 of the scale, 16 of the bias.
    assert (gemm.layer, gemm.weight_type, gemm.weight_shape, gemm.stored_bytes) == ("blocks.0.fc", "int8", (4, 4), 36)


def test_what_the_body_of_an_if_reads_is_an_edge_of_the_if(tmp_path: Path) -> None:
    def body(name: str, source: str) -> Any:
        return make.make_graph([make.make_node("Neg", [source], [f"{name}_out"])], name, [], [value(f"{name}_out")])

    nodes = [
        make.make_node("Abs", ["x"], ["a"]),
        make.make_node("Exp", ["x"], ["e"]),
        make.make_node("If", ["which"], ["y"], then_branch=body("one", "a"), else_branch=body("two", "e")),
    ]
    graph = read_onnx_graph(save(tmp_path / "net.onnx", nodes, [value("x"), value("which", BOOL)], []))
    assert chain_of(graph)[2] == ("If", (0, 1))


def test_a_shared_tensor_counts_once(tmp_path: Path) -> None:
    weights = [numbers.from_array(np.ones((4, 4), np.float32), "table.weight")]
    nodes = [
        make.make_node("MatMul", ["x", "table.weight"], ["h"]),
        make.make_node("MatMul", ["h", "table.weight"], ["y"]),
    ]
    graph = read_onnx_graph(save(tmp_path / "net.onnx", nodes, [value("x")], weights))
    assert [node.stored_bytes for node in graph.nodes] == [64, 0]
    assert {node.layer for node in graph.nodes} == {"table"}


def test_a_tflite_chain_is_a_chain_of_the_operators_of_its_schema(tmp_path: Path) -> None:
    kinds = ("ABS", "RELU", "LOGISTIC", "GELU")
    (tmp_path / "net.tflite").write_bytes(tflite_chain(kinds))
    graph = read_tflite_graph(tmp_path / "net.tflite")
    assert chain_of(graph) == [(kind, (at - 1,) if at else ()) for at, kind in enumerate(kinds)]


def test_the_operators_of_litert_have_the_numbers_of_its_schema() -> None:
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    stated = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    assert {number: OPERATORS[number] for number in stated if number < len(OPERATORS)} == stated


@pytest.mark.parametrize("format_", ["pte", "tflite", "ptl"])
def test_every_format_of_digits_has_the_layers_of_the_onnx_file(
    digits_files: dict[tuple[str, str], Path], format_: str
) -> None:
    model = onnx.load(str(digits_files["onnx", "fp32"]))
    stored = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    expected = [stored[node.input[1]] for node in layers]
    assert len(expected) == 10
    graph = GRAPH_READERS[Format(format_)](digits_files[format_, "fp32"])
    assert weights_of(graph) == expected
    # One network from one input to one output.
    ends = set(range(len(graph.nodes))) - {at for node in graph.nodes for at in node.after}
    assert [at for at, node in enumerate(graph.nodes) if not node.after] == [0]
    assert ends == {len(graph.nodes) - 1}


def test_a_pte_says_which_backend_runs_its_nodes(digits_files: dict[tuple[str, str], Path]) -> None:
    graph = read_graph(digits_files["pte", "int8"], Format.PTE)
    assert graph is not None
    assert {node.backend for node in graph.nodes} == {"xnnpack"}
    assert {node.weight_type for node in graph.nodes if node.weight_shape} == {"int8"}


CODE = """\
class Net(Module):
  __parameters__ = []
  def forward(self: __torch__.Net, x: Tensor) -> Tensor:
    a = torch.relu(x)
    b = [a, torch.neg(x)]
    c = torch.cat(b, 1)
    if bool(torch.any(c)):
      d = torch.exp(c)
    else:
      d = c
    return ops.quantized.add(d, CONSTANTS.c0)
"""


def test_lists_branches_and_nested_calls_of_a_ptl_are_edges(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.ptl", "w") as archive:
        archive.writestr("net/code/__torch__/net.py", CODE)
    graph = read_ptl_graph(tmp_path / "net.ptl")
    assert chain_of(graph) == [
        ("aten::relu", ()), ("aten::neg", ()), ("aten::cat", (0, 1)), ("aten::any", (2,)), ("aten::exp", (2,)),
        ("quantized::add", (2, 4)),
    ]  # fmt: skip


def test_no_code_of_a_ptl_runs_while_its_graph_is_read(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    with zipfile.ZipFile(tmp_path / "net.ptl", "w") as archive:
        archive.writestr("net/code/__torch__/net.py", CODE)
        archive.writestr("net/constants.pkl", f"cos\nsystem\n(S'touch {proof}'\ntR.".encode())
    assert read_graph(tmp_path / "net.ptl", Format.PTL) is None
    assert not proof.exists()


@pytest.mark.parametrize("format_", [Format.ONNX, Format.TFLITE, Format.PTE, Format.PTL, Format.MLPACKAGE])
def test_a_file_that_cannot_be_read_has_no_graph(tmp_path: Path, format_: Format) -> None:
    (tmp_path / "net").write_bytes(b"\x08\x01TFL3ET12 not a model" * 9)
    assert read_graph(tmp_path / "net", format_) is None
    assert read_graph(tmp_path / "missing", format_) is None


LITERT = "my_pkg.Net/torch.nn.modules.container.Sequential_features/"


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/head/Gemm", "head"),
        ("node_conv2d", ""),
        (f"{LITERT}torch.nn.modules.conv.Conv2d_0;1", "features.0"),
        (f"x.BatchNorm2d__bn;;{LITERT}torch.nn.modules.conv.Conv2d_0;", "features.0"),
        ("my_pkg.Net", ""),
        ("model/block_1/conv/Conv2D", "model.block_1.conv"),
        ("", ""),
    ],
)
def test_the_layer_is_read_from_the_names_that_converters_write(path: str, layer: str) -> None:
    assert layer_in_path(path) == layer
