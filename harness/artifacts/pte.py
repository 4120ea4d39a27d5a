"""ExecuTorch ``.pte``: `torch.export`, PT2E quantisation by torchao, lowering to a backend or the portable kernels."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from harness.artifacts import pte_coreml, pte_vulkan
from harness.artifacts.source import FloatModel, UnsupportedError, half_with_float_io, no_precision
from harness.recipe import Precision, Recipe
from harness.support import Backend

if TYPE_CHECKING:
    import torch

# The weight of a new input in the moving average of the observed range (docs/design.md says what it is worth).
AVERAGING = 0.1
EPS = 2**-12

# Backends of other processors, which this computer cannot run: how each makes its network and its partitioners.
ELSEWHERE = {Backend.VULKAN: pte_vulkan.prepare, Backend.COREML: pte_coreml.prepare}


class PteExporter:
    """Exports one network; the quantised graph is shared between backends."""

    def __init__(self, source: FloatModel) -> None:
        import executorch.kernels.quantized  # noqa: F401  registers the out variants of quantised leftovers

        self._source = source
        self._module = source.exportable()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:
        """Write the variant, lowered to ``backend``, to ``path``."""
        if backend in ELSEWHERE:
            module, partitioners = ELSEWHERE[backend](
                self._source, recipe, lambda: self._quantised(recipe, dynamic=False)
            )
            path.write_bytes(self._lower(module, partitioners))
            return
        match recipe.precision:
            case Precision.FP32:
                module = self._module
            case Precision.FP16:
                module = half_with_float_io(self._module)
            case Precision.INT8:
                module = self._quantised(recipe, dynamic=False)
            case Precision.INT8_DYNAMIC:
                module = self._quantised(recipe, dynamic=True)
            case Precision.BF16 | Precision.INT8_WEIGHT | Precision.INT4_WEIGHT | Precision.INT16X8:
                raise UnsupportedError(no_precision(recipe, path))
            case _:
                assert_never(recipe.precision)
        dynamic = recipe.precision is Precision.INT8_DYNAMIC
        path.write_bytes(self._lower(module, _partitioners(backend, dynamic=dynamic)))

    def _lower(self, module: torch.nn.Module, partitioners: list[Any]) -> bytes:
        import torch
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(module, self._source.example())
        try:
            lowered = to_edge_transform_and_lower(program, partitioner=partitioners)
        except subprocess.CalledProcessError as error:
            # Backends write their graphs as JSON first, which has no infinity, and leave it to this program.
            msg = f"the backend's serialiser {Path(error.cmd[0]).name} refuses this network (exit {error.returncode})"
            raise UnsupportedError(msg) from error
        return bytes(lowered.to_executorch().buffer)

    def _quantised(self, recipe: Recipe, *, dynamic: bool) -> torch.nn.Module:
        import torch
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        quantizer = XNNPACKQuantizer().set_global(_quantisation(dynamic=dynamic))
        if not dynamic:
            quantizer = quantizer.set_module_type(torch.nn.Linear, _whole_range(_quantisation(dynamic=False)))
        graph = torch.export.export(self._module, self._source.example()).module()
        prepared = prepare_pt2e(graph, quantizer)
        with torch.no_grad():
            for item in [self._source.example()] if dynamic else self._source.calibration_items(recipe.quantisation):
                prepared(*item)
        converted: torch.nn.Module = convert_pt2e(prepared)
        return converted


def _partitioners(backend: Backend | None, *, dynamic: bool) -> list[Any]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
        XnnpackDynamicallyQuantizedPartitioner,
        XnnpackPartitioner,
    )

    match backend:
        case Backend.XNNPACK:
            # Dynamically quantised linears must be taken first: the general partitioner would split them.
            return (
                [XnnpackDynamicallyQuantizedPartitioner(), XnnpackPartitioner()] if dynamic else [XnnpackPartitioner()]
            )
        case Backend.PORTABLE | None:
            return []
        case Backend.VULKAN | Backend.COREML:
            msg = f"{backend.value} has partitioners of its own"
            raise AssertionError(msg)
        case _:
            assert_never(backend)


def _quantisation(*, dynamic: bool) -> Any:
    """Symmetric int8 weights per channel; for static activations the moving average of the observed range."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config
    from torchao.quantization.pt2e.observer import MovingAverageMinMaxObserver

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    if dynamic:
        return config
    observer = MovingAverageMinMaxObserver.with_args(averaging_constant=AVERAGING, eps=EPS)
    return dataclasses.replace(
        config,
        input_activation=dataclasses.replace(config.input_activation, observer_or_fake_quant_ctr=observer),
        output_activation=dataclasses.replace(config.output_activation, observer_or_fake_quant_ctr=observer),
    )


def _whole_range(config: Any) -> Any:
    """Let outputs keep the whole range that was seen: the largest scores decide, and an average would clip them."""
    from torchao.quantization.pt2e.observer import MinMaxObserver

    output = dataclasses.replace(config.output_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=EPS))
    return dataclasses.replace(config, output_activation=output)
