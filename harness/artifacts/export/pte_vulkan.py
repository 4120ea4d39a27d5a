"""Lowering of a ``.pte`` to ExecuTorch's Vulkan backend, the GPU of Android phones. It is built here, but not run.

VulkanQuantizer supports linear layers only, with weight-only int8 or dynamic activations. Static int8 is annotated as
for XNNPACK, because the Vulkan partitioner takes XNNPACK's quantised convolutions and linear layers unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.artifacts.export.pte_integers import floats_only
from harness.spec.recipe import Precision, Recipe

if TYPE_CHECKING:
    import torch


def prepare(source: FloatModel, recipe: Recipe, static: Callable[[], torch.nn.Module]) -> tuple[Any, list[Any]]:
    """Return the network to lower and the partitioners. ``static`` returns the statically quantised network.

    Raises `UnsupportedError` for a precision that the backend does not have.
    """
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

    _export_patterns_once()
    match recipe.precision:
        case Precision.FP32:
            return source.exportable(), [VulkanPartitioner()]
        case Precision.FP16:
            # The network stays float32: the delegate converts weights and activations, but not inputs and outputs.
            return source.exportable(), [VulkanPartitioner({"force_fp16": True})]
        case Precision.INT8:
            return static(), [VulkanPartitioner()]
        case Precision.INT8_DYNAMIC:
            return _linears(source, is_dynamic=True), [VulkanPartitioner()]
        case Precision.INT8_WEIGHT:
            return _linears(source, is_dynamic=False), [VulkanPartitioner()]
        case _:
            msg = f"phonebench cannot build {recipe.precision.value} for the Vulkan backend"
            raise UnsupportedError(msg)


def _export_patterns_once() -> None:
    """Cache the graphs that the backend looks for, which it exports again in each of its passes.

    It has a cache for them, but registers the functions without it. That is most of the time of a small network.
    """
    from executorch.backends.vulkan.patterns import fusable_patterns

    for pattern in fusable_patterns.values():
        if pattern.get_graphs_fn is not None and not hasattr(pattern.get_graphs_fn, "cache_info"):
            pattern.get_graphs_fn = functools.cache(pattern.get_graphs_fn)


def _linears(source: FloatModel, *, is_dynamic: bool) -> torch.fx.GraphModule:
    """Return the network with the weights of its linear layers in int8; convolutions stay float."""
    import torch
    from executorch.backends.vulkan.quantizer.vulkan_quantizer import (
        VulkanQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = VulkanQuantizer().set_global(get_symmetric_quantization_config(is_dynamic=is_dynamic))
    prepared = prepare_pt2e(torch.export.export(source.exportable(), source.example()).module(), floats_only(quantizer))
    with torch.no_grad():
        prepared(*source.example())
    converted: torch.fx.GraphModule = convert_pt2e(prepared)
    if not any("dequantize" in str(node.target) for node in converted.graph.nodes):
        precision = Precision.INT8_DYNAMIC if is_dynamic else Precision.INT8_WEIGHT
        msg = f"VulkanQuantizer quantises only linear layers to {precision.value}, and this network has none"
        raise UnsupportedError(msg)
    return converted
