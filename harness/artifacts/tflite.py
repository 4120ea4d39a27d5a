"""LiteRT ``.tflite``: one float conversion by litert-torch, every precision derived from it by ai-edge-quantizer."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any, assert_never

import msgspec

from harness.artifacts.source import FloatModel, UnsupportedError, no_precision
from harness.artifacts.tflite_layout import channels_last_source
from harness.recipe import Precision, Quantisation, Recipe
from harness.support import Backend


class TfliteExporter:
    """Converts the network once and keeps the float file's bytes; once more for channels last."""

    def __init__(self, source: FloatModel) -> None:
        self._source = source

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

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  pte alone has backends
        """Write the variant to ``path``."""
        from ai_edge_quantizer import recipe as recipes

        if recipe.channel_last:
            self._channels_last.export(msgspec.structs.replace(recipe, channel_last=False), backend, path)
            return
        match recipe.precision:
            case Precision.FP32:
                path.write_bytes(self._base)
            case Precision.FP16:
                path.write_bytes(self._quantise(_float16_recipe()))
            case Precision.INT8:
                path.write_bytes(self._quantise(recipes.static_wi8_ai8(), calibration=recipe.quantisation))
            case Precision.INT8_DYNAMIC:
                path.write_bytes(self._quantise(recipes.dynamic_wi8_afp32()))
            case Precision.BF16 | Precision.INT8_WEIGHT | Precision.INT4_WEIGHT | Precision.INT16X8:
                raise UnsupportedError(no_precision(recipe, path))
            case _:
                assert_never(recipe.precision)

    def _quantise(self, rules: Any, *, calibration: Quantisation | None = None) -> bytes:
        from ai_edge_quantizer import quantizer

        job = quantizer.Quantizer(bytearray(self._base))
        job.load_quantization_recipe(rules)
        ranges = None
        if calibration is not None:
            feeds = self._calibration(calibration)
            ranges = self._whole_output_range(job.calibrate(feeds), next(iter(feeds.values())))
        return bytes(job.quantize(ranges).quantized_model)

    def _whole_output_range(self, ranges: Any, feeds: list[dict[str, Any]]) -> Any:
        """Widen the outputs to all that was seen: the largest scores decide, and the quantiser's average clips them."""
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._base)
        run = interpreter.get_signature_runner()
        seen = [run(**feed) for feed in feeds]
        tensors = {output["index"]: output["name"] for output in interpreter.get_output_details()}
        for name, detail in run.get_output_details().items():
            known = ranges.get(tensors.get(detail["index"], detail["name"]))
            if known is not None:
                values = np.stack([outputs[name] for outputs in seen])
                known["min"] = np.minimum(known["min"], values.min())
                known["max"] = np.maximum(known["max"], values.max())
        return ranges

    def _calibration(self, quantisation: Quantisation) -> dict[str, list[dict[str, Any]]]:
        """Calibration inputs by signature and input name; the converter narrows int64 to int32, so they do too."""
        from ai_edge_litert.interpreter import Interpreter

        signatures = Interpreter(model_content=self._base).get_signature_list()
        signature, names = next(iter(signatures.items()))
        # The converter names inputs args_0, args_1, …; sorting by that number gives the order of the call.
        ordered = sorted(names["inputs"], key=lambda name: int(name.rpartition("_")[2]))
        items = self._source.calibration_items(quantisation)
        return {signature: [dict(zip(ordered, map(_narrow, item), strict=True)) for item in items]}


def _narrow(tensor: Any) -> Any:
    array = tensor.numpy()
    return array.astype("int32") if array.dtype == "int64" else array


def _float16_recipe() -> Any:
    """Float16 weights that are widened when the file is loaded; activations stay float32."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    manager = recipe_manager.RecipeManager()
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    manager.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    return manager.get_quantization_recipe()
