"""Reads single fields of a FlatBuffer without a schema or a library (flatbuffers.dev, "Internals")."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Buffer = bytes | mmap.mmap

# What reading a damaged buffer raises.
DAMAGED: tuple[type[Exception], ...] = (struct.error, IndexError, UnicodeDecodeError, OverflowError)


@contextmanager
def opened(path: Path, *, magic: bytes, what: str, magic_at: int = 4) -> Iterator[Buffer]:
    """Yield the content of a file while it is read. ``what`` the file is, is said by ``magic`` in it.

    Raises `ValueError` if it is another one, or damaged, and `OSError` if it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[magic_at : magic_at + len(magic)] != magic:
            msg = f"it is not {what}"
            raise ValueError(msg)
        try:
            yield data
        except DAMAGED as error:
            msg = f"it is damaged: {error}"
            raise ValueError(msg) from error


def u32(data: Buffer, at: int) -> int:
    """Return the unsigned 32-bit number at ``at``."""
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


def root(data: Buffer, start: int = 0) -> Table:
    """Return the root table of the buffer that begins at ``start``."""
    return Table(data, start + u32(data, start))


class Table:
    """A table at a position of ``data``. Its fields are found by number, the position in the schema, from 0.

    A field that the file leaves out has its default, 0 or empty. Reading a damaged buffer raises one of `DAMAGED`.
    """

    def __init__(self, data: Buffer, position: int) -> None:
        self.data, self._position = data, position
        self._vtable = position - struct.unpack_from("<i", data, position)[0]

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot >= struct.unpack_from("<H", self.data, self._vtable)[0]:
            return None
        offset: int = struct.unpack_from("<H", self.data, self._vtable + slot)[0]
        return self._position + offset if offset else None

    def has(self, number: int) -> bool:
        """Return whether the file has the field."""
        return self._field(number) is not None

    def byte(self, number: int) -> int:
        """Return a field of one unsigned byte."""
        at = self._field(number)
        return 0 if at is None else self.data[at]

    def u16(self, number: int) -> int:
        """Return a field of two bytes, unsigned."""
        at = self._field(number)
        return 0 if at is None else int(struct.unpack_from("<H", self.data, at)[0])

    def u32(self, number: int) -> int:
        """Return a field of four bytes, unsigned."""
        at = self._field(number)
        return 0 if at is None else u32(self.data, at)

    def u64(self, number: int) -> int:
        """Return a field of eight bytes, unsigned."""
        at = self._field(number)
        return 0 if at is None else int(struct.unpack_from("<Q", self.data, at)[0])

    def table(self, number: int) -> Table:
        """Return a table, or the value of a union. Raises `IndexError` if the file leaves it out."""
        at = self._field(number)
        if at is None:
            msg = f"field {number} is missing"
            raise IndexError(msg)
        return Table(self.data, at + u32(self.data, at))

    def vector(self, number: int) -> tuple[int, int]:
        """Return (position of the first element, number of elements)."""
        at = self._field(number)
        if at is None:
            return 0, 0
        start = at + u32(self.data, at)
        return start + 4, u32(self.data, start)

    def integers(self, number: int) -> tuple[int, ...]:
        """Return a vector of signed 32-bit numbers."""
        start, length = self.vector(number)
        return struct.unpack_from(f"<{length}i", self.data, start) if length else ()

    def tables(self, number: int) -> list[Table]:
        """Return a vector of tables."""
        start, length = self.vector(number)
        if 4 * length > len(self.data):
            msg = f"field {number} has {length} elements, more than fit in the file"
            raise IndexError(msg)
        return [Table(self.data, at + u32(self.data, at)) for at in range(start, start + 4 * length, 4)]

    def string(self, number: int) -> str:
        """Return a text field."""
        start, length = self.vector(number)
        return bytes(self.data[start : start + length]).decode("utf-8")
