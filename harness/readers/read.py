"""The readers by format: of what a file states, and of the network in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.readers.facts import FileFacts
from harness.readers.genai import read_genai
from harness.readers.graph import Graph
from harness.readers.graph_onnx import read_onnx_graph
from harness.readers.graph_pte import read_pte_graph
from harness.readers.graph_ptl import read_ptl_graph
from harness.readers.graph_tflite import read_tflite_graph
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
    Format.GENAI: read_genai,
}

GRAPH_READERS: dict[Format, Callable[[Path], Graph]] = {
    Format.ONNX: read_onnx_graph,
    Format.TFLITE: read_tflite_graph,
    Format.PTE: read_pte_graph,
    Format.PTL: read_ptl_graph,
}


def read_file(path: Path, format_: Format) -> FileFacts | None:
    """Return what the file says about itself, or None if it cannot be read. The runtime then says why."""
    reader = READERS.get(format_)
    try:
        return reader(path) if reader is not None else None
    except (OSError, ValueError):
        return None


def read_graph(path: Path, format_: Format) -> Graph | None:
    """Return the network in the file, or None if it cannot be read here."""
    reader = GRAPH_READERS.get(format_)
    try:
        return reader(path) if reader is not None else None
    except (OSError, ValueError, RecursionError):
        return None
