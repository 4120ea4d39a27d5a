"""Reads the main graph of a ``.tflite`` file. Field numbers are the positions in ``schema.fbs`` (TensorFlow 2.21)."""

from __future__ import annotations

import functools
import math
from collections import Counter
from pathlib import Path

from harness.readers.facts import FileFacts, FileTensor
from harness.readers.flatbuffer import Table, opened, root

_SUBGRAPHS, _BUFFERS, _SIGNATURES = 2, 4, 7
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2
SHAPE, _TYPE, BUFFER, NAME, _QUANTISATION, _SIGNATURE_SHAPE = 0, 1, 2, 3, 4, 7
_SCALE = 2
_DATA, _SIZE = 0, 2
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS = 0, 1
_MAP_NAME, _MAP_TENSOR = 0, 1

# TensorType.
_TYPES = (
    "float32", "float16", "int32", "uint8", "int64", "strings", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "a resource", "a variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
    "float8e4m3fn", "float8e5m2",
)  # fmt: skip
_INTEGERS = ("int8", "uint8", "int16", "int32")

open_tflite = functools.partial(opened, magic=b"TFL3", what="a TensorFlow Lite file")


def read_tflite(path: Path) -> FileFacts:
    """Return what the file states. Raises `ValueError` if it does not parse, `OSError` if it cannot be read."""
    with open_tflite(path) as data:
        return _facts(root(data))


def _facts(model: Table) -> FileFacts:
    graphs = model.tables(_SUBGRAPHS)
    main = graphs[0]
    signatures = model.tables(_SIGNATURES)
    # The names that the exporter's users know, where there is no choice of signatures.
    maps = signatures[0].tables(_SIGNATURE_INPUTS) if len(signatures) == 1 else []
    names = {entry.u32(_MAP_TENSOR): entry.string(_MAP_NAME) for entry in maps}
    tensors = main.tables(_TENSORS)
    inputs, outputs = main.integers(_INPUTS), main.integers(_OUTPUTS)
    if set(names) != set(inputs):
        names = {}
    return FileFacts(
        inputs=tuple(_described(tensors[at], names.get(at)) for at in inputs),
        outputs=tuple(_described(tensors[at], None) for at in outputs),
        weights=_weights(model.tables(_BUFFERS), [tensor for graph in graphs for tensor in graph.tables(_TENSORS)]),
    )


def _weights(buffers: list[Table], tensors: list[Table]) -> dict[str, int]:
    """The stored numbers by type. Tensors that share a buffer count once."""
    stored = {at: tensor for tensor in tensors if has_data(buffers[at := tensor.u32(BUFFER)])}
    weights: Counter[str] = Counter()
    for tensor in stored.values():
        weights[type_of(tensor)] += math.prod(tensor.integers(SHAPE))
    return dict(weights)


def has_data(buffer: Table) -> bool:
    # Files above 2 GB keep the data behind the FlatBuffer.
    return buffer.vector(_DATA)[1] > 0 or buffer.u64(_SIZE) > 1


def _described(tensor: Table, name: str | None) -> FileTensor:
    shape, signature = tensor.integers(SHAPE), tensor.integers(_SIGNATURE_SHAPE)
    scales = tensor.table(_QUANTISATION).vector(_SCALE)[1] if tensor.has(_QUANTISATION) else 0
    kind = type_of(tensor)
    return FileTensor(
        name=name or tensor.string(NAME),
        kind=kind,
        shape=signature if len(signature) == len(shape) else shape,
        quantised=scales > 0 and kind in _INTEGERS,
    )


def type_of(tensor: Table) -> str:
    number = tensor.byte(_TYPE)
    return _TYPES[number] if number < len(_TYPES) else f"element type {number}"
