"""Files made to hurt: too deep, too large once unpacked, or slow to read. All are refused at once."""

from __future__ import annotations

import io
import logging
import pickle
import struct
import zipfile
from collections.abc import Callable, Generator

import numpy as np
import pytest

from tests.fuzz.targets import TARGETS, gguf


def message(number: int, content: bytes) -> bytes:
    """A field of a Protocol Buffers message that is a message itself."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    return varint(number << 3 | 2) + varint(len(content)) + content


def graphs_in_graphs(levels: int) -> bytes:
    """An ONNX graph with a node whose attribute is a graph, and so on."""
    graph = b""
    for _ in range(levels):
        graph = message(1, message(5, message(6, graph)))
    return message(7, graph)


def archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return packed.getvalue()


def array_of(count: int) -> bytes:
    """An .npy file whose header says more than the file holds."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (count, 2)})
    return header.getvalue() + bytes(100)


def headed(header: bytes) -> bytes:
    """An .npy file with ``header`` in the place of the description."""
    return b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(118) + bytes(32)


def pickled_array() -> bytes:
    """An .npy file of objects, which numpy would unpickle: the pickle starts a program."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00\x76\x00" + header + b'cos\nsystem\n(S"touch hacked"\ntR.'


def shared_lists(levels: int) -> bytes:
    """A pickle of a list that holds one list twice, which holds one list twice, and so on."""
    value: list[object] = []
    for _ in range(levels):
        value = [value, value]
    return pickle.dumps([value], protocol=2)


CASES: list[tuple[str, str, Callable[[], bytes]]] = [
    ("spec", "arrays in arrays", lambda: b"a = " + b"[" * 100_000),
    ("spec", "a key of many parts", lambda: b".".join([b"a"] * 50_000) + b" = 1"),
    ("spec", "a large file", lambda: b"# " + b"x" * (2 << 20)),
    ("card", "arrays in arrays", lambda: b"a = " + b"[" * 100_000),
    ("card", "tables in tables", lambda: b"[" + b".".join([b"a"] * 5000) + b"]\n"),
    ("imports", "arrays in arrays", lambda: b"[" * 200_000),
    ("imports", "objects in objects", lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("reply", "arrays in arrays", lambda: b'{"schema": 1, "x": ' + b"[" * 200_000),
    ("request", "arrays in arrays", lambda: b'{"schema": 1, "x": ' + b"[" * 200_000),
    ("run", "arrays in arrays", lambda: b'{"schema": 1, "x": ' + b"[" * 200_000),
    ("signature", "arrays in arrays", lambda: b"[" * 10_000_000),
    ("onnx", "graphs in graphs", lambda: graphs_in_graphs(3000)),
    ("onnx", "megabytes of empty fields", lambda: b"x" * 20_000_000),
    ("onnx", "a node of empty fields", lambda: message(7, message(1, b"x" * 20_000_000))),
    ("ptl", "a member that unpacks to 300 MB", lambda: archive("m/data.pkl", bytes(300_000_000))),
    ("ptl", "a pickle with two billion places", lambda: archive("m/constants.pkl", b"\x80\x02Nr\xff\xff\xff\x7f.")),
    (
        "ptl",
        "lists that hold one list twice",
        lambda: archive("m/constants.pkl", shared_lists(60)),
    ),
    (
        "ptl",
        "brackets in brackets",
        lambda: archive("m/code/x.py", b"class X:\n  def forward(self):\n    " + b"(" * 99_999),
    ),
    ("gguf", "lists in lists", lambda: gguf(struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000)),
    ("gguf", "a list of two to the 63 numbers", lambda: gguf(struct.pack("<IIQ", 9, 10, 1 << 63))),
    ("npz", "an array of 8 GB", lambda: archive("inputs.npy", array_of(10**9))),
    ("npz", "an array of 8 PB", lambda: archive("inputs.npy", array_of(10**15))),
    ("npz", "a header without its last bracket", lambda: archive("inputs.npy", array_of(4).replace(b"}", b" "))),
    ("npz", "a header of indented lines", lambda: archive("inputs.npy", headed(b"(\n1,\n)\n  1L\n 2\n"))),
    ("npz", "a pickle", lambda: archive("inputs.npy", pickled_array())),
    ("npz", "an empty file", lambda: b""),
]


@pytest.fixture(autouse=True)
def _quiet() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "make"), [(n, m) for n, _, m in CASES], ids=[f"{n}-{what}" for n, what, _ in CASES])
def test_a_hostile_file_is_refused(name: str, make: Callable[[], bytes]) -> None:
    target = TARGETS[name]()
    with pytest.raises(target.refuses):
        target.read(make())


@pytest.mark.timeout(60)
def test_graphs_in_graphs_cost_no_more_time_per_level() -> None:
    """As deep as the reader goes, which was a day of work when each level doubled it."""
    TARGETS["onnx"]().read(graphs_in_graphs(32))
