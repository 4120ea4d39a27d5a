"""Tiny artifacts of every format, made from one network with fixed weights, and a maker of jobs."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
    OutputsPass,
    Passes,
    ProfilePass,
    RunReply,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
    decode_reply,
    encode,
)

ROOT = Path(__file__).resolve().parents[3]
Floats = npt.NDArray[np.float32]

SHAPE = (1, 1, 8, 8)
IMAGE = TensorSpec(name="image", dtype=DType.FLOAT32, shape=SHAPE)
ALL_PASSES = Passes(
    latency=LatencyPass(
        warmup=WarmupPass(min_calls=2, min_ns=0), measure=MeasurePass(min_calls=5, min_ns=0, max_ns=10**10)
    ),
    memory=MemoryPass(calls=3),
    outputs=OutputsPass(count=4),
    profile=ProfilePass(calls=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """Inputs of shape (4, 1, 1, 8, 8), the float network's outputs for them, and the folder of the artifacts."""

    folder: Path
    inputs: Floats
    expected: Floats


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Convolution, ReLU, linear, with a fixed seed: every format must give the same ten numbers."""
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(0)
    inputs = torch.randn(4, *SHAPE)
    with torch.no_grad():
        expected = torch.stack([_network(torch)(image) for image in inputs])
    return Zoo(folder=tmp_path_factory.mktemp("zoo"), inputs=inputs.numpy(), expected=expected.numpy())


def _network(torch: Any) -> Any:
    torch.manual_seed(1)
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)).eval()


@contextlib.contextmanager
def _quietly() -> Iterator[Any]:
    """Exporters warn about their own internals."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield torch


@pytest.fixture(scope="session")
def onnx_file(zoo: Zoo) -> Path:
    onnx: Any = pytest.importorskip("onnx")
    path = zoo.folder / "net.onnx"
    with _quietly() as torch:
        weights = {name: value.detach().numpy() for name, value in _network(torch).named_parameters()}
    make = onnx.helper
    nodes = [
        make.make_node("Conv", ["image", "0.weight", "0.bias"], ["conv"], pads=[1, 1, 1, 1]),
        make.make_node("Relu", ["conv"], ["relu"]),
        make.make_node("Flatten", ["relu"], ["flat"]),
        make.make_node("Gemm", ["flat", "3.weight", "3.bias"], ["scores"], transB=1),
    ]
    graph = make.make_graph(
        nodes,
        "net",
        [make.make_tensor_value_info("image", onnx.TensorProto.FLOAT, SHAPE)],
        [make.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, (1, 10))],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = make.make_opsetid("", 17)
    path.write_bytes(make.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString())
    return path


@pytest.fixture(scope="session")
def ptl_file(zoo: Zoo) -> Path:
    path = zoo.folder / "net.ptl"
    with _quietly() as torch:
        traced = torch.jit.trace(_network(torch), torch.zeros(SHAPE))
        torch.jit.freeze(traced)._save_for_lite_interpreter(str(path))
    return path


def _pte(zoo: Zoo, name: str, partitioners: list[Any]) -> Path:
    path = zoo.folder / name
    with _quietly() as torch:
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(_network(torch), (torch.zeros(SHAPE),))
        lowered = to_edge_transform_and_lower(program, partitioner=partitioners)
        path.write_bytes(lowered.to_executorch().buffer)
    return path


@pytest.fixture(scope="session")
def pte_file(zoo: Zoo) -> Path:
    pytest.importorskip("executorch.exir")
    return _pte(zoo, "portable.pte", [])


@pytest.fixture(scope="session")
def pte_xnnpack_file(zoo: Zoo) -> Path:
    partition: Any = pytest.importorskip("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    return _pte(zoo, "xnnpack.pte", [partition.XnnpackPartitioner()])


@pytest.fixture(scope="session")
def tflite_file(zoo: Zoo) -> Path:
    """Made in a separate process: the converter writes to standard output and leaves a lot behind."""
    pytest.importorskip("litert_torch")
    path = zoo.folder / "net.tflite"
    code = (
        "import sys, torch, litert_torch; torch.manual_seed(1); nn = torch.nn;"
        "net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)).eval();"
        f"litert_torch.convert(net, (torch.zeros({SHAPE}),)).export(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="session")
def tflite_int8_file(zoo: Zoo, tflite_file: Path) -> Path:
    """Static int8, with int8 inputs and outputs."""
    pytest.importorskip("ai_edge_quantizer")
    path, inputs = zoo.folder / "int8.tflite", zoo.folder / "calibration.npy"
    np.save(inputs, zoo.inputs)
    code = (
        "import sys, numpy; from ai_edge_quantizer import quantizer, recipe;"
        "q = quantizer.Quantizer(sys.argv[1]); q.load_quantization_recipe(recipe.static_wi8_ai8());"
        "seen = [{'args_0': image} for image in numpy.load(sys.argv[2])];"
        "q.quantize(q.calibrate({'serving_default': seen})).export_model(sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(tflite_file), str(inputs), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job's folder, ready to run."""

    folder: Path
    request: RunRequest

    def rewrite(self, request: RunRequest) -> Job:
        """The same folder with another request."""
        (self.folder / "request.json").write_bytes(encode(request))
        return Job(folder=self.folder, request=request)

    def run(self) -> RunReply:
        """Run the real program on the folder."""
        command = [sys.executable, "-m", "harness.runners.host", str(self.folder)]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        return decode_reply((self.folder / "reply.json").read_bytes())

    def outputs(self) -> Floats:
        """What the runner wrote, as rows."""
        return np.fromfile(self.folder / "outputs.bin", dtype=np.float32).reshape(-1, 1, 10)


class Jobs:
    """Makes jobs in subfolders of one folder."""

    def __init__(self, folder: Path, zoo: Zoo) -> None:
        self._folder, self._zoo = folder, zoo

    def make(self, artifact: Path, format_: Format, delegate: Delegate, *, threads: int = 1) -> Job:
        shutil.copy(artifact, self._folder / artifact.name)
        (self._folder / "inputs.bin").write_bytes(self._zoo.inputs.tobytes())
        sha256 = hashlib.sha256(artifact.read_bytes()).hexdigest()
        request = RunRequest(
            cell="cell",
            launch=2,
            artifact=ArtifactRef(file=artifact.name, sha256=sha256, format=format_),
            runtime=RuntimeRequest(delegate=delegate, threads=threads),
            inputs=InputsRef(file="inputs.bin", count=4, tensors=(IMAGE,)),
            passes=ALL_PASSES,
        )
        return Job(folder=self._folder, request=request).rewrite(request)


@pytest.fixture
def jobs(tmp_path: Path, zoo: Zoo) -> Jobs:
    folder = tmp_path / "job"
    folder.mkdir()
    return Jobs(folder, zoo)
