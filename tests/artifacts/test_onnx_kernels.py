"""Static int8 ``.onnx`` rounds what integer kernels read, and nothing else; ONNX Runtime says which kernels it took."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from harness.artifacts.export.onnx_kernels import drop_roundings, float_parts, with_layers
from harness.artifacts.export.registry import EXPORTERS
from harness.wire import Format
from harness.wire.tensors import Array
from tests.artifacts.shop import float_model, make_network, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, WIDTH = 6, 16


class Recurrent(nn.Module):
    """A linear layer with a ReLU6, and an LSTM whose outputs another one scores at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(functional.relu6(8 * self.front(x)))
        scores: torch.Tensor = self.head(states)
        return scores


class Residual(nn.Module):
    """Two linear layers over a sequence with a ReLU between them, and a sum that a layer norm reads."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4)
        self.norm.weight.data.uniform_(0.1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.norm(x + self.down(functional.relu(self.up(x)))))
        return scores


class Convolved(nn.Module):
    """A sum of convolutions that a convolution reads, and at the end one that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(1, 4, 3, padding=1) for _ in range(3))
        self.join, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unsqueeze(1)
        y: torch.Tensor = self.last(self.join(self.a(x) + self.b(x))) + self.c(x)
        return y


def made(kind: type[nn.Module], folder: Path) -> tuple[Path, Array, nn.Module]:
    network = make_network(kind)
    inputs = np.random.default_rng(0).standard_normal((12, 1, ROWS, WIDTH)).astype(np.float32)
    path = folder / "model.onnx"
    EXPORTERS[Format.ONNX](float_model(network, inputs)).export(recipe("int8"), None, path)
    return path, inputs, network


def sqnr_db(path: Path, inputs: Array, network: nn.Module) -> float:
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    error = np.stack(list(run_file(path, inputs))) - expected
    return float(10 * np.log10((expected**2).sum() / (error**2).sum()))


