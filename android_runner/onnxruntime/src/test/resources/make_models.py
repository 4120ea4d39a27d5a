"""Makes the models of the tests here. Run ``python make_models.py`` with the packages onnx and numpy.

``mixed.onnx`` has every sort of tensor that goes over the wire, ``open.onnx`` an open dimension, ``scalar.onnx`` an
input and an output without dimensions, ``text.onnx`` an output of text, and ``apart.onnx`` keeps its weights in a file
of its own. ``context.onnx`` is compiled for another processor, as far as a runtime without that processor can see.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
OPSET = [helper.make_opsetid("", 17)]
WEIGHTS = np.array([[1, 0, 2], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=np.float32)


def value(name: str, kind: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    """Return the description of an input or an output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """Return a model with ``weights`` among its constants."""
    graph = helper.make_graph(nodes, "test", inputs, outputs, [numpy_helper.from_array(WEIGHTS, "weights")])
    made = helper.make_model(graph, opset_imports=OPSET, ir_version=8, producer_name="phonebench")
    onnx.checker.check_model(made)
    return made


def mixed() -> onnx.ModelProto:
    """``image @ weights + tokens + wide`` as float32, float16 and float64, and whether it is over 3."""
    nodes = [
        helper.make_node("MatMul", ["image", "weights"], ["product"]),
        helper.make_node("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["wide"], ["narrow"], to=TensorProto.FLOAT),
        helper.make_node("Sum", ["product", "numbers", "narrow"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["sum"], ["double"], to=TensorProto.DOUBLE),
        helper.make_node("Constant", [], ["three"], value_float=3.0),
        helper.make_node("Greater", ["sum", "three"], ["over"]),
    ]
    inputs = [
        value("image", TensorProto.FLOAT, [1, 4]),
        value("tokens", TensorProto.INT32, [1, 3]),
        value("wide", TensorProto.DOUBLE, [1, 3]),
    ]
    outputs = [
        value("sum", TensorProto.FLOAT, [1, 3]),
        value("half", TensorProto.FLOAT16, [1, 3]),
        value("double", TensorProto.DOUBLE, [1, 3]),
        value("over", TensorProto.BOOL, [1, 3]),
    ]
    return model(nodes, inputs, outputs)


def product(rows: int | str) -> onnx.ModelProto:
    """``image @ weights``."""
    nodes = [helper.make_node("MatMul", ["image", "weights"], ["product"])]
    inputs = [value("image", TensorProto.FLOAT, [rows, 4])]
    return model(nodes, inputs, [value("product", TensorProto.FLOAT, [rows, 3])])


def scalar() -> onnx.ModelProto:
    """``image @ weights`` times ``rate``, and the negative of ``rate``."""
    nodes = [
        helper.make_node("MatMul", ["image", "weights"], ["product"]),
        helper.make_node("Cast", ["rate"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["product", "factor"], ["scaled"]),
        helper.make_node("Neg", ["rate"], ["negative"]),
    ]
    inputs = [value("image", TensorProto.FLOAT, [1, 4]), value("rate", TensorProto.INT64, [])]
    outputs = [value("scaled", TensorProto.FLOAT, [1, 3]), value("negative", TensorProto.INT64, [])]
    return model(nodes, inputs, outputs)


def text() -> onnx.ModelProto:
    """``image @ weights``, and the product as text."""
    nodes = [
        helper.make_node("MatMul", ["image", "weights"], ["product"]),
        helper.make_node("Cast", ["product"], ["words"], to=TensorProto.STRING),
    ]
    outputs = [value("product", TensorProto.FLOAT, [1, 3]), value("words", TensorProto.STRING, [1, 3])]
    return model(nodes, [value("image", TensorProto.FLOAT, [1, 4])], outputs)


def context() -> onnx.ModelProto:
    """A network that a provider compiled; the binary is four zeros."""
    node = helper.make_node(
        "EPContext",
        ["image"],
        ["product"],
        domain="com.microsoft",
        source="QNN",
        main_context=1,
        embed_mode=1,
        ep_cache_context=bytes(4),
    )
    inputs, outputs = [value("image", TensorProto.FLOAT, [1, 4])], [value("product", TensorProto.FLOAT, [1, 3])]
    opsets = [*OPSET, helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(helper.make_graph([node], "test", inputs, outputs), opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    onnx.save(context(), FOLDER / "context.onnx")
    onnx.save(scalar(), FOLDER / "scalar.onnx")
    onnx.save(text(), FOLDER / "text.onnx")
    onnx.save(mixed(), FOLDER / "mixed.onnx")
    onnx.save(product("rows"), FOLDER / "open.onnx")
    # onnx refuses to replace a file with weights.
    (FOLDER / "apart.onnx.data").unlink(missing_ok=True)
    onnx.save(
        product(1),
        FOLDER / "apart.onnx",
        save_as_external_data=True,
        location="apart.onnx.data",
        size_threshold=0,
        convert_attribute=False,
    )
