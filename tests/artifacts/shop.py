"""Artifacts of one small network, each exported once per test session, and the content of the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from harness.artifacts.export.exporter import Exporter, FloatModel
from harness.artifacts.export.registry import EXPORTERS
from harness.runners.host.runtimes.registry import open_session, run_once
from harness.spec.formats import Backend
from harness.spec.recipe import KeepFloat, Recipe
from harness.spec.shorthand import parse_recipe
from harness.wire import Delegate, DType, Format, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array

SHAPE = (1, 1, 64, 64)
COUNT = 16


class Net(nn.Module):
    """A convolution with batch norm, a pointwise convolution and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 32, 1))
        self.hidden, self.head = nn.Linear(32, 32), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = torch.relu(self.body(x)).mean((2, 3))
        scores: torch.Tensor = self.head(torch.relu(self.hidden(pooled)))
        return scores


def make_network(kind: type[nn.Module] = Net) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def float_model(network: nn.Module, inputs: Array) -> FloatModel:
    spec = TensorSpec(name="x", dtype=DType.FLOAT32, shape=inputs.shape[1:])
    return FloatModel(network=network, inputs=(spec,), calibration=lambda _: (inputs,), scripted=False)


def heavy_tailed() -> Array:
    """Inputs with a few values far outside the rest, so that every observer finds a different range."""
    normal = np.random.default_rng(0).standard_normal((COUNT, *SHAPE))
    return (normal**3 / 10).astype(np.float32)


def recipe(variant: str, *kept: str, **knobs: Any) -> Recipe:
    parsed = parse_recipe(variant)
    if kept:
        knobs["keep_float"] = KeepFloat(layers=kept)
    return msgspec.structs.replace(parsed, quantisation=msgspec.structs.replace(parsed.quantisation, **knobs))


@dataclass(slots=True, kw_only=True)
class Shop:
    """Exports to ``folder`` and keeps what it exported."""

    folder: Path
    inputs: Array = field(default_factory=heavy_tailed)
    exporters: dict[Format, Exporter] = field(default_factory=dict)
    made: dict[tuple[Format, Recipe, Backend | None], Path] = field(default_factory=dict)

    def file(self, format_: Format, requested: Recipe, backend: Backend | None = None) -> Path:
        """Return the artifact. A ``.pte`` is for the portable kernels by default, because those files can be read."""
        if format_ is Format.PTE and backend is None:
            backend = Backend.PORTABLE
        key = (format_, requested, backend)
        if key not in self.made:
            if format_ not in self.exporters:
                self.exporters[format_] = EXPORTERS[format_](float_model(make_network(), self.inputs))
            path = self.folder / f"{len(self.made)}.{format_.value}"
            self.exporters[format_].export(requested, backend, path)
            self.made[key] = path
        return self.made[key]

    def sqnr_db(self, path: Path) -> float:
        """The signal-to-noise ratio of the outputs when the format's runtime runs all inputs."""
        with torch.no_grad():
            expected = np.stack([make_network()(torch.from_numpy(x)).numpy() for x in self.inputs])
        error = np.stack(list(run_file(path, self.inputs))) - expected
        return float(10 * np.log10((expected**2).sum() / (error**2).sum()))


def run_file(path: Path, inputs: Array) -> Iterator[Array]:
    """The first output of each call."""
    format_ = Format(path.suffix[1:])
    session = open_session(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), format_)
    for x in inputs:
        (output,) = run_once(session, [x])
        assert output.dtype == np.float32
        yield output
    session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The weights of two or more dimensions: type and number of scales by shape; and the range of the input."""

    weights: dict[tuple[int, ...], str]
    scales: dict[tuple[int, ...], int]
    input_range: float | None


def read_content(path: Path) -> Content:
    """Read the content of an artifact with its format's own tools."""
    readers = {".onnx": _read_onnx, ".tflite": _read_tflite, ".pte": _read_pte, ".ptl": _read_ptl}
    return readers[path.suffix](path)


