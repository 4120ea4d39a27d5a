"""ONNX ``.onnx``: one float export by torch, from which ONNX Runtime's quantisers derive every precision."""

from __future__ import annotations

import ast
import copy
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_never

from harness.artifacts.export import onnx_external
from harness.artifacts.export.exporter import FloatModel, no_precision
from harness.artifacts.export.layers import is_within, kept_layers, nothing_kept, nothing_quantised
from harness.artifacts.export.left_float import LeftFloat, left_float
from harness.artifacts.export.onnx_kernels import float_layers, float_parts, with_layers
from harness.artifacts.export.onnx_quantise import (
    Feed,
    StaticJob,
    grouped_transposed,
    has_integer_weights,
    quantise_products,
    quantise_static,
    with_matrix_products,
)
from harness.errors import typed_line
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Quantisation, Recipe

log = logging.getLogger(__name__)

# For networks on which the exporter that captures with torch.export fails.
LEGACY_OPSET = 17

# The exporter stores under this key which submodules a node comes from, as the text of a Python list.
_SCOPES = "pkg.torch.onnx.name_scopes"


class OnnxExporter:
    """Exports the network once and keeps the float graph. Weights above ``external_bytes`` go to a second file."""

    def __init__(self, source: FloatModel, *, external_bytes: int = onnx_external.EXTERNAL_BYTES) -> None:
        self._source = source
        self._external_bytes = external_bytes
        self._names = [tensor.name for tensor in source.inputs]
        self._scopes: dict[str, frozenset[str]] = {}
        self.fallback: str | None = None
        self.left_float: tuple[LeftFloat, ...] = ()
        self._base = self._export_float()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the variant to ``path``."""
        self.left_float = ()
        match recipe.precision:
            case Precision.FP32:
                onnx_external.save(self._base, path, limit=self._external_bytes)
            case Precision.FP16:
                onnx_external.save(self._float16(recipe), path, limit=self._external_bytes)
            case Precision.INT8:
                self._static(recipe, path)
            case Precision.INT8_DYNAMIC:
                self._dynamic(recipe, path)
            case Precision.INT8_WEIGHT | Precision.INT4_WEIGHT:
                bits = 4 if recipe.precision is Precision.INT4_WEIGHT else 8
                model = quantise_products(self._quantisable(), bits, self._excluded(recipe))
                onnx_external.save(model, path, limit=self._external_bytes)
            case Precision.BF16 | Precision.INT16X8 | Precision.INT8_DYNAMIC_INT4:
                raise no_precision(recipe, path)
            case _:
                assert_never(recipe.precision)
        if recipe.precision not in (Precision.FP32, Precision.FP16):
            self._look_at_quantised(recipe, path)
        onnx_external.split(path, limit=self._external_bytes)

    @property
    def _external(self) -> bool:
        """Whether ONNX Runtime's quantisers must write the weights of a float network to a second file."""
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
                    # Weights beyond protobuf's limit must have a file of their own, which onnx.load below reads back.
                    external_data=True,
                    input_names=self._names,
                )
            except (RuntimeError, torch.onnx.OnnxExporterError) as error:
                log.warning("the torch.export-based ONNX exporter failed (%s); using the tracing one", error)
                self.fallback = cause(error)
                torch.onnx.export(
                    self._source.network,
                    self._source.example(),
                    str(path),
                    dynamo=False,
                    opset_version=LEGACY_OPSET,
                    input_names=self._names,
                )
            model = onnx.load(str(path))
        self._scopes = {node.name: _scopes(node) for node in model.graph.node}
        return _without_traces(model)

    def _float16(self, recipe: Recipe) -> Any:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(copy.deepcopy(self._base), keep_io_types=recipe.float_io)

    def _excluded(self, recipe: Recipe) -> list[str]:
        """The nodes of the layers that stay in float."""
        kept = kept_layers(recipe, self._source.network)
        nodes = [node for node, scopes in self._scopes.items() if any(is_within(scope, kept) for scope in scopes)]
        if kept and not nodes:
            raise nothing_kept(kept)
        return nodes

    def _quantisable(self) -> Any:
        """Return a copy without the inferred shapes, which ONNX Runtime's quantisers contradict on these graphs."""
        model = copy.deepcopy(self._base)
        del model.graph.value_info[:]
        return model

    def _dynamic(self, recipe: Recipe, path: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        # Convolutions stay float, because their dynamically quantised kernel is many times slower than the float one.
        quantize_dynamic(
            with_matrix_products(self._quantisable()),
            str(path),
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            nodes_to_exclude=self._excluded(recipe),
            use_external_data_format=self._external,
        )

    def _static(self, recipe: Recipe, path: Path) -> None:
        knobs, excluded = recipe.quantisation, self._excluded(recipe)
        if knobs.per_channel:
            excluded += grouped_transposed(self._base)
        model = with_layers(self._base, excluded)
        parts = float_parts(model, excluded)
        del model.graph.value_info[:]
        job = StaticJob(knobs=knobs, parts=parts, external=self._external)
        quantise_static(model, self._feeds(knobs), job, path)

    def _look_at_quantised(self, recipe: Recipe, path: Path) -> None:
        """Note which layers are in float. Raises an error for a file that is the float file."""
        import onnx

        static = recipe.precision is Precision.INT8
        model = onnx.load(str(path))
        if not has_integer_weights(model):
            # The folder becomes the cache entry of a refused artifact, which has no file.
            path.unlink()
            raise nothing_quantised(recipe, f"{'no layer' if static else 'no matrix product'} to quantise")
        network = self._source.network
        modules = {name for name, _ in network.named_modules()}
        layers = [(self._layer(node, modules), node.op_type) for node in float_layers(model)]
        only = None if static else f"{recipe.precision.value} of .onnx takes only products with constant matrices"
        kept = kept_layers(recipe, network)
        self.left_float = left_float(network, layers, kept, quantiser="ONNX Runtime's quantiser", only=only)

    def _layer(self, node: Any, modules: set[str]) -> str:
        """The innermost submodule that ``node`` comes from; empty if that is the network itself."""
        return max((name for name in self._scopes.get(node.name, ()) if name in modules), key=len, default="")

    def _feeds(self, quantisation: Quantisation) -> Iterator[Feed]:
        for item in self._source.calibration_items(quantisation):
            yield {name: tensor.numpy() for name, tensor in zip(self._names, item, strict=True)}


def cause(error: BaseException) -> str:
    """Return the first line of the innermost error: the outer ones say only at which step of the export it happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    return typed_line(error)[:200]


def _scopes(node: Any) -> frozenset[str]:
    """The submodules that a node comes from, including those of its weights.

    A convolution with a folded batch norm has only the name of the norm, but its weights keep theirs. The tracing
    exporter puts the submodules into the node's name, one after each slash.
    """
    recorded = next((p.value for p in node.metadata_props if p.key == _SCOPES), "[]")
    weights = {name.rpartition(".")[0] for name in node.input}
    return frozenset({*ast.literal_eval(recorded), *node.name.split("/"), *weights} - {""})


def _without_traces(model: Any) -> Any:
    """Remove the exporter's stack traces from the graph: they take space and contain paths of this machine."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        for part in (graph, *graph.node, *graph.value_info):
            del part.metadata_props[:]
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    return model
