"""The readers by format, and the types in a file for its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.readers.facts import FileFacts
from harness.readers.onnx import read_onnx
from harness.readers.pte import read_pte_tensors
from harness.readers.ptl import read_ptl
from harness.readers.tflite import read_tflite
from harness.wire import Format

# A reader raises `ValueError` for a file that does not parse. A format without one says nothing that can be read here.
READERS: dict[Format, Callable[[Path], FileFacts]] = {
    Format.ONNX: read_onnx,
    Format.TFLITE: read_tflite,
    Format.PTE: read_pte_tensors,
    Format.PTL: read_ptl,
}


def read_file(path: Path, format_: Format) -> FileFacts | None:
    """Return what the file says about itself, or None if it cannot be read. The runtime then says why."""
    reader = READERS.get(format_)
    try:
        return reader(path) if reader is not None else None
    except (OSError, ValueError):
        return None
