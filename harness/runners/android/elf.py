"""Reads the segment alignment of a native library, which decides whether a phone with 16 KB pages can load it."""

from __future__ import annotations

import struct

from harness.errors import BuildError

_MAGIC = b"\x7fELF"
_LOAD = 1


def load_alignment(data: bytes, *, name: str) -> int:
    """Return the smallest alignment of the loadable segments in ``data``, in bytes.

    The layout is that of the System V ABI: the program header table begins at ``e_phoff``, and ``p_align`` is the last
    field of each entry. The offsets below are those of the ELF64 and ELF32 headers. Raises `BuildError` for a file that
    is not a little-endian ELF file.
    """
    if data[:4] != _MAGIC or data[5:6] != b"\x01":
        msg = f"{name!r} is not a native library for Android: it is not a little-endian ELF file"
        raise BuildError(msg)
    wide = data[4] == 2
    try:
        if wide:
            (offset,) = struct.unpack_from("<Q", data, 32)
            size, count = struct.unpack_from("<HH", data, 54)
        else:
            (offset,) = struct.unpack_from("<I", data, 28)
            size, count = struct.unpack_from("<HH", data, 42)
        segments = [_alignment(data, offset + at * size, wide=wide) for at in range(count)]
    except (struct.error, OverflowError) as error:
        msg = f"{name!r} is truncated: its table of segments is missing"
        raise BuildError(msg) from error
    loads = [alignment for kind, alignment in segments if kind == _LOAD]
    if not loads:
        msg = f"{name!r} has no loadable segment"
        raise BuildError(msg)
    return min(loads)


def _alignment(data: bytes, at: int, *, wide: bool) -> tuple[int, int]:
    """The type and the alignment of the segment whose header is at offset ``at``; ``wide`` for 64 bits."""
    (kind,) = struct.unpack_from("<I", data, at)
    (alignment,) = struct.unpack_from("<Q", data, at + 48) if wide else struct.unpack_from("<I", data, at + 28)
    return int(kind), int(alignment)
