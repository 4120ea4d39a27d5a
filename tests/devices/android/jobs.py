"""A real model of one multiplication, its inputs, and requests for launches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.wire import (
    ArtifactRef,
    Delegate,
    DType,
    Format,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    OutputsPass,
    Passes,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
)
from tests.artifacts.builders import onnx_file

INPUTS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
OPERAND = np.array([2, 10], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A model and inputs on disk, and a matching request."""

    model: Path
    sha256: str
    inputs: Path
    request: RunRequest

    def launch(self, number: int) -> RunRequest:
        """The request of another launch."""
        return replace(self.request, launch=number)

    def lasting(self, seconds: float) -> RunRequest:
        """A request whose measured calls take so long."""
        measure = MeasurePass(min_calls=1, min_ns=round(seconds * 1e9), max_ns=10**11)
        latency = LatencyPass(warmup=WarmupPass(min_calls=1, min_ns=0), measure=measure, stride_ns=10_000_000)
        return replace(self.request, passes=Passes(latency=latency))


def make_work(folder: Path) -> Work:
    """Write the model and its inputs."""
    model = onnx_file(folder / "it's a net.onnx", "Mul", OPERAND)
    inputs = folder / "some inputs.bin"
    inputs.write_bytes(INPUTS.tobytes())
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    tensors = (TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 2)),)
    latency = LatencyPass(
        warmup=WarmupPass(min_calls=3, min_ns=0), measure=MeasurePass(min_calls=20, min_ns=0, max_ns=10**10)
    )
    request = RunRequest(
        cell="net's-fp32-onnx",
        launch=0,
        artifact=ArtifactRef(file="model.onnx", sha256=sha256, format=Format.ONNX),
        runtime=RuntimeRequest(delegate=Delegate.CPU, threads=1),
        inputs=InputsRef(file="inputs.bin", count=len(INPUTS), tensors=tensors),
        passes=Passes(latency=latency, memory=MemoryPass(calls=2), outputs=OutputsPass(count=len(INPUTS))),
    )
    return Work(model=model, sha256=sha256, inputs=inputs, request=request)
