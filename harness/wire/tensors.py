"""The layout of ``inputs.bin`` and ``outputs.bin``: call by call, tensor by tensor, C order, little-endian, unpadded.

A runner reads the record of one call at a time through a memory map, so a large file of inputs never counts as memory
of the model. The host reads and writes whole files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.wire.names import DType, TensorSpec

Array: TypeAlias = npt.NDArray[Any]


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the little-endian numpy type of a wire type."""
    return np.dtype(dtype.value).newbyteorder("<")


def tensor_bytes(spec: TensorSpec) -> int:
    """Return the size of one tensor in the file, in bytes."""
    return math.prod(spec.shape) * numpy_dtype(spec.dtype).itemsize


def record_bytes(tensors: Sequence[TensorSpec]) -> int:
    """Return the size of all tensors of one call, in bytes."""
    return sum(tensor_bytes(spec) for spec in tensors)


def describe(arrays: Sequence[Array], names: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Return the specs of the arrays of one call. Raises `ValueError` for an element type unknown to the wire."""
    return tuple(
        TensorSpec(name=name, dtype=DType(array.dtype.name), shape=array.shape)
        for name, array in zip(names, arrays, strict=True)
    )


def on_the_wire(array: Array) -> Array:
    """Return ``array`` in a type that the wire has: other floats become float32, other integers int64."""
    if array.dtype.name in set(DType):
        return array
    return array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)


def as_output(array: Array) -> Array:
    """Return an output as it goes on the wire: floats of any width become float32, so all precisions compare."""
    return array.astype(np.float32) if array.dtype.kind == "f" else on_the_wire(array)


def raw(arrays: Sequence[Array]) -> bytes:
    """Return the bytes of one record."""
    return b"".join(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes() for array in arrays)


def read_record(path: Path, tensors: Sequence[TensorSpec], index: int) -> tuple[Array, ...]:
    """Return copies of the tensors of record ``index``. Raises `OSError`, or `ValueError` if the file is too short."""
    size = record_bytes(tensors)
    # An empty record cannot be mapped.
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=index * size, shape=(size,)) if size else np.empty(0, "u1")
    arrays, offset = [], 0
    for spec in tensors:
        end = offset + tensor_bytes(spec)
        # Copied, so that the map can be closed and its pages do not count as memory of the model.
        arrays.append(np.array(data[offset:end]).view(numpy_dtype(spec.dtype)).reshape(spec.shape))
        offset = end
    return tuple(arrays)


def write_tensors(path: Path, arrays: Sequence[Array], tensors: Sequence[TensorSpec]) -> None:
    """Write ``arrays``, one per tensor, each of shape ``(count, *tensor.shape)``."""
    ready = [np.ascontiguousarray(a, dtype=numpy_dtype(t.dtype)) for a, t in zip(arrays, tensors, strict=True)]
    with path.open("wb") as file:
        for index in range(len(ready[0])):
            file.write(raw([array[index] for array in ready]))


def read_tensors(path: Path, tensors: Sequence[TensorSpec], count: int) -> tuple[Array, ...]:
    """Read the tensors of ``count`` calls: one array per tensor, of shape ``(count, *tensor.shape)``.

    Raises `ValueError` with both lengths if the file does not have exactly the expected length.
    """
    size = record_bytes(tensors)
    data = path.read_bytes()
    if len(data) != size * count:
        msg = f"{path.name} has {len(data)} bytes; expected {count} times {size} bytes"
        raise ValueError(msg)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(count, size)
    arrays: list[Array] = []
    offset = 0
    for tensor in tensors:
        width = tensor_bytes(tensor)
        column = np.ascontiguousarray(rows[:, offset : offset + width])
        arrays.append(column.view(numpy_dtype(tensor.dtype)).reshape(count, *tensor.shape))
        offset += width
    return tuple(arrays)


def first_output(arrays: Sequence[Array]) -> npt.NDArray[np.float32]:
    """Return the first output as float32 rows, shape ``(count, elements of one call)``. Scores are read from these."""
    return np.asarray(arrays[0], dtype=np.float32).reshape(len(arrays[0]), -1)