def _shape(sizes: Any) -> tuple[int, ...]:
    """Sorted in descending order and without ones, because formats lay out the same weights differently."""
    return tuple(sorted((int(n) for n in sizes if n != 1), reverse=True))


def _read_onnx(path: Path) -> Content:
    import onnx

    graph = onnx.load(str(path)).graph
    constants = {t.name: t for t in graph.initializer}
    weights = {
        _shape(t.dims): onnx.TensorProto.DataType.Name(t.data_type).lower()
        for t in constants.values()
        if len(t.dims) > 1
    }
    scales = {
        _shape(constants[n.input[0]].dims): int(np.prod(constants[n.input[1]].dims, dtype=int))
        for n in graph.node
        if n.op_type == "DequantizeLinear" and n.input[0] in constants
    }
    first = next((n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "x"), None)
    scale = float(onnx.numpy_helper.to_array(constants[first.input[1]])) if first else None
    return Content(weights=weights, scales=scales, input_range=scale and scale * 255)


def _read_tflite(path: Path) -> Content:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    names = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    model = flatbuffer.read_model(str(path))
    (graph,) = model.subgraphs
    found = [t for t in graph.tensors if model.buffers[t.buffer].data is not None and len(t.shape) > 1]
    entry = graph.tensors[graph.inputs[0]]
    steps = {schema.TensorType.INT8: 255, schema.TensorType.INT16: 65534}.get(entry.type)
    return Content(
        weights={_shape(t.shape): names[t.type] for t in found},
        scales={
            _shape(t.shape): len(t.quantization.scale)
            for t in found
            if t.quantization and t.quantization.scale is not None
        },
        input_range=float(entry.quantization.scale[0]) * steps if steps else None,
    )


def _read_pte(path: Path) -> Content:
    from executorch.exir._serialize._program import deserialize_pte_binary

    plan = deserialize_pte_binary(path.read_bytes()).program.execution_plan[0]
    values = [v.val for v in plan.values]
    constants = [v for v in values if type(v).__name__ == "Tensor" and v.data_buffer_idx > 0 and len(v.sizes) > 1]
    scales: dict[tuple[int, ...], int] = {}
    input_range = None
    for step in plan.chains[0].instructions:
        call = step.instr_args
        name = plan.operators[call.op_index].name if hasattr(call, "op_index") else ""
        arguments = [values[i] for i in call.args] if name else []
        if name.endswith("dequantize_per_channel"):
            scales[_shape(arguments[0].sizes)] = int(np.prod(arguments[1].sizes))
        elif name.endswith("dequantize_per_tensor") and arguments[0] in constants:
            scales[_shape(arguments[0].sizes)] = 1
        elif name.endswith("quantize_per_tensor") and input_range is None:
            input_range = float(arguments[1].double_val) * 255
    return Content(
        weights={_shape(t.sizes): t.scalar_type.name.lower() for t in constants}, scales=scales, input_range=input_range
    )


def _read_ptl(path: Path) -> Content:
    graph = torch.jit.load(str(path)).inlined_graph
    weights: dict[tuple[int, ...], str] = {}
    scales: dict[tuple[int, ...], int] = {}
    input_range = None
    for node in graph.nodes():
        if node.kind() == "aten::quantize_per_tensor" and input_range is None:
            input_range = float(list(node.inputs())[1].toIValue()) * 255
    for value in _constants(graph):
        tensors = value.unpack()[:1] if hasattr(value, "unpack") else [value]
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 1:
                shape = _shape(tensor.shape)
                weights[shape] = str(tensor.dtype).removeprefix("torch.")
                if tensor.is_quantized:
                    channels = tensor.qscheme() is torch.per_channel_affine
                    scales[shape] = len(tensor.q_per_channel_scales()) if channels else 1
    return Content(weights=weights, scales=scales, input_range=input_range)


def _constants(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        if node.kind() == "prim::Constant" and node.output().type().kind() in ("TensorType", "ClassType"):
            yield node.output().toIValue()
