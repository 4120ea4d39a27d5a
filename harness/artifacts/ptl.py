"""TorchScript ``.ptl`` for the lite interpreter: tracing, freezing, and eager or FX quantisation for qnnpack."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from harness.artifacts.source import FloatModel, UnsupportedError, half_with_float_io, no_precision
from harness.recipe import Precision, Recipe
from harness.support import Backend

if TYPE_CHECKING:
    import torch

# The quantised kernels of phones' CPUs.
ENGINE = "qnnpack"


class PtlExporter:
    """Traces the network anew for each variant; nothing is worth sharing."""

    def __init__(self, source: FloatModel) -> None:
        import torch

        torch.backends.quantized.engine = ENGINE
        self._source = source

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  pte alone has backends
        """Write the variant to ``path``."""
        if self._source.scripted and recipe.precision is not Precision.FP32:
            msg = f"a TorchScript file cannot be quantised to {recipe.precision.value}; give the nn.Module or a .pt2"
            raise UnsupportedError(msg)
        match recipe.precision:
            case Precision.FP32:
                module = self._source.network
            case Precision.FP16:
                module = half_with_float_io(self._source.network)
            case Precision.INT8:
                module = self._static(recipe)
            case Precision.INT8_DYNAMIC:
                module = self._dynamic()
            case Precision.BF16 | Precision.INT8_WEIGHT | Precision.INT4_WEIGHT | Precision.INT16X8:
                raise UnsupportedError(no_precision(recipe, path))
            case _:
                assert_never(recipe.precision)
        self._save(module, path)

    def _save(self, module: torch.nn.Module, path: Path) -> None:
        import torch

        with torch.no_grad():
            traced = module if self._source.scripted else torch.jit.trace(module, self._source.example())
            frozen = torch.jit.freeze(traced.eval())
        frozen._save_for_lite_interpreter(str(path))

    def _dynamic(self) -> torch.nn.Module:
        import torch
        from torch.ao.quantization import quantize_dynamic

        module: torch.nn.Module = quantize_dynamic(
            copy.deepcopy(self._source.network), {torch.nn.Linear}, dtype=torch.qint8
        )
        return module

    def _static(self, recipe: Recipe) -> torch.nn.Module:
        import torch
        from torch.ao.quantization import (
            MinMaxObserver,
            MovingAverageMinMaxObserver,
            QConfig,
            default_weight_observer,
            get_default_qconfig_mapping,
        )
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        activation = MovingAverageMinMaxObserver.with_args(dtype=torch.quint8, averaging_constant=0.1)
        mapping = get_default_qconfig_mapping(ENGINE)
        mapping.set_global(QConfig(activation=activation, weight=default_weight_observer))
        # A linear keeps the whole range that was seen: the largest scores decide, and an average would clip them.
        whole = QConfig(activation=MinMaxObserver.with_args(dtype=torch.quint8), weight=default_weight_observer)
        mapping.set_object_type(torch.nn.Linear, whole)
        prepared = prepare_fx(copy.deepcopy(self._source.network), mapping, self._source.example())
        with torch.no_grad():
            for item in self._source.calibration_items(recipe.quantisation):
                prepared(*item)
        module: torch.nn.Module = convert_fx(prepared)
        return module
