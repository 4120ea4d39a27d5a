"""GGUF ``.gguf``: the key-value pairs of the header (version 2 or 3, https://github.com/ggml-org/ggml, docs/gguf.md).

Lists are long: those of texts hold whole vocabularies. So only the number of their items is kept.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"GGUF"
# The scalar types by their numbers in the file, as the `struct` module spells them.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
# More pairs, or a longer text, than any file has: what follows is not a header.
_MOST_PAIRS, _MOST_BYTES, _MOST_ITEMS = 100_000, 1 << 26, 1 << 32


class ItemCount(int):
    """How many items a list has, in place of the list: never taken for a number that the file states."""


def read_gguf_header(path: Path) -> dict[str, Any]:
    """Return the pairs of the header, with an `ItemCount` for each list.

    Raises `ValueError` for a file that is not GGUF or is cut off, `OSError`.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            msg = f"{path.name} does not begin with GGUF"
            raise ValueError(msg)
        version, _, pairs = _unpack(file, "<IQQ")
        if version not in (2, 3):
            msg = f"{path.name} is of GGUF version {version}, and versions 2 and 3 can be read"
            raise ValueError(msg)
        if pairs > _MOST_PAIRS:
            msg = f"{path.name} says that its header has {pairs} entries, more than any file has: it is damaged"
            raise ValueError(msg)
        return {_text(file): _value(file, _unpack(file, "<I")[0]) for _ in range(pairs)}


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _LIST:
        of, count = _unpack(file, "<IQ")
        # The format allows lists of lists, which no file has; they would be read by recursion.
        if of == _LIST or count > _MOST_ITEMS:
            msg = "the header has a list of lists" if of == _LIST else f"the header has a list of {count} items"
            raise ValueError(msg)
        if of in _SCALARS:
            file.seek(count * struct.calcsize(f"<{_SCALARS[of]}"), 1)
        else:
            for _ in range(count):
                _value(file, of)
        return ItemCount(count)
    if kind not in _SCALARS:
        msg = f"the header has a value of the unknown type {kind}"
        raise ValueError(msg)
    return _unpack(file, f"<{_SCALARS[kind]}")[0]


def _text(file: BinaryIO) -> str:
    (size,) = _unpack(file, "<Q")
    if size > _MOST_BYTES:
        msg = f"the header has a text of {size} bytes"
        raise ValueError(msg)
    return file.read(size).decode("utf-8", errors="replace")


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    data = file.read(struct.calcsize(layout))
    try:
        return struct.unpack(layout, data)
    except struct.error as error:
        msg = "the header is cut off"
        raise ValueError(msg) from error
