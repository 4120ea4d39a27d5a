"""ExecuTorch ``.pte``: `torch.export`, PT2E quantisation by torchao, lowering to a backend or the portable kernels."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from harness.artifacts.export import pte_coreml, pte_vulkan
from harness.artifacts.export.exporter import FloatModel, UnsupportedError, cast_example, half_network, no_precision
from harness.artifacts.export.layers import is_within, kept_layers, nothing_kept, nothing_quantised
from harness.artifacts.export.left_float import LeftFloat, left_float
from harness.artifacts.export.observers import keep_ends_whole, torch_observer
from harness.artifacts.export.pte_integers import floats_only
from harness.artifacts.export.pte_quantise import (
    float_layers,
    keep_pads_float,
    normalise_clamps,
    operator,
    pair_quantizer,
    widen_float_rows,
)
from harness.spec.formats import Backend
from harness.spec.recipe import Observer, Precision, Quantisation, Recipe

if TYPE_CHECKING:
    import torch

# The lower limit of a scale, the same as in the observers that XNNPACKQuantizer would use by itself.
EPS = 2**-12
# How many weights of a row share a scale as int4. Of torchao's group sizes XNNPACK supports only this one.
GROUP = 32

# Backends for other processors, whose files cannot run here: functions that return a network and its partitioners.
ELSEWHERE = {Backend.VULKAN: pte_vulkan.prepare, Backend.COREML: pte_coreml.prepare}


class PteExporter:
    """Exports one network. Batch norms are folded once for all variants."""

    def __init__(self, source: FloatModel) -> None:
        import executorch.kernels.quantized  # noqa: F401  registers the out variants of quantised leftovers

        self._source = source
        self._module = source.folded()
        self.left_float: tuple[LeftFloat, ...] = ()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:
        """Write the variant, lowered to ``backend``, to ``path``."""
        self.left_float = ()
        example = self._source.example()
        if backend in ELSEWHERE:
            module, partitioners = ELSEWHERE[backend](self._source, recipe, lambda: self._quantised(recipe))
            path.write_bytes(_lower(module, example, partitioners))
            return
        match recipe.precision:
            case Precision.FP32:
                module = self._module
            case Precision.FP16 | Precision.BF16:
                module, example = self._half(recipe)
            case Precision.INT8 | Precision.INT8_DYNAMIC:
                module = self._quantised(recipe)
            case Precision.INT4_WEIGHT:
                module = self._int4(recipe)
            case Precision.INT8_WEIGHT | Precision.INT16X8 | Precision.INT8_DYNAMIC_INT4:
                raise no_precision(recipe, path)
            case _:
                assert_never(recipe.precision)
        dynamic = recipe.precision is Precision.INT8_DYNAMIC
        path.write_bytes(_lower(module, example, _partitioners(backend, dynamic=dynamic)))

    def _half(self, recipe: Recipe) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
        import torch

        dtype = torch.float16 if recipe.precision is Precision.FP16 else torch.bfloat16
        example = self._source.example()
        module = half_network(self._module, dtype, float_io=recipe.float_io)
        return module, example if recipe.float_io else cast_example(example, dtype)

    def _quantised(self, recipe: Recipe) -> torch.nn.Module:
        import torch
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        dynamic = recipe.precision is Precision.INT8_DYNAMIC
        graph = torch.export.export(self._module, self._source.example()).module()
        normalise_clamps(graph)
        config = _quantisation(recipe.quantisation, dynamic=dynamic)
        quantizer = _quantizer(graph).set_global(config)
        kept = kept_layers(recipe, self._source.network)
        if kept:
            quantizer = quantizer.set_filter_function(_outside(kept, graph))
        prepared = prepare_pt2e(graph, floats_only(quantizer))
        keep_ends_whole(prepared, recipe.quantisation.observer)
        with torch.no_grad():
            for item in [self._source.example()] if dynamic else self._source.calibration_items(recipe.quantisation):
                prepared(*item)
        converted: torch.nn.Module = convert_pt2e(prepared)
        layers = float_layers(converted)
        keep_pads_float(converted)
        widen_float_rows(converted)
        if not any("quantize" in str(node.target) for node in converted.graph.nodes):  # type: ignore[union-attr]
            raise nothing_quantised(recipe, "no layer that XNNPACK's quantiser takes")
        only = "XNNPACK computes only linear layers dynamically" if dynamic else None
        self.left_float = left_float(self._source.network, layers, kept, quantiser="XNNPACK's quantiser", only=only)
        return converted

    def _int4(self, recipe: Recipe) -> torch.nn.Module:
        """Quantise linear layers to int4 weights in groups and int8 activations at run time, as XNNPACK requires."""
        import torch
        from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
        from torchao.quantization.granularity import PerGroup

        kept = kept_layers(recipe, self._source.network)
        chosen = {
            name
            for name, module in self._module.named_modules()
            if isinstance(module, torch.nn.Linear) and module.in_features % GROUP == 0 and not is_within(name, kept)
        }
        if not chosen:
            raise nothing_quantised(recipe, f"no linear layer whose inputs are a multiple of {GROUP}")
        module = copy.deepcopy(self._module)
        int4 = getattr(torch, "int4")  # noqa: B009  the stubs of torch do not have it
        config = Int8DynamicActivationIntxWeightConfig(weight_dtype=int4, weight_granularity=PerGroup(GROUP))
        quantize_(module, config, filter_fn=lambda _, name: name in chosen)
        return module


def _lower(module: torch.nn.Module, example: tuple[torch.Tensor, ...], partitioners: list[Any]) -> bytes:
    import torch
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(module, example)
    # Every pass copies where each node came from, recursively. That takes a fifth of the lowering, and nothing reads
    # it.
    for node in program.graph.nodes:
        node.meta.pop("from_node", None)
        # XNNPACK's partitioner reads the stride of a pool, which is the size of its window where nothing is given.
        if operator(node) == "max_pool2d" and len(node.args) == 2:
            node.args = (*node.args, node.args[1])
    try:
        lowered = to_edge_transform_and_lower(program, partitioner=partitioners)
    except subprocess.CalledProcessError as error:
        # Backends first write their graphs as JSON, which has no infinity, and then call this external program.
        msg = f"the backend's serialiser {Path(error.cmd[0]).name} refuses this network (exit {error.returncode})"
        raise UnsupportedError(msg) from error
    return bytes(lowered.to_executorch().buffer)


def _partitioners(backend: Backend | None, *, dynamic: bool) -> list[Any]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
        XnnpackDynamicallyQuantizedPartitioner,
        XnnpackPartitioner,
    )

    match backend:
        case Backend.XNNPACK:
            # Dynamically quantised linear layers must be taken first: the general partitioner would split them.
            return (
                [XnnpackDynamicallyQuantizedPartitioner(), XnnpackPartitioner()] if dynamic else [XnnpackPartitioner()]
            )
        case Backend.PORTABLE | None:
            return []
        case Backend.VULKAN | Backend.COREML:
            msg = f"{backend.value} has its own partitioners"
            raise AssertionError(msg)
        case _:
            assert_never(backend)


def _outside(kept: tuple[str, ...], graph: torch.fx.GraphModule) -> Callable[[torch.fx.Node], bool]:
    """Return a filter that shows the quantiser only the nodes outside the ``kept`` layers."""

    def outside(node: torch.fx.Node) -> bool:
        names = (name.removeprefix("L['self'].") for name, _ in node.meta.get("nn_module_stack", {}).values())
        return not any(is_within(name, kept) for name in names)

    if all(outside(node) for node in graph.graph.nodes if node.op == "call_function"):
        raise nothing_kept(kept)
    return outside


def _quantizer(graph: torch.fx.GraphModule) -> Any:
    """XNNPACK's quantiser, without the patterns for a batch norm after a convolution when ``graph`` has none.

    The network is folded, so it rarely has one. The quantiser exports its twelve patterns for it again in each of two
    rounds, which takes more time than all the rest of quantising.
    """
    quantizer = pair_quantizer()()
    norms = (node for node in graph.graph.nodes if "batch_norm" in str(node.target))
    if not any("conv" in str(parent.target) for norm in norms for parent in norm.all_input_nodes):
        quantizer.SUPPORTED_PATTERNS = [p for p in quantizer.SUPPORTED_PATTERNS if "bn" not in p.name.split("_")]
    return quantizer


def _quantisation(knobs: Quantisation, *, dynamic: bool) -> Any:
    """Symmetric int8 weights, and for static activations the observer of the recipe."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config

    config = get_symmetric_quantization_config(is_per_channel=knobs.per_channel, is_dynamic=dynamic)
    if dynamic:
        return config
    observed = _observed(config.input_activation, knobs.observer)
    return dataclasses.replace(config, input_activation=observed, output_activation=observed)


def _observed(spec: Any, observer: Observer) -> Any:
    from torchao.quantization.pt2e import observer as library

    return dataclasses.replace(spec, observer_or_fake_quant_ctr=torch_observer(library, observer, eps=EPS))
