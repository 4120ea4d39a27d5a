"""Writes and reads Protocol Buffers messages without a schema or a library (protobuf.dev, "Encoding")."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum


class Wire(IntEnum):
    """How a field is stored."""

    VARINT = 0
    EIGHT_BYTES = 1
    LENGTH = 2
    FOUR_BYTES = 5


def varint_field(number: int, value: int) -> bytes:
    """Return a field that holds a whole number; negative ones take ten bytes."""
    return _varint(number << 3 | Wire.VARINT) + _varint(value & (1 << 64) - 1)


def double_field(number: int, value: float) -> bytes:
    """Return a field of type double."""
    return _varint(number << 3 | Wire.EIGHT_BYTES) + struct.pack("<d", value)


def float_field(number: int, value: float) -> bytes:
    """Return a field of type float. A value beyond its range becomes infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf"))
    return _varint(number << 3 | Wire.FOUR_BYTES) + packed


def bytes_field(number: int, value: bytes | str) -> bytes:
    """Return a field that holds bytes, text or another message."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return _varint(number << 3 | Wire.LENGTH) + _varint(len(data)) + data


def doubles_field(number: int, values: Iterable[float]) -> bytes:
    """Return a packed repeated field of type double."""
    return bytes_field(number, b"".join(struct.pack("<d", value) for value in values))


def fields_of(data: bytes) -> Iterator[tuple[int, Wire, int | bytes]]:
    """Yield number, wire type and value of each field of a message. Raises `ValueError` if the bytes are no message."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, Wire(key & 7)
        if not 0 < number < 1 << 29:
            msg = f"{number} is no field number"
            raise ValueError(msg)
        if wire is Wire.VARINT:
            value, at = _read_varint(data, at)
            yield number, wire, value
            continue
        size = {Wire.EIGHT_BYTES: 8, Wire.FOUR_BYTES: 4}.get(wire)
        if size is None:
            size, at = _read_varint(data, at)
        if at + size > len(data):
            msg = "the message is cut off"
            raise ValueError(msg)
        yield number, wire, data[at : at + size]
        at += size


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    msg = "the message is cut off"
    raise ValueError(msg)
