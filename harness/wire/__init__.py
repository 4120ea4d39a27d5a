"""The contract with every runner: what a job asks for and what the runner answers.

A job is a folder with ``request.json``, the artifact and ``inputs.bin``. The runner writes ``outputs.bin`` and then
``reply.json``, which it writes under another name and renames, so a reply is complete if it exists. ``docs/wire.md`` is
the specification, and the golden files under ``tests/golden/wire`` are its examples. The records *are* the schema:
msgspec checks every field and type while decoding, so malformed messages stop here.

All times are integer nanoseconds of a monotonic clock, all sizes integer bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.wire.codec import WireError, decode_reply, decode_request, encode
from harness.wire.names import (
    INPUTS_FILE,
    OUTPUTS_FILE,
    REPLY_FILE,
    REQUEST_FILE,
    SCHEMA,
    Delegate,
    DType,
    FailureKind,
    Format,
    KeyWrap,
    ReplyStatus,
    TensorSpec,
    input_text,
    shape_text,
)
from harness.wire.reply import (
    Accelerator,
    DeviceStates,
    EncryptionKey,
    Ending,
    EnergyBlock,
    EnergyBlockKind,
    EnergyCounter,
    EnergyFacts,
    EnergyReading,
    EnergySource,
    Failure,
    Generation,
    GenerationSamples,
    LatencySamples,
    LoadTimes,
    MemoryMoment,
    MemoryReading,
    MemorySplit,
    NodesLeft,
    OperatorTime,
    OutputsRef,
    ProfileFacts,
    RunnerInfo,
    RunReply,
    RuntimeReport,
    StateSample,
    SummarisedTimes,
    ToldRates,
)

if TYPE_CHECKING:
    from harness.wire.request import (
        ArtifactRef,
        CompanionRef,
        EncryptedFile,
        Encryption,
        EnergyPass,
        GeneratePass,
        InputsRef,
        LatencyPass,
        MeasurePass,
        MemoryPass,
        OutputsPass,
        Passes,
        ProfilePass,
        RunRequest,
        RuntimeRequest,
        ScorePass,
        WarmupPass,
    )
else:

    def __getattr__(name: str) -> object:
        """Import the records of a request when one is first used.

        Reading stored results needs none of them, and building the fourteen classes takes about 4 ms, which a short
        command such as ``show`` notices.
        """
        if name not in __all__:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from harness.wire import request

        return getattr(request, name)


__all__ = [
    "Accelerator",
    "ArtifactRef",
    "CompanionRef",
    "DType",
    "EncryptedFile",
    "Encryption",
    "EncryptionKey",
    "EnergyBlock",
    "EnergyBlockKind",
    "EnergyCounter",
    "EnergyFacts",
    "EnergyPass",
    "EnergyReading",
    "EnergySource",
    "Delegate",
    "DeviceStates",
    "Ending",
    "Failure",
    "FailureKind",
    "Format",
    "GeneratePass",
    "Generation",
    "GenerationSamples",
    "INPUTS_FILE",
    "InputsRef",
    "KeyWrap",
    "LatencyPass",
    "LatencySamples",
    "LoadTimes",
    "MeasurePass",
    "MemoryMoment",
    "MemoryPass",
    "MemoryReading",
    "MemorySplit",
    "NodesLeft",
    "OUTPUTS_FILE",
    "OperatorTime",
    "OutputsPass",
    "OutputsRef",
    "Passes",
    "ProfileFacts",
    "ProfilePass",
    "REPLY_FILE",
    "REQUEST_FILE",
    "ReplyStatus",
    "RunReply",
    "RunRequest",
    "RunnerInfo",
    "RuntimeReport",
    "RuntimeRequest",
    "SCHEMA",
    "ScorePass",
    "StateSample",
    "TensorSpec",
    "SummarisedTimes",
    "ToldRates",
    "WarmupPass",
    "WireError",
    "decode_reply",
    "decode_request",
    "encode",
    "input_text",
    "shape_text",
]
