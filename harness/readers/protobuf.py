"""Reads single fields of a Protocol Buffers message without a schema or a library (protobuf.dev, "Encoding").

Large fields are skipped, not copied, so a file of gigabytes is read through a memory map in milliseconds.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from enum import IntEnum

Buffer = bytes | mmap.mmap

_MAX_VARINT_BITS = 70
_MAX_NUMBER = (1 << 29) - 1
# A graph of a hundred thousand nodes has as many fields. Megabytes of empty fields would take minutes to read.
_MOST_FIELDS = 1_000_000
# Each level of a graph inside a graph is four messages, and readers follow them by recursion.
_MOST_LEVELS = 100


class Wire(IntEnum):
    """How a field is stored."""

    VARINT = 0
    EIGHT_BYTES = 1
    LENGTH = 2
    FOUR_BYTES = 5


_SIZES = {Wire.EIGHT_BYTES: 8, Wire.FOUR_BYTES: 4}


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, Wire, int, int]]:
    """Yield each field of the message: its number, how it is stored, and where its content starts and ends.

    For a whole number the third value is the number itself. Raises `ValueError` if the bytes are no message.
    """
    at, left = start, _MOST_FIELDS
    while at < end:
        left -= 1
        if left < 0:
            msg = f"a message has more than {_MOST_FIELDS} fields"
            raise ValueError(msg)
        key, at = _varint(data, at, end)
        number = key >> 3
        if not 0 < number <= _MAX_NUMBER:
            msg = f"{number} is no field number"
            raise ValueError(msg)
        try:
            wire = Wire(key & 7)
        except ValueError:
            msg = f"field {number} has the unknown wire type {key & 7}"
            raise ValueError(msg) from None
        size = _SIZES.get(wire)
        if wire is Wire.VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, value, at
            continue
        if size is None:
            size, at = _varint(data, at, end)
        if at + size > end:
            msg = "a field ends after its message"
            raise ValueError(msg)
        yield number, wire, at, at + size
        at += size


class Message:
    """The message between ``start`` and ``end`` of ``data``. Its fields are found by their numbers.

    A field that the file leaves out has its default, 0 or empty. Raises `ValueError` if the bytes are no message.
    """

    def __init__(self, data: Buffer, start: int, end: int, level: int = 0) -> None:
        if level > _MOST_LEVELS:
            msg = f"its messages are nested more than {_MOST_LEVELS} levels deep"
            raise ValueError(msg)
        self._data, self._level = data, level
        self._numbers: dict[int, list[int]] = {}
        self._spans: dict[int, list[tuple[int, int]]] = {}
        for number, wire, value, after in fields(data, start, end):
            if wire is Wire.VARINT:
                self._numbers.setdefault(number, []).append(value)
            elif wire is Wire.LENGTH:
                self._spans.setdefault(number, []).append((value, after))

    def has(self, number: int) -> bool:
        """Return whether the file has the field."""
        return number in self._numbers or number in self._spans

    def number(self, number: int) -> int:
        """Return an integer field, signed. The last value counts if there are several."""
        values = self._numbers.get(number)
        return _signed(values[-1]) if values else 0

    def numbers(self, number: int) -> list[int]:
        """Return a repeated integer field, signed, packed or not."""
        values = list(self._numbers.get(number, ()))
        for start, end in self._spans.get(number, ()):
            at = start
            while at < end:
                value, at = _varint(self._data, at, end)
                values.append(value)
        return [_signed(value) for value in values]

    def text(self, number: int) -> str:
        """Return a text field."""
        return (self.texts(number) or [""])[-1]

    def texts(self, number: int) -> list[str]:
        """Return a repeated text field."""
        spans = self._spans.get(number, ())
        return [bytes(self._data[start:end]).decode("utf-8", errors="replace") for start, end in spans]

    def message(self, number: int) -> Message | None:
        """Return a field that is a message, or None if the file leaves it out."""
        spans = self._spans.get(number)
        return Message(self._data, *spans[-1], self._level + 1) if spans else None

    def messages(self, number: int) -> list[Message]:
        """Return a repeated field of messages."""
        return [Message(self._data, start, end, self._level + 1) for start, end in self._spans.get(number, ())]


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """Return the number at ``at``, 7 bits a byte from the lowest, and the position after it."""
    value = bits = 0
    while at < end and bits < _MAX_VARINT_BITS:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << bits
        if byte < 0x80:
            return value, at
        bits += 7
    msg = "a number does not end"
    raise ValueError(msg)


def _signed(value: int) -> int:
    """Negative numbers are written in two's complement of 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value
