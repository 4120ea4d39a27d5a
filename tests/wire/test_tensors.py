"""The layout of ``inputs.bin`` and ``outputs.bin``: call by call, tensor by tensor, little-endian, without padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.wire import DType, TensorSpec
from harness.wire.tensors import (
    Array,
    as_output,
    describe,
    first_output,
    on_the_wire,
    raw,
    read_record,
    read_tensors,
    record_bytes,
    write_tensors,
)

A = TensorSpec(name="a", dtype=DType.INT8, shape=(1, 3))
B = TensorSpec(name="b", dtype=DType.FLOAT32, shape=(2,))
# Two calls: a is 1 2 3 and 4 5 6, b is 1 0.5 and -2 0.
BYTES = bytes.fromhex("010203 0000803f 0000003f 040506 000000c0 00000000")


def two_calls() -> tuple[Array, Array]:
    a = np.arange(1, 7, dtype=np.int8).reshape(2, 1, 3)
    return a, np.array([[1, 0.5], [-2, 0]], dtype=np.float32)


def test_the_bytes_are_those_of_the_specification(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.bin", two_calls(), (A, B))
    assert (tmp_path / "x.bin").read_bytes() == BYTES
    assert record_bytes((A, B)) == len(BYTES) // 2


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.bin", two_calls(), (A, B))
    for got, expected in zip(read_tensors(tmp_path / "x.bin", (A, B), 2), two_calls(), strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)


@pytest.mark.parametrize("index", [0, 1])
def test_one_call_is_read_alone(tmp_path: Path, index: int) -> None:
    (tmp_path / "x.bin").write_bytes(BYTES)
    for got, expected in zip(read_record(tmp_path / "x.bin", (A, B), index), two_calls(), strict=True):
        np.testing.assert_array_equal(got, expected[index], strict=True)
        got += 1
    assert (tmp_path / "x.bin").read_bytes() == BYTES


@pytest.mark.parametrize("dtype", list(DType))
def test_every_element_type_survives(tmp_path: Path, dtype: DType) -> None:
    array = np.arange(6).reshape(2, 1, 3).astype(dtype.value)
    spec = describe([array[0]], ["x"])
    assert spec == (TensorSpec(name="x", dtype=dtype, shape=(1, 3)),)
    write_tensors(tmp_path / "x.bin", [array], spec)
    np.testing.assert_array_equal(read_tensors(tmp_path / "x.bin", spec, 2)[0], array, strict=True)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.arange(6, dtype=">f4").reshape(3, 2)])
def test_memory_order_and_byte_order_do_not_matter(tmp_path: Path, array: Array) -> None:
    spec = TensorSpec(name="x", dtype=DType.FLOAT32, shape=(2,))
    write_tensors(tmp_path / "x.bin", [array], [spec])
    np.testing.assert_array_equal(read_tensors(tmp_path / "x.bin", [spec], 3)[0], array)
    wide = array.astype("f4")
    assert raw([wide.astype(">f4")]) == raw([wide]) == np.ascontiguousarray(wide, dtype="<f4").tobytes()


@pytest.mark.parametrize("data", [BYTES[:-1], BYTES + b"\0", b""])
def test_a_file_of_another_length_is_refused_naming_both(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(data)
    with pytest.raises(ValueError, match=f"x.bin has {len(data)} bytes; expected 2 times 11 bytes"):
        read_tensors(tmp_path / "x.bin", (A, B), 2)


def test_a_call_past_the_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(BYTES)
    with pytest.raises(ValueError, match="greater than file size"):
        read_record(tmp_path / "x.bin", (A, B), 2)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (np.float64, "float32"),
        (np.float16, "float16"),
        (np.uint32, "int64"),
        (np.uint16, "int64"),
        (np.int8, "int8"),
        (np.bool_, "bool"),
    ],
)
def test_element_types_that_the_wire_lacks_are_widened_or_narrowed(given: Any, made: str) -> None:
    array = on_the_wire(np.array([0, 1], dtype=given))
    assert (array.dtype.name, array.tolist()) == (made, [0, 1])


def test_an_element_type_outside_the_wire_cannot_be_described() -> None:
    with pytest.raises(ValueError, match="float64"):
        describe([np.zeros(2)], ["x"])


def test_scores_are_the_first_output_as_rows() -> None:
    outputs = (np.arange(6, dtype=np.int8).reshape(2, 1, 3), np.zeros((2, 5)))
    scores = first_output(outputs)
    assert (scores.dtype.name, scores.tolist()) == ("float32", [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("given", "expected"), [(np.float16, "float32"), (np.float64, "float32"), (np.int8, "int8"), (np.uint16, "int64")]
)
def test_an_output_of_any_float_is_a_float32(given: Any, expected: str) -> None:
    array = as_output(np.array([0, 1], dtype=given))
    assert array.dtype.name == expected
    assert array.tolist() == [0, 1]
