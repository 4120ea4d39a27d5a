"""Names and closed sets of the runner contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# 1 (2026-11): the first.
SCHEMA = 1


REQUEST_FILE = "request.json"
REPLY_FILE = "reply.json"
OUTPUTS_FILE = "outputs.bin"
INPUTS_FILE = "inputs.bin"


class Format(StrEnum):
    """The file a runtime loads."""

    PTE = "pte"
    TFLITE = "tflite"
    ONNX = "onnx"
    PTL = "ptl"
    MLPACKAGE = "mlpackage"


class Delegate(StrEnum):
    """What a runtime is asked to run on."""

    CPU = "cpu"
    XNNPACK = "xnnpack"
    GPU = "gpu"
    NNAPI = "nnapi"
    COREML = "coreml"


class DType(StrEnum):
    """Element type of a tensor; little-endian in the ``.bin`` files."""

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


class FailureKind(StrEnum):
    """Where a launch failed. The last four are told by the host when there is no reply to believe."""

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
    """Name, element type and full shape (batch included) of one tensor of one call."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
