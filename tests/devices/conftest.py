"""An artifact of arbitrary bytes and its request, for tests that run no real model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.wire import (
    ArtifactRef,
    Delegate,
    DType,
    Format,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    Passes,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An artifact, its digest, inputs, and a request for one launch."""

    path: Path
    sha256: str
    inputs: Path
    request: RunRequest


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    data = bytes(range(256)) * 800
    path, inputs = tmp_path / "net.tflite", tmp_path / "some inputs.bin"
    path.write_bytes(data)
    inputs.write_bytes(bytes(16))
    sha256 = hashlib.sha256(data).hexdigest()
    measure = MeasurePass(min_calls=60, min_ns=0, max_ns=10**12)
    request = RunRequest(
        cell="net-fp32",
        launch=1,
        artifact=ArtifactRef(file="net.tflite", sha256=sha256, format=Format.TFLITE),
        runtime=RuntimeRequest(delegate=Delegate.XNNPACK, threads=1),
        inputs=InputsRef(
            file="inputs.bin", count=1, tensors=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 4)),)
        ),
        passes=Passes(
            latency=LatencyPass(warmup=WarmupPass(min_calls=3, min_ns=0), measure=measure), memory=MemoryPass(calls=2)
        ),
    )
    return Parcel(path=path, sha256=sha256, inputs=inputs, request=request)
