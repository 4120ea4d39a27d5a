"""Unpacks what others have packed, up to a limit: a few kilobytes of gzip can hold gigabytes."""

from __future__ import annotations

import zlib


def unpacked(data: bytes, most_bytes: int) -> bytes:
    """Return what a gzip file holds. Raises `ValueError` if it is damaged, cut off or has more than ``most_bytes``."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(data, most_bytes)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        msg = f"it is cut off, or it unpacks to more than {most_bytes >> 20} MiB"
        raise ValueError(msg)
    return content
