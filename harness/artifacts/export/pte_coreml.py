"""Lowering of a ``.pte`` to ExecuTorch's Core ML backend, for Apple's accelerators. It is built here, but not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.artifacts.export.coreml import import_coremltools, quantised
from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.spec.recipe import Precision, Recipe

if TYPE_CHECKING:
    import torch


def prepare(source: FloatModel, recipe: Recipe, static: Callable[[], torch.nn.Module]) -> tuple[Any, list[Any]]:  # noqa: ARG001  Core ML has a quantiser of its own
    """Return the network to lower and the partitioners. Raises `UnsupportedError` for precisions it does not have."""
    ct = import_coremltools()
    match recipe.precision:
        case Precision.FP32:
            return source.exportable(), [_partitioner(ct, ct.precision.FLOAT32)]
        case Precision.FP16:
            return source.exportable(), [_partitioner(ct, ct.precision.FLOAT16)]
        case Precision.INT8:
            return quantised(source, recipe), [_partitioner(ct, ct.precision.FLOAT16)]
        case _:
            msg = f"phonebench cannot build {recipe.precision.value} for the Core ML backend"
            raise UnsupportedError(msg)


def _partitioner(ct: Any, precision: Any) -> Any:
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    # int8 activations need iOS 17. Without this target the file would fail only on the phone.
    specs = CoreMLBackend.generate_compile_specs(compute_precision=precision, minimum_deployment_target=ct.target.iOS17)
    return CoreMLPartitioner(compile_specs=specs)
