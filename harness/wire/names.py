"""File names and closed sets of the runner contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Raised when a field changes its meaning or disappears; runners refuse other numbers.
# 1 (2026-11): the first version.
SCHEMA = 1


REQUEST_FILE = "request.json"
REPLY_FILE = "reply.json"
OUTPUTS_FILE = "outputs.bin"
INPUTS_FILE = "inputs.bin"


class Format(StrEnum):
    """The file that a runtime loads.

    The set is closed because a runner must refuse a format that it does not know. Everything that phonebench knows
    about a format is in its row in `harness.spec.formats`. ``other`` stands only in imported results: a format of
    another program, or one that its file does not name. No runner accepts it.
    """

    # The values are part of cell keys and of stored results: never rename one.
    PTE = "pte"
    TFLITE = "tflite"
    ONNX = "onnx"
    PTL = "ptl"
    MLPACKAGE = "mlpackage"
    GENAI = "genai"
    LITERTLM = "litertlm"
    GGUF = "gguf"
    OTHER = "other"


class Delegate(StrEnum):
    """What a runtime is asked to run on. ``unknown`` stands only in imported results."""

    # As above, part of cell keys and of stored results.
    CPU = "cpu"
    XNNPACK = "xnnpack"
    GPU = "gpu"
    NNAPI = "nnapi"
    COREML = "coreml"
    QNN = "qnn"
    UNKNOWN = "unknown"


class DType(StrEnum):
    """Element type of a tensor, little-endian in the ``.bin`` files."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    UINT8 = "uint8"
    BOOL = "bool"


class ReplyStatus(StrEnum):
    """How a launch ended."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class KeyWrap(StrEnum):
    """How the key of an encrypted file is wrapped for a runner's public key; docs/wire.md has the parameters."""

    RSA_OAEP = "RSA-OAEP-SHA256-MGF1-SHA1"
    ECDH_ES_A256KW = "ECDH-ES+A256KW"


class FailureKind(StrEnum):
    """Where a launch failed. The host reports the last four itself, when there is no reply that it can trust."""

    LOAD = "load"
    DELEGATE = "delegate"
    RUN = "run"
    OOM = "oom"
    TIMEOUT = "timeout"
    DIGEST = "digest"
    INPUT = "input"
    CRASH = "crash"
    REPLY = "reply"
    LOST = "lost"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, element type and full shape, including the batch, of one tensor of one call."""

    name: str
    dtype: DType
    shape: tuple[int, ...]


def shape_text(shape: Sequence[int]) -> str:
    """Return ``1x3x224x224``, with ``?`` for an open size, or ``scalar`` for a tensor without dimensions."""
    return "x".join("?" if size < 0 else str(size) for size in shape) or "scalar"


def input_text(spec: TensorSpec) -> str:
    """Return ``image:float32:1x3x224x224``, as ``--input`` takes it."""
    return f"{spec.name}:{spec.dtype.value}:{shape_text(spec.shape)}"
