"""``.tflite`` from a Keras model or SavedModel, by TensorFlow's own converter, which also quantises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.artifacts.export.exporter import UnsupportedError, no_precision
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.model.card import ModelCard
from harness.model.keras import KerasModel, load_keras
from harness.spec.formats import Backend
from harness.spec.recipe import CalibrationFrom, Precision, Quantisation, Recipe
from harness.wire import Format


class KerasExporter:
    """Keeps the loaded model and converts it again for each variant."""

    def __init__(self, card: ModelCard, model: PreparedModel, format_: Format) -> None:
        if format_ is not Format.TFLITE:
            msg = f"a Keras model or SavedModel can only become tflite, not {format_.value}"
            raise UnsupportedError(msg)
        self._network: KerasModel = load_keras(card)
        self._calibration: Callable[[], tuple[Any, ...]] = model.calibration_inputs

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the variant to ``path``."""
        import tensorflow as tf

        _check(recipe.quantisation, calibrated=recipe.calibrated)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([self._network.function], self._network.holder)
        if recipe.precision is not Precision.FP32:
            # By itself this is dynamic int8; the cases below change it.
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        match recipe.precision:
            case Precision.FP32 | Precision.INT8_DYNAMIC:
                pass
            case Precision.FP16:
                converter.target_spec.supported_types = [tf.float16]
            case Precision.INT8:
                self._calibrate(converter, recipe, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
                if not recipe.float_io:
                    converter.inference_input_type = converter.inference_output_type = tf.int8
            case Precision.INT16X8:
                wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
                self._calibrate(converter, recipe, wide)
            case _:
                raise UnsupportedError(no_precision(recipe, path))
        path.write_bytes(_outputs_in_order(converter.convert()))

    def _calibrate(self, converter: Any, recipe: Recipe, operators: Any) -> None:
        converter.target_spec.supported_ops = [operators]
        # There is no public setting for this.
        converter._experimental_disable_per_channel = not recipe.quantisation.per_channel
        converter.representative_dataset = lambda: self._feeds(recipe.quantisation)

    def _feeds(self, quantisation: Quantisation) -> Iterator[dict[str, Any]]:
        arrays = self._calibration()
        for index in range(min(quantisation.calibration_inputs, len(arrays[0]))):
            yield {name: array[index] for name, array in zip(self._network.argument_names, arrays, strict=True)}


def _outputs_in_order(content: bytes) -> bytes:
    """Put the outputs of the graph, which runners read, into the order of the model, which only the signature has."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (signature,) = model.signatureDefs
    # The signature names them output_0, output_1, …
    named = sorted(signature.outputs, key=lambda output: int(output.name.rpartition(b"_")[2]))
    model.subgraphs[signature.subgraphIndex].outputs = [output.tensorIndex for output in named]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _check(quantisation: Quantisation, *, calibrated: bool) -> None:
    """Raise `UnsupportedError` for settings that TensorFlow's converter does not have."""
    if not calibrated:
        return
    if quantisation.keep_float is not None:
        msg = "TensorFlow's converter cannot keep single layers in float"
        raise UnsupportedError(msg)
    if quantisation.calibration is not CalibrationFrom.DATA:
        msg = f"a Keras model can be calibrated on data only, not from {quantisation.calibration.value!r}"
        raise UnsupportedError(msg)
