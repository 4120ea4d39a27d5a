"""What is fuzzed, one row each: a reader, examples to begin with, and the errors with which it may refuse."""

from __future__ import annotations

import base64
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import PhonebenchError
from tests.fuzz.channel_targets import CHANNEL_TARGETS
from tests.fuzz.device_targets import DEVICE_TARGETS
from tests.fuzz.file_targets import FILE_TARGETS
from tests.fuzz.target import ROOT, Target, as_certificate, files, new_folder, on_file

GOLDEN = ROOT / "tests" / "golden"
IMPORTS = ROOT / "tests" / "exchange" / "files"


def _both(facts: Callable[[Path], object], graph: Callable[[Path], object]) -> Callable[[Path], object]:
    """Two readers of one format: the second also gets what the first refuses, as callers use them one by one."""

    def read(path: Path) -> object:
        try:
            return facts(path)
        finally:
            graph(path)

    return read


def _onnx() -> Target:
    from harness.readers.graph_onnx import read_onnx_graph
    from harness.readers.onnx import read_onnx

    def seeds() -> list[bytes]:
        import numpy as np
        import onnx

        weights = onnx.numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
        tensor = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "w"], ["h"]), onnx.helper.make_node("Relu", ["h"], ["y"])],
            "net",
            [onnx.helper.make_tensor_value_info("x", tensor, ["batch", 4])],
            [onnx.helper.make_tensor_value_info("y", tensor, ["batch", 2])],
            [weights],
        )
        model: bytes = onnx.helper.make_model(graph).SerializeToString()
        return [model]

    return Target(
        name="onnx",
        read=on_file(".onnx", _both(read_onnx, read_onnx_graph)),
        refuses=(ValueError, OSError),
        seeds=seeds,
    )


def _tflite() -> Target:
    from harness.readers.graph_tflite import read_tflite_graph
    from harness.readers.tflite import read_tflite

    def seeds() -> list[bytes]:
        from tests.readers.tflite_files import tflite_chain, tflite_file

        return [tflite_file("FLOAT32", [1, 2]), tflite_chain(["ABS", "RELU", "RELU"])]

    return Target(
        name="tflite",
        read=on_file(".tflite", _both(read_tflite, read_tflite_graph)),
        refuses=(ValueError, OSError),
        seeds=seeds,
    )


def _pte() -> Target:
    from harness.readers.graph_pte import read_pte_graph
    from harness.readers.pte import read_pte_tensors

    return Target(
        name="pte",
        read=on_file(".pte", _both(read_pte_tensors, read_pte_graph)),
        refuses=(ValueError, OSError),
        seeds=lambda: [b"\x20\0\0\0ET12" + bytes(56)],
    )


def _ptl() -> Target:
    from harness.readers.graph_ptl import read_ptl_graph
    from harness.readers.ptl import read_ptl

    def seeds() -> list[bytes]:
        import torch

        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "net.ptl"))
            traced = torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2))
            traced._save_for_lite_interpreter(path)
            return [Path(path).read_bytes()]

    return Target(
        name="ptl",
        read=on_file(".ptl", _both(read_ptl, read_ptl_graph)),
        refuses=(ValueError, OSError),
        seeds=seeds,
    )


def gguf(*values: bytes) -> bytes:
    """A GGUF file whose header has ``values``, each a type and its content."""
    pairs = b"".join(struct.pack("<Q", 1) + b"k" + value for value in values)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + pairs


def _gguf() -> Target:
    from harness.readers.gguf import read_gguf_header

    return Target(
        name="gguf",
        read=on_file(".gguf", read_gguf_header),
        refuses=(ValueError, OSError),
        seeds=lambda: [gguf(struct.pack("<IQ", 8, 1) + b"x", struct.pack("<IIQHH", 9, 2, 2, 5, 6))],
    )


def litertlm_header(*, context: int) -> bytes:
    """A file of LiteRT-LM with one section: metadata that say how many tokens the context has, at most 127."""
    import flatbuffers

    metadata, begin = bytes([5 << 3, context]), 256
    builder = flatbuffers.Builder(64)
    builder.StartObject(4)
    builder.PrependUint64Slot(1, begin, 0)
    builder.PrependUint64Slot(2, begin + len(metadata), 0)
    builder.PrependUint8Slot(3, 5, 0)
    section = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(section)
    sections = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, sections, 0)
    listed = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, listed, 0)
    builder.Finish(builder.EndObject())
    header = bytes(builder.Output())
    start = b"LITERTLM" + struct.pack("<IIIIQ", 1, 7, 0, 0, 32 + len(header)) + header
    return start.ljust(begin, b"\0") + metadata


def _litertlm() -> Target:
    from harness.readers.litertlm import read_litertlm

    return Target(
        name="litertlm",
        read=on_file(".litertlm", read_litertlm),
        refuses=(ValueError, OSError),
        seeds=lambda: [litertlm_header(context=64)],
    )


def _imports() -> Target:
    from harness.exchange.content import read_content
    from harness.exchange.importers.registry import importer_of

    def read(path: Path) -> object:
        content = read_content(path)
        return importer_of(content).read(content)

    return Target(
        name="imports",
        read=on_file(".json", read),
        refuses=(PhonebenchError,),
        seeds=files("tests/exchange/files/*"),
    )


def _reply() -> Target:
    from harness.wire import decode_reply

    return Target(name="reply", read=decode_reply, refuses=(ValueError,), seeds=files("tests/golden/wire/reply-*.json"))


