"""Makes the models of the tests here. Run ``python make_models.py`` with the packages ai-edge-litert and numpy.

``mixed.tflite`` has every sort of tensor that goes over the wire, ``open.tflite`` an open dimension, and
``newer.tflite`` an operator of a version that no library has. All are written out in the file's own schema, because a
converter of today asks for versions of operators that the library for desktops, of 2021, does not have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FOLDER = Path(__file__).parent
WEIGHTS = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [2, 0, 1, 1]])
KINDS = {
    np.dtype(kind): getattr(schema.TensorType, kind.upper())
    for kind in ("float32", "int64", "int16", "int8", "uint8", "bool")
}


class Graph:
    """The graph of a model under construction. Tensors are referred to by their index."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.buffers = [schema.BufferT()]
        self.codes: list[Any] = []
        self.names: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        kind: str,
        shape: list[int],
        *,
        scale: float = 0,
        zero: int = 0,
        data: np.ndarray[Any, Any] | None = None,
        rows: int | None = None,
    ) -> int:
        """Add a tensor: quantised if it has a scale, constant if it has data. ``rows`` is -1 for an open batch."""
        made = schema.TensorT()
        made.name, made.shape, made.type = name, shape, KINDS[np.dtype(kind)]
        if rows is not None:
            made.shapeSignature = [rows, *shape[1:]]
        if scale:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        if data is not None:
            made.buffer = len(self.buffers)
            self.buffers.append(schema.BufferT())
            self.buffers[-1].data = np.frombuffer(data.astype(kind).tobytes(), np.uint8)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def input(self, name: str, kind: str, shape: list[int], **rest: Any) -> int:
        """Add an input. As after a conversion, its name in the signature differs from that of its tensor."""
        made = self.tensor(f"serving_default_{name}:0", kind, shape, **rest)
        self.graph.inputs.append(made)
        self.names[name] = made
        return made

    def operator(self, kind: str, inputs: list[int], output: int, *, version: int = 1) -> None:
        """Add an operator with the options of its kind."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = version
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.codes), inputs, [output]
        options = {"FULLY_CONNECTED": "FullyConnectedOptions", "RESHAPE": "ReshapeOptions"}.get(kind)
        if options is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
        if kind == "RESHAPE":
            made.builtinOptions.newShape = self.graph.tensors[output].shape
        self.codes.append(code)
        self.graph.operators.append(made)

    def save(self, name: str, outputs: list[int]) -> None:
        """Write the model, with one signature."""
        self.graph.outputs = outputs
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs = [_mapped(key, tensor) for key, tensor in self.names.items()]
        signature.outputs = [_mapped(f"output_{at}", tensor) for at, tensor in enumerate(outputs)]
        model = schema.ModelT()
        model.version, model.description = 3, "phonebench"
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [self.graph], self.buffers
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        (FOLDER / name).write_bytes(builder.Output())


def _mapped(name: str, tensor: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, tensor
    return made


def mixed() -> None:
    """The product in float32 and in int8; int64 negated, and whether it is over 0; uint8 and int16 unchanged."""
    graph = Graph()
    image = graph.input("image", "float32", [1, 4])
    tokens = graph.input("tokens", "int64", [1, 3])
    small = graph.input("small", "int8", [1, 4], scale=0.5, zero=3)
    byte = graph.input("byte", "uint8", [1, 2], scale=0.25, zero=128)
    short = graph.input("short", "int16", [1, 2], scale=2**-8)

    product = graph.tensor("product", "float32", [1, 3])
    graph.operator("FULLY_CONNECTED", [image, graph.tensor("weights", "float32", [3, 4], data=WEIGHTS), -1], product)
    negative, over = graph.tensor("negative", "int64", [1, 3]), graph.tensor("over", "bool", [1, 3])
    graph.operator("NEG", [tokens], negative)
    graph.operator("GREATER", [tokens, graph.tensor("zero", "int64", [1], data=np.zeros(1))], over)
    whole = graph.tensor("whole", "int8", [3, 4], scale=1, data=WEIGHTS)
    rounded = graph.tensor("rounded", "int8", [1, 3], scale=0.5, zero=-4)
    graph.operator("FULLY_CONNECTED", [small, whole, -1], rounded, version=4)
    bytes_out = graph.tensor("bytes", "uint8", [2], scale=0.25, zero=128)
    shorts_out = graph.tensor("shorts", "int16", [2], scale=2**-8)
    graph.operator("RESHAPE", [byte], bytes_out)
    graph.operator("RESHAPE", [short], shorts_out)
    graph.save("mixed.tflite", [product, negative, over, rounded, bytes_out, shorts_out])


def product(name: str, *, version: int = 1) -> None:
    """``-(image @ weights)`` in two operators, for any number of rows."""
    graph = Graph()
    image = graph.input("image", "float32", [1, 4], rows=-1)
    weights = graph.tensor("weights", "float32", [3, 4], data=WEIGHTS)
    made, negative = (graph.tensor(title, "float32", [1, 3], rows=-1) for title in ("product", "negative"))
    graph.operator("FULLY_CONNECTED", [image, weights, -1], made, version=version)
    graph.operator("NEG", [made], negative)
    graph.save(name, [negative])


if __name__ == "__main__":
    mixed()
    product("open.tflite")
    product("newer.tflite", version=99)
