"""Writes Protocol Buffers messages without a schema or a library, and reads them whole (protobuf.dev, "Encoding")."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from harness.readers.protobuf import Wire, fields


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
    for number, wire, value, after in fields(data, 0, len(data)):
        yield number, wire, value if wire is Wire.VARINT else data[value:after]


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
