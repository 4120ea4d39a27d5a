"""Small ``.tflite`` files, written with the schema of LiteRT: the absolute value of one input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def tflite_file(kind: str, shape: list[int], signature: list[int] | None = None) -> bytes:
    """A file whose input ``x`` has the element type ``kind``. Other types than float32 have no operator."""
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")
    number = getattr(schema.TensorType, kind)
    names = ("x", "y") if kind == "FLOAT32" else ("x",)
    graph = schema.SubGraphT()
    graph.name, graph.tensors = "main", [_tensor(schema, name, number, shape, signature) for name in names]
    graph.inputs, graph.outputs = [0], [len(names) - 1]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AbsOptions, schema.AbsOptionsT()
    graph.operators = [operator] if kind == "FLOAT32" else []
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
    code.version = 1
    model = schema.ModelT()
    model.version, model.description = 3, "a test of phonebench"
    model.buffers, model.subgraphs, model.operatorCodes = [schema.BufferT()], [graph], [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, name: str, number: int, shape: list[int], signature: list[int] | None) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.shapeSignature, tensor.buffer = name, number, shape, signature, 0
    tensor.quantization = schema.QuantizationParametersT()
    return tensor


def tflite_chain(kinds: Sequence[str], shape: Sequence[int] = (1, 8, 8, 4)) -> bytes:
    """A float32 file of one operator after the other, each of one input, given by the names of LiteRT's schema."""
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")
    graph, types = schema.SubGraphT(), list(dict.fromkeys(kinds))
    names = [f"t{at}" for at in range(len(kinds) + 1)]
    graph.name = "main"
    graph.tensors = [_tensor(schema, name, schema.TensorType.FLOAT32, list(shape), None) for name in names]
    graph.inputs, graph.outputs = [0], [len(kinds)]
    graph.operators = [_operator(schema, kind, types.index(kind), at) for at, kind in enumerate(kinds)]
    model = schema.ModelT()
    model.version, model.description = 3, "a test of phonebench"
    model.buffers, model.subgraphs = [schema.BufferT()], [graph]
    model.operatorCodes = [_code(schema, kind) for kind in types]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite_sum(shapes: Sequence[Sequence[int]], order: Sequence[int]) -> bytes:
    """A float32 file that adds two inputs of these shapes, which broadcast; its inputs are listed in ``order``."""
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")
    graph, operator = schema.SubGraphT(), schema.OperatorT()
    number = schema.TensorType.FLOAT32
    whole = [max(sizes) for sizes in zip(*shapes, strict=True)]
    graph.name = "main"
    graph.tensors = [_tensor(schema, f"t{at}", number, list(shape), None) for at, shape in enumerate((*shapes, whole))]
    graph.inputs, graph.outputs = list(order), [2]
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators = [operator]
    model = schema.ModelT()
    model.version, model.description = 3, "a test of phonebench"
    model.buffers, model.subgraphs, model.operatorCodes = [schema.BufferT()], [graph], [_code(schema, "ADD")]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite_unpreparable() -> bytes:
    """An int8 sum up to 6 whose scale is so small that 6 does not fit: LiteRT's kernel refuses to be prepared."""
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromPackedBuf(tflite_sum([(1, 8), (1, 8)], (0, 1)), 0)
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        tensor.type = schema.TensorType.INT8
        tensor.quantization.scale, tensor.quantization.zeroPoint = [1e-12], [0]
    graph.operators[0].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator(schema: Any, kind: str, code: int, at: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [at], [at + 1]
    options = "".join(word.capitalize() for word in kind.split("_")) + "Options"
    if hasattr(schema.BuiltinOptions, options):
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
    return operator


def _code(schema: Any, kind: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    return code
