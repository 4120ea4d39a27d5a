"""ONNX ``.onnx``: one float export by torch, every precision derived from it by onnxruntime's quantisers."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_never

from harness.artifacts import onnx_external
from harness.artifacts.source import FloatModel, UnsupportedError, no_precision
from harness.recipe import Precision, Quantisation, Recipe
from harness.support import Backend

log = logging.getLogger(__name__)

# Used when the exporter that captures with torch.export fails on a network.
LEGACY_OPSET = 17


class OnnxExporter:
    """Exports the network once and keeps the float graph; weights over ``external_bytes`` go to a second file."""

    def __init__(self, source: FloatModel, *, external_bytes: int = onnx_external.EXTERNAL_BYTES) -> None:
        self._source = source
        self._external_bytes = external_bytes
        self._names = [tensor.name for tensor in source.inputs]
        self._base = self._export_float()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  pte alone has backends
        """Write the variant to ``path``."""
        match recipe.precision:
            case Precision.FP32:
                onnx_external.save(self._base, path, limit=self._external_bytes)
            case Precision.FP16:
                onnx_external.save(self._float16(), path, limit=self._external_bytes)
            case Precision.INT8:
                self._static(recipe, path)
            case Precision.INT8_DYNAMIC:
                self._dynamic(path)
            case Precision.BF16 | Precision.INT8_WEIGHT | Precision.INT4_WEIGHT | Precision.INT16X8:
                raise UnsupportedError(no_precision(recipe, path))
            case _:
                assert_never(recipe.precision)
        onnx_external.split(path, limit=self._external_bytes)

    @property
    def _external(self) -> bool:
        """Whether onnxruntime's quantisers must write the weights of a float network to a second file."""
        return onnx_external.weight_bytes(self._base) > self._external_bytes

    def _export_float(self) -> Any:
        import onnx
        import torch

        with tempfile.TemporaryDirectory(prefix="phonebench-onnx-") as folder:
            path = Path(folder) / "base.onnx"
            try:
                torch.onnx.export(
                    self._source.exportable(),
                    self._source.example(),
                    str(path),
                    dynamo=True,
                    # Weights that would pass the limit of protobuf are read back from their own file below.
                    external_data=True,
                    input_names=self._names,
                )
            except (RuntimeError, torch.onnx.OnnxExporterError) as error:
                log.warning("the torch.export-based ONNX exporter failed (%s); using the tracing one", error)
                torch.onnx.export(
                    self._source.network,
                    self._source.example(),
                    str(path),
                    dynamo=False,
                    opset_version=LEGACY_OPSET,
                    input_names=self._names,
                )
            return _without_traces(onnx.load(str(path)))

    def _float16(self) -> Any:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(copy.deepcopy(self._base), keep_io_types=True)

    def _quantisable(self) -> Any:
        """A copy without the inferred shapes, which onnxruntime's quantisers contradict on these graphs."""
        model = copy.deepcopy(self._base)
        del model.graph.value_info[:]
        return model

    def _dynamic(self, path: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        # Convolutions stay float: their dynamically quantised kernel is many times slower than the float one.
        # Seven-bit weights: without VNNI the 8-bit kernels of x86 saturate and would report a loss no phone has.
        quantize_dynamic(
            self._quantisable(),
            str(path),
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            use_external_data_format=self._external,
        )

    def _static(self, recipe: Recipe, path: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        quantize_static(
            self._quantisable(),
            str(path),
            _Reader(self._feeds(recipe.quantisation)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            use_external_data_format=self._external,
        )

    def _feeds(self, quantisation: Quantisation) -> Iterator[dict[str, Any]]:
        for item in self._source.calibration_items(quantisation):
            yield {name: tensor.numpy() for name, tensor in zip(self._names, item, strict=True)}


def _without_traces(model: Any) -> Any:
    """Drop the stack traces that the exporter leaves in the graph: they carry paths of this machine, and weight."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        for part in (graph, *graph.node, *graph.value_info):
            del part.metadata_props[:]
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    return model


class _Reader:
    """Gives calibration inputs one by one, as onnxruntime asks for them."""

    def __init__(self, feeds: Iterator[dict[str, Any]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        """Return the next feed, or None at the end."""
        return next(self._feeds, None)
