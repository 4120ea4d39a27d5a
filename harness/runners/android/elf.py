"""The one fact of a native library that decides whether a phone with pages of 16 KB loads it."""

from __future__ import annotations

import struct

from harness.errors import BuildError

_MAGIC = b"\x7fELF"
_LOAD = 1


def load_alignment(data: bytes, *, name: str) -> int:
    """Return the smallest alignment of the segments that ``data`` is loaded by, in bytes.

    The layout is that of the System V ABI: the table of segments begins at ``e_phoff``, and ``p_align`` is the last
    field of each. Raises `BuildError` for what is no little-endian ELF file.
    """
    if data[:4] != _MAGIC or data[5:6] != b"\x01":
        msg = f"{name!r} is no native library of Android: it is not a little-endian ELF file"
        raise BuildError(msg)
    wide = data[4] == 2
    try:
        if wide:
            (offset,) = struct.unpack_from("<Q", data, 32)
            size, count = struct.unpack_from("<HH", data, 54)
        else:
            (offset,) = struct.unpack_from("<I", data, 28)
            size, count = struct.unpack_from("<HH", data, 42)
        found = [_alignment(data, offset + at * size, wide=wide) for at in range(count)]
    except struct.error as error:
        msg = f"{name!r} is cut off: its table of segments is not there"
        raise BuildError(msg) from error
    loads = [alignment for kind, alignment in found if kind == _LOAD]
    if not loads:
        msg = f"{name!r} has no segment to load"
        raise BuildError(msg)
    return min(loads)


def _alignment(data: bytes, at: int, *, wide: bool) -> tuple[int, int]:
    (kind,) = struct.unpack_from("<I", data, at)
    (alignment,) = struct.unpack_from("<Q", data, at + 48) if wide else struct.unpack_from("<I", data, at + 28)
    return int(kind), int(alignment)