def _request() -> Target:
    from harness.wire import decode_request

    return Target(
        name="request", read=decode_request, refuses=(ValueError,), seeds=files("tests/golden/wire/request-*.json")
    )


def _spec() -> Target:
    from harness.spec.read import make_spec, read_spec

    return Target(
        name="spec",
        read=on_file(".toml", lambda path: make_spec(read_spec(path), where="spec.toml")),
        refuses=(PhonebenchError,),
        seeds=files("models/specs/*.toml"),
    )


def _card() -> Target:
    from harness.model.card import ModelOptions
    from harness.model.resolve import resolve

    folder = new_folder()

    def read(data: bytes) -> object:
        (folder / "model.toml").write_bytes(data)
        return resolve(str(folder), ModelOptions())

    return Target(name="card", read=read, refuses=(PhonebenchError,), seeds=files("models/*/model.toml"))


def _run() -> Target:
    from harness.store.reader import read_folder

    folder = new_folder()

    def read(data: bytes) -> object:
        head, _, lines = data.partition(b"\0\n")
        (folder / "run.json").write_bytes(head)
        (folder / "measurements.jsonl").write_bytes(lines)
        return read_folder(folder)

    def seeds() -> list[bytes]:
        runs = sorted((GOLDEN / "results").rglob("run.json"))
        return [run.read_bytes() + b"\0\n" + (run.with_name("measurements.jsonl")).read_bytes() for run in runs]

    return Target(name="run", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _signature() -> Target:
    from harness.signing.bundle import verify
    from harness.signing.keys import read_trusted_key

    key = read_trusted_key(GOLDEN / "signing" / "P-256.pub")
    model = GOLDEN / "signing" / "model.bin"
    return Target(
        name="signature",
        read=on_file(".sig", lambda path: verify(model, key, signature=path)),
        refuses=(PhonebenchError,),
        seeds=files("tests/golden/signing/*.sig"),
    )


def _attached_signature() -> Target:
    from harness.signing.bundle import verify_attached
    from harness.signing.keys import read_trusted_key
    from harness.system.files import file_sha256

    key = read_trusted_key(GOLDEN / "signing" / "P-256.pub")
    digest = file_sha256(GOLDEN / "signing" / "model.bin")
    return Target(
        name="attached-signature",
        read=lambda data: verify_attached(data, {"model.bin": digest}, key, remedy="sign it"),
        refuses=(PhonebenchError,),
        seeds=files("tests/golden/signing/*.sig"),
    )


def _certificate() -> Target:
    from harness.signing.keys import create_key, read_trusted_key

    made = create_key(new_folder() / "release", days=30)
    return Target(
        name="certificate",
        # PEM hides the bytes in Base64, through which no fuzzer sees.
        read=on_file(".crt", read_trusted_key, wrap=as_certificate),
        refuses=(PhonebenchError,),
        seeds=lambda: [base64.b64decode(b"".join(made.certificate.read_bytes().splitlines()[1:-1]))],
    )


def _key() -> Target:
    from harness.signing.keys import read_trusted_key

    return Target(
        name="key",
        read=on_file(".pub", read_trusted_key),
        refuses=(PhonebenchError,),
        seeds=files("tests/golden/signing/*.pub"),
    )


def _tensors() -> Target:
    from harness.wire import DType, TensorSpec
    from harness.wire.tensors import read_tensors

    specs = (
        TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 3)),
        TensorSpec(name="i", dtype=DType.INT64, shape=(2,)),
    )
    return Target(
        name="tensors",
        read=on_file(".bin", lambda path: read_tensors(path, specs, 4)),
        refuses=(ValueError, OSError),
        seeds=lambda: [bytes(4 * (12 + 16))],
    )


_NPZ_CARD = """
[model]
name = "x"
task = "other"
license = "none"
source = "network:net"
[[input]]
name = "x"
dtype = "float32"
shape = [1, 2]
[data]
source = "data.npz"
"""


def _npz() -> Target:
    from harness.model.card import ModelOptions
    from harness.model.data import load_split
    from harness.model.resolve import resolve
    from harness.model.splits import Split

    folder = new_folder()
    (folder / "network.py").write_text("def net():\n    pass\n")
    (folder / "model.toml").write_text(_NPZ_CARD)
    (folder / "data.npz").write_bytes(b"")
    card = resolve(str(folder), ModelOptions())

    def read(data: bytes) -> object:
        (folder / "data.npz").write_bytes(data)
        return load_split(card, Split.TEST)

    def seeds() -> list[bytes]:
        import numpy as np

        path = folder / "seed.npz"
        np.savez(path, inputs=np.ones((4, 2), np.float32), labels=np.zeros(4, np.int64))
        return [path.read_bytes()]

    return Target(name="npz", read=read, refuses=(PhonebenchError,), seeds=seeds)


# A function each, so that a target imports only what it reads with.
TARGETS: dict[str, Callable[[], Target]] = {
    "onnx": _onnx,
    "tflite": _tflite,
    "pte": _pte,
    "ptl": _ptl,
    "gguf": _gguf,
    "litertlm": _litertlm,
    "imports": _imports,
    "reply": _reply,
    "request": _request,
    "spec": _spec,
    "card": _card,
    "run": _run,
    "signature": _signature,
    "key": _key,
    "attached-signature": _attached_signature,
    "certificate": _certificate,
    "tensors": _tensors,
    "npz": _npz,
    **DEVICE_TARGETS,
    **CHANNEL_TARGETS,
    **FILE_TARGETS,
}
