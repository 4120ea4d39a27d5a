"""Files made to hurt: too deep, too large once unpacked, or slow to read. All are refused or read at once."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import logging
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Generator

import numpy as np
import pytest

from harness.model.language import LanguageFacts
from tests.fuzz.channel_targets import BOARD_FACTS
from tests.fuzz.targets import TARGETS, gguf

_ZEROS = bytes(200 << 20)
ZEROS_SHA256 = hashlib.sha256(_ZEROS).hexdigest()
ZEROS = base64.b64encode(gzip.compress(_ZEROS, mtime=0)).decode()
del _ZEROS


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


def changed_archive(at: int, in_directory: int, value: int) -> bytes:
    """An archive from a cloud with one byte of a member's header changed, also in the central directory."""
    data = bytearray(archive("phonebench-results.tar.gz", b"x"))
    data[at] = data[data.index(b"PK\x01\x02") + in_directory] = value
    return bytes(data)


def misnamed_archive() -> bytes:
    """An archive from a cloud with a member whose name is marked as UTF-8 and is not valid UTF-8."""
    data = bytearray(archive("phonebench-results.tar.gz", b"x"))
    data[7], data[30] = 8, 0xFF
    return bytes(data)


def headed_by_length(body: bytes) -> bytes:
    """An answer of a phone's Chrome."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def board_facts(**changed: object) -> bytes:
    """The answer of a board that says what it is."""
    return b"\0" + json.dumps({"facts": {**BOARD_FACTS, **changed}}).encode()


def unknown_subject() -> bytes:
    """A certificate whose common name is of a type of text that does not exist."""
    seed = next(iter(TARGETS["farm-certificate"]().seeds()))
    # The type of the last name, which is the subject's: UTF8String, then its length and "host".
    at = seed.rindex(b"\x0c\x04host")
    return seed[:at] + b"\x1f" + seed[at + 1 :]


def logged(rest: str) -> bytes:
    """A line of an Android log with a part of a reply."""
    return f"11-30 10:00:00.000  100  100 I phonebench: reply j1 {rest}".encode()


def in_jetsam(pages: str, page_bytes: str) -> bytes:
    """A report that iOS ended an app for want of memory."""
    processes = f'[{{"pid": 7, "reason": "x", "rpages": {pages}}}]'
    return f'{{}}\n{{"memoryStatus": {{"pageSize": {page_bytes}}}, "processes": {processes}}}'.encode()


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
    ("genai", "arrays in arrays", lambda: b'{"model": ' + b"[" * 200_000),
    ("loop-file", "arrays in arrays", lambda: b'{"reply": ' + b"[" * 200_000),
    ("cloud-archive", "an encrypted member", lambda: changed_archive(6, 8, 1)),
    ("cloud-archive", "a name that is not UTF-8", misnamed_archive),
    ("cloud-archive", "an unknown compression", lambda: changed_archive(8, 10, 99)),
    ("adb-shell", "a packet of 4 GB", lambda: struct.pack("<BI", 1, 0xFFFF_FFFF)),
    ("adb-shell", "an exit without a code", lambda: struct.pack("<BI", 3, 0)),
    ("phone-chrome", "an answer of a petabyte", lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n"),
    ("phone-chrome", "a head without end", lambda: b"x" * 200_000),
    ("phone-chrome", "arrays in arrays", lambda: headed_by_length(b"[" * 200_000)),
    ("browser-message", "arrays in arrays", lambda: b'{"id": ' + b"[" * 200_000),
    ("browser-message", "a list", lambda: b"[]"),
    ("board-answer", "arrays in arrays", lambda: b"\0" + b"[" * 200_000),
    ("board-answer", "a list", lambda: b"\0[]"),
    ("board-answer", "no facts", lambda: b"\0{}"),
    ("board-answer", "a file of minus one byte", lambda: b'\3{"size": -1}'),
    ("board-answer", "a core with the number 10 to the 12", lambda: board_facts(max_khz={"1000000000000": 9, "1": 8})),
    ("board-answer", "no cores", lambda: board_facts(cores=0)),
    ("board-answer", "a Python that is a path", lambda: board_facts(python="../../x.1")),
    ("board-answer", "a refusal without words", lambda: b'\0{"error": "full"}'),
    ("page-facts", "a name that is not UTF-8", lambda: b'{"user_agent": "\x8e"}'),
    ("library", "a table of segments beyond the end of memory", lambda: b"\x7fELF\x02\x01" + b"\xff" * 60),
    ("apk", "no archive", lambda: b"x"),
    ("wheel", "no archive", lambda: b"x"),
    ("farm-certificate", "a subject of an unknown type", unknown_subject),
]
# What phones report is taken as it comes, or left out: the run goes on.
REPORTED: list[tuple[str, str, bytes]] = [
    ("logged-reply", "a part of ten to the 9", logged(f"1/999999999 {'0' * 64} x")),
    ("logged-reply", "a number of 5000 digits", logged(f"1/{'9' * 5000} {'0' * 64} x")),
    ("logged-reply", "200 MB once unpacked", logged(f"1/1 {ZEROS_SHA256} {ZEROS}")),
    ("iphone-death", "arrays in arrays", b"{}\n" + b"[" * 200_000),
    ("iphone-death", "a text of 100 GB", in_jetsam('"x"', "99999999999")),
    ("iphone-death", "a number of 8000 digits", in_jetsam("9" * 4000, "9" * 4000)),
    ("shell-tools", "arrays in arrays", b'{"n_prompt": ' + b"[" * 200_000),
    ("shell-tools", "a list for a number", b'{"n_prompt": [], "n_gen": {}, "samples_ns": [1]}'),
    ("shell-tools", "a time of 400 digits", b"Prefill Turn 1: Processed 8 tokens in " + b"9" * 400 + b"s duration"),
    ("shell-tools", "a count of 5000 digits", b"Decode Turn 1: Processed " + b"9" * 5000 + b" tokens in 1s duration"),
    ("shell-tools", "a time with two points", b"Iteration 0 of 1: 1.2.3 ms\nModel executed successfully"),
    ("phone-texts", "an endless charge", b"  Charge counter: 1e999\n"),
    ("phone-texts", "a status of 5000 digits", b"Thermal Status: " + b"9" * 5000),
    ("phone-texts", "cores of 5000 digits", b"cpu" + b"9" * 5000 + b"/cpufreq/cpuinfo_max_freq:" + b"9" * 5000),
    (
        "phone-texts",
        "a core with the number 10 to the 12",
        b"cpu999999999999/cpufreq/cpuinfo_max_freq:1\ncpu0/cpufreq/cpuinfo_max_freq:2\n",
    ),
    ("phone-texts", "a file whose name has a line break", b"one\ntwo 5 5\nthree four five\n"),
    ("phone-texts", "a time that is no number", b"@@uptime\nsoon\n@@load\nhigh\n@@cost\n" + b"9" * 5000),
    ("phone-texts", "an endless time", b"@@uptime\ninf\n@@load\nnan\n"),
    (
        "phone-texts",
        "facts of 5000 digits",
        b"@@cores\n0-" + b"9" * 5000 + b"\n@@page\n" + b"9" * 5000 + b"\n@@user\n" + b"9" * 5000,
    ),
    ("android-death", "a process of 5000 digits", b"11-30 10:00:00.000 " + b"9" * 5000 + b" 1 I tag: text"),
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
@pytest.mark.parametrize(("name", "data"), [(n, d) for n, _, d in REPORTED], ids=[f"{n}-{w}" for n, w, _ in REPORTED])
def test_a_hostile_report_of_a_phone_is_read_to_the_end(name: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        TARGETS[name]().read(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 150 << 20


@pytest.mark.parametrize(
    "config",
    ['{"text_config": 1}', '{"architectures": {}}', '{"architectures": 1}', '{"vocab_size": 1%s}' % ("0" * 400)],  # noqa: UP031
)
def test_a_configuration_with_values_of_other_types_states_nothing(config: str) -> None:
    facts = TARGETS["language-config"]().read(config.encode())
    assert facts == LanguageFacts(context=None, vocabulary=None, cached_per_token=None)


@pytest.mark.timeout(60)
def test_graphs_in_graphs_cost_no_more_time_per_level() -> None:
    """As deep as the reader goes, which was a day of work when each level doubled it."""
    TARGETS["onnx"]().read(graphs_in_graphs(32))
