"""The alignment of a native library's segments, with headers written by hand according to the System V ABI."""

from __future__ import annotations

import struct

import pytest

from harness.errors import BuildError
from harness.runners.android.elf import load_alignment


def elf64(*segments: tuple[int, int]) -> bytes:
    """A 64-bit header with its table of segments, each (type, alignment)."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHH", 3, 183, 1, 0, 64, 0, 0, 64, 56, len(segments))
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 5, 0, 0, 0, 0, 0, align) for kind, align in segments)
    return head.ljust(64, b"\0") + table


def elf32(*segments: tuple[int, int]) -> bytes:
    """A 32-bit header with its table of segments."""
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHH", 3, 40, 1, 0, 52, 0, 0, 52, 32, len(segments))
    table = b"".join(struct.pack("<IIIIIIII", kind, 0, 0, 0, 0, 0, 5, align) for kind, align in segments)
    return head.ljust(52, b"\0") + table


@pytest.mark.parametrize(
    ("data", "bytes_"),
    [
        (elf64((1, 16384), (1, 16384)), 16384),
        (elf64((1, 16384), (1, 4096), (2, 8)), 4096),
        (elf32((6, 4), (1, 65536)), 65536),
    ],
)
def test_the_smallest_alignment_of_what_is_loaded_counts(data: bytes, bytes_: int) -> None:
    assert load_alignment(data, name="lib.so") == bytes_


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", elf64((1, 4096))[:70], elf64((2, 8)), b"\x7fELF\x02\x02" + bytes(90)]
)
def test_what_is_no_library_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(BuildError, match=r"lib\.so"):
        load_alignment(data, name="lib.so")
