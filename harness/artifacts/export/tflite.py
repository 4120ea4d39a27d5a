"""LiteRT ``.tflite``: one float conversion by litert-torch, from which ai-edge-quantizer derives every precision."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any, assert_never

import msgspec

from harness.artifacts.export.exporter import FloatModel, no_precision
from harness.artifacts.export.layers import kept_layers, nothing_kept, nothing_quantised
from harness.artifacts.export.left_float import LeftFloat, left_float
from harness.artifacts.export.tflite_layout import channels_last_source
from harness.artifacts.export.tflite_quantise import (
    NOT_DYNAMIC,
    TRANSPOSED,
    Feed,
    asymmetric_inputs,
    float_layers,
    integer_weights,
    observe,
    operators_within,
    rules_of,
)
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Quantisation, Recipe


class TfliteExporter:
    """Converts the network once and keeps the bytes of the float file; once more for channels last."""

    def __init__(self, source: FloatModel) -> None:
        self._source = source
        self.left_float: tuple[LeftFloat, ...] = ()

    @functools.cached_property
    def _channels_last(self) -> TfliteExporter:
        return TfliteExporter(channels_last_source(self._source))

    @functools.cached_property
    def _base(self) -> bytes:
        """The float file."""
        import litert_torch

        source = self._source
        with tempfile.TemporaryDirectory(prefix="phonebench-tflite-") as folder:
            path = Path(folder) / "base.tflite"
            litert_torch.convert(source.exportable(), source.example()).export(str(path))
            return path.read_bytes()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the variant to ``path``."""
        if recipe.channel_last:
            self._channels_last.export(msgspec.structs.replace(recipe, channel_last=False), backend, path)
            self.left_float = self._channels_last.left_float
            return
        self.left_float = ()
        match recipe.precision:
            case Precision.FP32:
                path.write_bytes(self._base)
            case Precision.FP16:
                path.write_bytes(self._quantise(recipe))
            case Precision.INT8 | Precision.INT8_DYNAMIC | Precision.INT8_WEIGHT | Precision.INT16X8:
                path.write_bytes(self._checked(self._quantise(recipe), recipe, bits=8))
            case Precision.INT4_WEIGHT:
                path.write_bytes(self._checked(self._quantise(recipe), recipe, bits=4))
            case Precision.BF16 | Precision.INT8_DYNAMIC_INT4:
                raise no_precision(recipe, path)
            case _:
                assert_never(recipe.precision)

    def _quantise(self, recipe: Recipe) -> bytes:
        from ai_edge_quantizer import quantizer

        job = quantizer.Quantizer(bytearray(self._base))
        job.load_quantization_recipe(rules_of(recipe, self._kept_operators(recipe)))
        ranges = None
        if recipe.calibrated:
            signature, feeds = self._calibration(recipe.quantisation)
            ranges = observe(job, self._base, signature, feeds, recipe)
        model = bytes(job.quantize(ranges).quantized_model)
        return asymmetric_inputs(model) if recipe.precision is Precision.INT8_DYNAMIC else model

    def _checked(self, model: bytes, recipe: Recipe, *, bits: int) -> bytes:
        """Note which layers of ``model`` are in float. Raises an error for a file that is the float file."""
        if not integer_weights(model, bits=bits):
            raise nothing_quantised(recipe, f"no layer whose weights LiteRT takes in {bits} bits")
        network = self._source.network
        kept = kept_layers(recipe, network)
        layers = float_layers(model, network)
        dynamic = recipe.precision is Precision.INT8_DYNAMIC
        transposed = [layer for layer in layers if dynamic and layer[1] == TRANSPOSED]
        others = [layer for layer in layers if layer not in transposed]
        self.left_float = (
            *left_float(network, others, kept, quantiser="ai-edge-quantizer"),
            *left_float(network, transposed, kept, quantiser="ai-edge-quantizer", only=NOT_DYNAMIC),
        )
        return model

    def _kept_operators(self, recipe: Recipe) -> list[str]:
        kept = kept_layers(recipe, self._source.network)
        if not kept:
            return []
        operators = operators_within(self._base, self._source.exportable(), self._source.example(), kept)
        if not operators:
            raise nothing_kept(kept)
        return operators

    def _calibration(self, quantisation: Quantisation) -> tuple[str, list[Feed]]:
        """Return the signature, and calibration inputs by name. The converter narrows int64 to int32, so they are as
        well.
        """
        from ai_edge_litert.interpreter import Interpreter

        signatures = Interpreter(model_content=self._base).get_signature_list()
        signature, names = next(iter(signatures.items()))
        # The converter names inputs args_0, args_1, …; sorting by that number gives the order of the call.
        ordered = sorted(names["inputs"], key=lambda name: int(name.rpartition("_")[2]))
        items = self._source.calibration_items(quantisation)
        return signature, [dict(zip(ordered, map(_narrow, item), strict=True)) for item in items]


def _narrow(tensor: Any) -> Any:
    array = tensor.numpy()
    return array.astype("int32") if array.dtype == "int64" else array
