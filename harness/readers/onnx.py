"""Reads the graph of an ``.onnx`` file. Field numbers are those of ``onnx.proto`` (version 1.23).

The package that could do it belongs to the export extra, and would copy gigabytes of weights to show two names.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.readers.facts import OPEN, FileFacts, FileTensor
from harness.readers.protobuf import Message

_GRAPH = 7
_NODES, _INITIALIZERS, _INPUTS, _OUTPUTS, _SPARSE_INITIALIZERS = 1, 5, 11, 12, 15
_ATTRIBUTES = 5
_TENSOR, _SUBGRAPH = 5, 6
_DIMS, _DATA_TYPE, _TENSOR_NAME, _EXTERNAL = 1, 2, 8, 13
_NAME, _TYPE = 1, 2
_OPERATOR = 4
_INTEGER, _STRING = 3, 4
_TENSOR_TYPE, _ELEMENT_TYPE, _SHAPE, _SHAPE_DIMS, _SIZE = 1, 1, 2, 1, 1
_NO_TENSORS = {4: "a sequence", 5: "a map", 7: "an opaque value", 8: "a sparse tensor", 9: "an optional value"}

# TensorProto.DataType.
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "strings", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2",
    27: "float6e2m3", 28: "float6e3m2",
}  # fmt: skip


@contextmanager
def open_onnx(path: Path) -> Iterator[Message]:
    """Yield the graph of a file while it is read. Raises `ValueError` if it has none, `OSError` if it is unreadable."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        graph = Message(data, 0, len(data)).message(_GRAPH)
        if graph is None:
            msg = "it has no graph"
            raise ValueError(msg)
        yield graph


def read_onnx(path: Path) -> FileFacts:
    """Return what the graph states. Raises `ValueError` if the file does not parse, `OSError` if it cannot be read."""
    with open_onnx(path) as graph:
        weights: Counter[str] = Counter()
        companions: dict[str, None] = {}
        for tensor in _stored(graph):
            weights[_type(tensor.number(_DATA_TYPE))] += math.prod(tensor.numbers(_DIMS))
            companions |= dict.fromkeys(_locations(tensor))
        contexts = _contexts(graph)
        companions |= dict.fromkeys(filter(None, (context.file for context in contexts)))
        given = {tensor.text(_TENSOR_NAME) for tensor in graph.messages(_INITIALIZERS)}
        # Files of the first versions list the weights among the inputs.
        inputs = tuple(t for t in map(_described, graph.messages(_INPUTS)) if t.name not in given)
        outputs = tuple(map(_described, graph.messages(_OUTPUTS)))
        return FileFacts(
            inputs=inputs,
            outputs=outputs,
            weights=dict(weights),
            companions=tuple(companions),
            compiled_by=contexts[0].provider if contexts else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """A part of the network that a provider compiled, and the name of its file; empty if it is in the ``.onnx``."""

    provider: str
    file: str


def _contexts(graph: Message) -> list[_Context]:
    """The ``EPContext`` nodes (`onnxruntime.ai`, "EP Context Design")."""
    nodes = [node for node in graph.messages(_NODES) if node.text(_OPERATOR) == "EPContext"]
    attributes = [{item.text(_NAME): item for item in node.messages(_ATTRIBUTES)} for node in nodes]
    return [_context(values) for values in attributes]


def _context(attributes: dict[str, Message]) -> _Context:
    source, mode, content = (attributes.get(name) for name in ("source", "embed_mode", "ep_cache_context"))
    # Embedded is the default. The attribute then holds the binary itself.
    embedded = mode is None or mode.number(_INTEGER) != 0
    return _Context(
        provider=(source.text(_STRING) if source else "").removesuffix("ExecutionProvider") or "an unnamed provider",
        file="" if embedded or content is None else content.text(_STRING),
    )


def _stored(graph: Message) -> Iterator[Message]:
    """Every stored tensor: initialisers, and the constants of nodes, also in the bodies of ``If`` and ``Loop``."""
    yield from graph.messages(_INITIALIZERS)
    for sparse in graph.messages(_SPARSE_INITIALIZERS):
        yield from sparse.messages(1)
    for node in graph.messages(_NODES):
        for attribute in node.messages(_ATTRIBUTES):
            yield from attribute.messages(_TENSOR)
            for body in attribute.messages(_SUBGRAPH):
                yield from _stored(body)


def _locations(tensor: Message) -> list[str]:
    return [entry.text(2) for entry in tensor.messages(_EXTERNAL) if entry.text(1) == "location"]


def _described(value: Message) -> FileTensor:
    name, kind = value.text(_NAME), value.message(_TYPE)
    if kind is None:
        return FileTensor(name=name, kind="a value without a type", shape=None)
    tensor = kind.message(_TENSOR_TYPE)
    if tensor is None:
        other = next((words for number, words in _NO_TENSORS.items() if kind.has(number)), "a value without a type")
        return FileTensor(name=name, kind=other, shape=None)
    shape = tensor.message(_SHAPE)
    sizes = None if shape is None else tuple(_size(dim) for dim in shape.messages(_SHAPE_DIMS))
    return FileTensor(name=name, kind=_type(tensor.number(_ELEMENT_TYPE)), shape=sizes)


def _size(dim: Message) -> int:
    # Some exporters write 0 or -1 for an open size.
    return max(dim.number(_SIZE), 0) or OPEN


def _type(number: int) -> str:
    return TYPES.get(number, f"element type {number}")