def kernels(path: Path) -> Counter[str]:
    """The operators of the graph that ONNX Runtime makes of the file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def test_what_only_an_lstm_reads_is_not_rounded(tmp_path: Path) -> None:
    path, inputs, network = made(Recurrent, tmp_path)
    ran = kernels(path)
    # The input of each linear layer, and nothing else.
    assert (ran["QGemm"], ran["QuantizeLinear"], ran["DequantizeLinear"]) == (2, 2, 0)
    assert ran["Clip"] == 1
    assert sqnr_db(path, inputs, network) > 42


def test_a_linear_layer_over_a_sequence_adds_its_bias_before_it_rounds(tmp_path: Path) -> None:
    path, inputs, network = made(Residual, tmp_path)
    ran = kernels(path)
    assert ran["QGemm"] == 3
    # Both the ReLU and the sum with the bias are part of the first of them.
    assert not ran["Relu"] + ran["QLinearAdd"] + ran["MatMul"] + ran["Gemm"] + ran["QLinearMatMul"]
    assert sqnr_db(path, inputs, network) > 38
    norm = next(node for node in onnx.load(path).graph.node if node.op_type == "LayerNormalization")
    stored = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    assert stored[norm.input[1]].data_type == TensorProto.FLOAT


def test_a_sum_is_rounded_if_a_convolution_reads_it(tmp_path: Path) -> None:
    path, inputs, network = made(Convolved, tmp_path)
    ran = kernels(path)
    assert (ran["QLinearConv"], ran["QLinearAdd"], ran["Add"]) == (5, 1, 1)
    assert sqnr_db(path, inputs, network) > 30


def graph(nodes: list[onnx.NodeProto], weights: dict[str, Array], shape: tuple[int, ...]) -> onnx.ModelProto:
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def node(kind: str, inputs: str, output: str) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], name=f"{kind}-{output}")


def outputs(model: onnx.ModelProto, x: Array) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values: Array = session.run(None, {"x": x})[0]
    return values


def random(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("nodes", "shape", "merged"),
    [
        ([node("MatMul", "x w", "p"), node("Add", "p b", "y")], (2, 3, 4), ["Reshape", "Gemm", "Reshape"]),
        ([node("MatMul", "x w", "p"), node("Add", "b p", "y")], (3, 4), ["Reshape", "Gemm", "Reshape"]),
        (
            [node("MatMul", "x w", "p"), node("Add", "p b", "s"), node("Clip", "s zero six", "y")],
            (1, 3, 4),
            ["Reshape", "Gemm", "Clip", "Reshape"],
        ),
        ([node("MatMul", "x w", "p"), node("Relu", "p", "y")], (1, 3, 4), ["Reshape", "Gemm", "Relu", "Reshape"]),
        # The product is read twice, the constant has a value per row, and the input is a vector.
        (
            [node("MatMul", "x w", "p"), node("Add", "p b", "s"), node("Mul", "s p", "y")],
            (1, 3, 4),
            ["Reshape", "Gemm", "Reshape", "Add", "Mul"],
        ),
        (
            [node("MatMul", "x w", "p"), node("Add", "p rows", "y")],
            (1, 3, 4),
            ["Reshape", "Gemm", "Reshape", "Add"],
        ),
        ([node("MatMul", "x w", "p"), node("Add", "p b", "y")], (4,), ["MatMul", "Add"]),
    ],
)
def test_layers_compute_what_the_product_and_the_sum_did(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...], merged: list[str]
) -> None:
    weights = {"w": random(4, 5), "b": random(5), "rows": random(3, 1), "zero": np.float32(0), "six": np.float32(1)}
    model = graph(nodes, {name: np.asarray(values) for name, values in weights.items()}, shape)
    changed = with_layers(model, [])
    assert [each.op_type for each in changed.graph.node] == merged
    np.testing.assert_allclose(outputs(changed, random(*shape)), outputs(model, random(*shape)), atol=1e-6)


def test_products_that_stay_in_float_are_not_changed() -> None:
    model = graph([node("MatMul", "x w", "y")], {"w": random(4, 5)}, (1, 3, 4))
    assert [each.op_type for each in with_layers(model, ["MatMul-y"]).graph.node] == ["MatMul"]


def branch(read: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    return helper.make_graph([node("Identity", read, "z")], "branch", [], [output])


def test_what_a_branch_reads_stays_rounded() -> None:
    choice = helper.make_node("If", ["yes"], ["y"], name="If", then_branch=branch("p"), else_branch=branch("q"))
    layers = [node("Gemm", "x w", "p"), node("Gemm", "x w", "q"), node("Gemm", "x w", "r"), choice]
    model = graph(layers, {"w": random(4, 5), "yes": np.array(True)}, (3, 4))
    assert float_parts(model, []).values >= {"r", "y"}
    assert not float_parts(model, []).values & {"p", "q"}


def rounded(value: str, after: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", f"{value} scale zero", f"{after}_q"),
        node("DequantizeLinear", f"{after}_q scale zero", after),
    ]


@pytest.mark.parametrize(
    ("layer", "weight", "stays"),
    [("Gemm", (4, 5), 0), ("MatMul", (4, 5), 2)],
)
def test_an_output_is_rounded_only_if_its_kernel_gives_integers(
    layer: str, weight: tuple[int, ...], stays: int
) -> None:
    weights = {"w": random(*weight), "scale": np.array(0.5, np.float32), "zero": np.array(0, np.uint8)}
    plain = graph([node(layer, "x w", "y")], {"w": weights["w"]}, (3, 4))
    nodes = [node(layer, "x w", "y_QuantizeLinear_Input"), *rounded("y_QuantizeLinear_Input", "y")]
    model = graph(nodes, weights, (3, 4))
    drop_roundings(model, float_parts(plain, []))
    assert len(model.graph.node) == 1 + stays
    assert [end.name for end in model.graph.output] == ["y"]
    if not stays:
        np.testing.assert_array_equal(outputs(model, random(3, 4)), outputs(plain, random(3, 4)))
