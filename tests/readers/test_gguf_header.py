"""A header of GGUF that cannot be read says what is wrong with it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harness.readers.gguf import read_gguf_header


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"GGUF", "cut off"),
        (b"GGML" + bytes(20), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9, and versions 2 and 3 can be read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62), "header has 4611686018427387904 entries"),
    ],
)
def test_what_is_wrong_with_a_header_is_said(tmp_path: Path, header: bytes, words: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(header)
    with pytest.raises(ValueError, match=words):
        read_gguf_header(file)
