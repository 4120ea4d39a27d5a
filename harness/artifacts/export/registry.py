"""The exporters by format, the float network they start from, and what a worker imports in advance."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path

from harness.artifacts.cache import Cache
from harness.artifacts.export import mlpackage, onnx, pte, ptl, tflite
from harness.artifacts.export.exporter import Exporter, FloatModel, UnsupportedError
from harness.artifacts.export.language import LANGUAGE_EXPORTERS
from harness.artifacts.export.tflite_keras import KerasExporter
from harness.artifacts.sources.calibration import generated_inputs
from harness.artifacts.sources.make_variant import load_varied
from harness.artifacts.verify.verify import Expected
from harness.model.card import SourceKind
from harness.model.network import load_network
from harness.spec.formats import FORMATS
from harness.spec.recipe import CalibrationFrom
from harness.variants.step import UnfitError
from harness.wire import Format
from harness.wire.tensors import Array

EXPORTERS: dict[Format, Callable[[FloatModel], Exporter]] = {
    Format.PTE: pte.PteExporter,
    Format.TFLITE: tflite.TfliteExporter,
    Format.ONNX: onnx.OnnxExporter,
    Format.PTL: ptl.PtlExporter,
    Format.MLPACKAGE: mlpackage.MlpackageExporter,
}


def new_exporter(expected: Expected, format_: Format, cache: Cache) -> Exporter:
    """Return an exporter for the network of ``expected``. It loads the network, which is slow."""
    if expected.card.kind is SourceKind.KERAS:
        return KerasExporter(expected.card, expected.model, format_)
    if expected.card.kind is SourceKind.LANGUAGE:
        return LANGUAGE_EXPORTERS[format_](Path(expected.card.source))
    return EXPORTERS[format_](float_model(expected, cache))


def float_model(expected: Expected, cache: Cache) -> FloatModel:
    """Load the float network, or its variant, for an exporter. ``cache`` stores generated calibration inputs."""
    import torch

    card, model, varied = expected.card, expected.model, expected.varied
    network = load_network(card) if varied is None else load_varied(card, varied)

    def calibration(source: CalibrationFrom) -> tuple[Array, ...]:
        if source is CalibrationFrom.DATA:
            return model.calibration_inputs()
        try:
            return generated_inputs(card, model.facts, source, cache)
        except UnfitError as error:
            raise UnsupportedError(str(error)) from error

    return FloatModel(
        network=network,
        inputs=model.facts.inputs,
        calibration=calibration,
        scripted=isinstance(network, torch.jit.ScriptModule),
    )


def warm_up(what: str) -> None:
    """Import what exporting needs while the parent has no task yet. An import that fails is reported by the export.

    ``what`` is the name of a format, or ``keras``; an empty one imports nothing.
    """
    if what == SourceKind.KERAS:
        names: tuple[str, ...] = ("tensorflow",)
    else:
        names = FORMATS[Format(what)].warm_imports if what else ()
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
