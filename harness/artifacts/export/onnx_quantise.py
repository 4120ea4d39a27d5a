"""What ONNX Runtime's quantisers need: ranges by the recipe's observer, and matrix products that they recognise.

ONNX Runtime collects all activations of all calibration inputs before it evaluates any. Here it gets one input at a
time, so a hundred photos fit into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.export.onnx_kernels import FloatParts, drop_roundings
from harness.spec.recipe import Observer, Quantisation
from harness.variants.ranges import ObservedRange, whole_ends
from harness.wire.tensors import Array

Feed = dict[str, Array]

# The levels of eight bits.
LEVELS = 256

# How many weights along a column share a scale in weight-only quantisation.
BLOCK = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticJob:
    """How to quantise a graph. ``parts`` stay in float; ``external``: weights go to a second file."""

    knobs: Quantisation
    parts: FloatParts
    external: bool = False


def quantise_static(model: Any, feeds: Iterator[Feed], job: StaticJob, destination: Path) -> None:
    """Write ``model`` with int8 weights and activations to ``destination``."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="phonebench-onnx-") as folder:
        ranges = Path(folder) / "ranges.json"
        _write_ranges(model, feeds, job.knobs.observer, ranges)
        quantize_static(
            model,
            str(destination),
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=job.knobs.per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(job.parts.nodes),
            use_external_data_format=job.external,
            # With the ranges given, it does not calibrate by itself, which would need all activations in memory.
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=str(ranges),
        )
    # Weights in a second file stay there: only the graph is read and written.
    quantised = onnx.load(str(destination), load_external_data=False)
    drop_roundings(quantised, job.parts)
    onnx.save(quantised, str(destination))


def _write_ranges(model: Any, feeds: Iterator[Feed], observer: Observer, destination: Path) -> None:
    """Observe all activations of ``feeds`` and write their ranges in the form that ONNX Runtime's quantiser reads."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data

    session = _session_with_activations(model, destination)
    observed = {name: ObservedRange(observer) for name in _tensors(session)}
    for end in whole_ends(observer, model.graph.input, model.graph.output):
        if end.name in observed:
            observed[end.name].keep_whole()
    outputs = [value.name for value in session.get_outputs()]
    for feed in feeds:
        for name, values in {**feed, **dict(zip(outputs, session.run(outputs, feed), strict=True))}.items():
            if name in observed:
                observed[name].see(values)
    limits = {name: range_.range(LEVELS) for name, range_ in observed.items()}
    seen = {name: tuple(np.array(end, np.float32) for end in ends) for name, ends in limits.items() if ends}
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, seen), destination)


def _session_with_activations(model: Any, destination: Path) -> Any:
    """Return a session that gives every activation as an output, as ONNX Runtime's calibrator augments the graph."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    graph = destination.with_name("graph.onnx")
    onnx.save(model, str(graph))
    calibrator = create_calibrator(
        graph,
        augmented_model_path=str(destination.with_name("augmented.onnx")),
        calibrate_method=CalibrationMethod.Percentile,
    )
    return calibrator.infer_session


def _tensors(session: Any) -> list[str]:
    floats = ("tensor(float)",)
    return [value.name for value in (*session.get_inputs(), *session.get_outputs()) if value.type in floats]


def grouped_transposed(model: Any) -> list[str]:
    """Return the names of transposed convolutions with groups, which stay in float if scales are per channel.

    Their weight has the output channels of one group as its second dimension, so no axis has one entry per channel.
    ONNX Runtime's quantiser takes that dimension and then fails on the bias.
    """
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "ConvTranspose" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    ]


def with_matrix_products(model: Any) -> Any:
    """Replace each Gemm with constant weights by MatMul and Add: weight-only quantisation supports only MatMul."""
    import onnx

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[Any] = []
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        # A scaled product, or one of a transposed input, is not just a MatMul and an Add.
        plain = attributes.get("alpha", 1) == 1 and attributes.get("beta", 1) == 1 and not attributes.get("transA")
        if node.op_type != "Gemm" or node.input[1] not in constants or not plain:
            nodes.append(node)
            continue
        weight = node.input[1]
        if attributes.get("transB"):
            weight = _transposed(model, constants, weight)
        nodes += _product_and_sum(node, weight)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _product_and_sum(gemm: Any, weight: str) -> list[Any]:
    import onnx

    make = onnx.helper.make_node
    if len(gemm.input) < 3:
        return [make("MatMul", [gemm.input[0], weight], [gemm.output[0]], name=gemm.name)]
    product = f"{gemm.output[0]}_product"
    return [
        make("MatMul", [gemm.input[0], weight], [product], name=gemm.name),
        make("Add", [product, gemm.input[2]], [gemm.output[0]], name=f"{gemm.name}_bias"),
    ]


def _transposed(model: Any, constants: dict[str, Any], name: str) -> str:
    """Add the transpose of a constant to the graph, once for all nodes that read it, and return its name."""
    import onnx

    other = f"{name}_transposed"
    if other not in constants:
        values = np.ascontiguousarray(onnx.numpy_helper.to_array(constants[name]).T)
        constants[other] = onnx.numpy_helper.from_array(values, other)
        model.graph.initializer.append(constants[other])
    return other


def quantise_products(model: Any, bits: int, excluded: list[str]) -> Any:
    """Return ``model`` with the weights of its matrix products in ``bits`` (4 or 8), one scale per `BLOCK` weights."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    job = MatMulNBitsQuantizer(
        with_matrix_products(model), bits=bits, block_size=BLOCK, is_symmetric=True, nodes_to_exclude=excluded
    )
    job.process()
    return job.model.model


def has_integer_weights(model: Any) -> bool:
    """Return whether a graph has integer weights: of eight bits, or of four packed into eight."""
    import onnx

    integers = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    return any(tensor.data_type in integers and len(tensor.dims) > 1 for tensor in model.graph.initializer)
