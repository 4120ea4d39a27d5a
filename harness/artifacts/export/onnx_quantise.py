"""What ONNX Runtime's quantisers need: ranges by the recipe's observer, and matrix products that they recognise.

ONNX Runtime collects all activations of all calibration inputs before it evaluates any. Here it gets one input at a
time, so a hundred photos fit into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from harness.artifacts.export.observers import AVERAGING, PERCENTILE
from harness.spec.recipe import Observer, Quantisation
from harness.wire.tensors import Array

Feed = dict[str, Array]

# ONNX Runtime's default is 128 bins. It quantises to as many levels, which leaves its search with one candidate.
ENTROPY_BINS = 512

# How many weights along a column share a scale in weight-only quantisation.
BLOCK = 32


class _One:
    """Provides a single calibration input through the interface of ONNX Runtime."""

    def __init__(self, feed: Feed) -> None:
        self._feed: Feed | None = feed

    def get_next(self) -> Feed | None:
        """Return the input the first time, then None."""
        feed, self._feed = self._feed, None
        return feed


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticJob:
    """How to quantise a graph. ``excluded``: nodes that stay in float; ``external``: weights go to a second file."""

    knobs: Quantisation
    excluded: list[str]
    external: bool = False


def quantise_static(model: Any, feeds: Iterator[Feed], job: StaticJob, destination: Path) -> None:
    """Write ``model`` with int8 weights and activations to ``destination``.

    Weights have seven bits: on x86 without VNNI the 8-bit kernels saturate, and the host would report a loss that no
    phone has.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="phonebench-onnx-") as folder:
        ranges = Path(folder) / "ranges.json"
        _write_ranges(model, feeds, job.knobs.observer, ranges)
        quantize_static(
            model,
            str(destination),
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=job.knobs.per_channel,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=job.excluded,
            use_external_data_format=job.external,
            calibrate_method=_method(job.knobs.observer),
            # With the ranges given, it does not calibrate by itself, which would need all activations in memory.
            calibration_cache_path=str(ranges),
        )


def _method(observer: Observer) -> Any:
    from onnxruntime.quantization import CalibrationMethod

    match observer:
        case Observer.MOVING_AVERAGE | Observer.MIN_MAX:
            return CalibrationMethod.MinMax
        case Observer.HISTOGRAM:
            return CalibrationMethod.Entropy
        case Observer.PERCENTILE:
            return CalibrationMethod.Percentile
        case _:
            assert_never(observer)


def _write_ranges(model: Any, feeds: Iterator[Feed], observer: Observer, destination: Path) -> None:
    """Observe all activations of ``feeds`` and write their ranges in the form that ONNX Runtime's quantiser reads."""
    import onnx
    from onnxruntime.quantization.calibrate import create_calibrator, save_tensors_data

    graph = destination.with_name("graph.onnx")
    onnx.save(model, str(graph))
    calibrator = create_calibrator(
        graph,
        augmented_model_path=str(destination.with_name("augmented.onnx")),
        calibrate_method=_method(observer),
        extra_options=_settings(observer),
    )
    whole = _EdgeRange(model, with_inputs=observer is Observer.MOVING_AVERAGE)
    for feed in feeds:
        calibrator.collect_data(_One(feed))
        whole.see(feed)
    ranges = calibrator.compute_data()
    whole.widen(ranges)
    save_tensors_data(ranges, destination)


def _settings(observer: Observer) -> dict[str, Any]:
    match observer:
        case Observer.MOVING_AVERAGE:
            return {"moving_average": True, "averaging_constant": AVERAGING}
        case Observer.PERCENTILE:
            return {"percentile": PERCENTILE}
        case Observer.HISTOGRAM:
            return {"num_bins": ENTROPY_BINS}
        case Observer.MIN_MAX:
            return {}
        case _:
            assert_never(observer)


class _EdgeRange:
    """The full range of the graph's outputs, and of its inputs if ranges are averaged.

    The largest scores decide a class, and an average would clip them. An input with few values, such as a row of
    features, averages to a fraction of its range, which an activation with many values does not.
    """

    def __init__(self, model: Any, *, with_inputs: bool) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Errors only.
        options.log_severity_level = 3
        content = model.SerializeToString()
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._with_inputs = with_inputs
        self._seen: dict[str, tuple[float, float]] = {}

    def see(self, feed: Feed) -> None:
        """Run one input and record its values."""
        names = [output.name for output in self._session.get_outputs()]
        outputs = zip(names, self._session.run(names, feed), strict=True)
        for name, values in (*(feed.items() if self._with_inputs else ()), *outputs):
            low, high = self._seen.get(name, (np.inf, -np.inf))
            self._seen[name] = min(low, values.min()), max(high, values.max())

    def widen(self, ranges: Any) -> None:
        """Widen ``ranges`` to all values recorded."""
        from onnxruntime.quantization.calibrate import TensorData

        for name, (low, high) in self._seen.items():
            if name in ranges:
                averaged = ranges[name]
                fields = {
                    field: getattr(averaged, field) for field in ("hist", "hist_edges") if hasattr(averaged, field)
                }
                kind = averaged.lowest.dtype.type
                ranges.data[name] = TensorData(lowest=np.array(low, kind), highest=np.array(high, kind), **fields)


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
