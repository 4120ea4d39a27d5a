"""TorchScript ``.ptl`` for the lite interpreter: tracing, freezing, and eager or FX quantisation for qnnpack.

The file is a TorchScript archive with bytecode for the lite interpreter next to the code, so the full runtime loads it
too.
"""

from __future__ import annotations

import copy
import functools
import json
import re
import traceback
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from harness.artifacts.export.exporter import FloatModel, UnsupportedError, cast_example, half_network, no_precision
from harness.artifacts.export.layers import is_within, kept_layers, nothing_quantised
from harness.artifacts.export.left_float import LeftFloat, left_float
from harness.artifacts.export.observers import keep_ends_whole, torch_observer
from harness.artifacts.export.ptl_clamps import absorb_clamps
from harness.errors import first_line
from harness.model.preserve import preserved
from harness.model.user_code import is_foreign
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Quantisation, Recipe

if TYPE_CHECKING:
    import torch

# The library of quantised kernels for phones' CPUs.
ENGINE = "qnnpack"

# A file in the archive with the element types of the inputs, which TorchScript does not record.
INPUT_TYPES_FILE = "input_types.json"

# The precisions that the rewriting for phones supports; its packed kernels take no 16-bit floats.
_FOR_MOBILE = (Precision.FP32, Precision.INT8, Precision.INT8_DYNAMIC)


class PtlExporter:
    """Traces the network again for each variant, because there is little to share."""

    def __init__(self, source: FloatModel) -> None:
        import torch

        # Set before anything is quantised, because it decides how weights are packed.
        torch.backends.quantized.engine = ENGINE
        self._source = source
        self.left_float: tuple[LeftFloat, ...] = ()

    def export(self, recipe: Recipe, backend: Backend | None, path: Path) -> None:  # noqa: ARG002  only pte has backends
        """Write the variant to ``path``."""
        if self._source.scripted and recipe.precision is not Precision.FP32:
            msg = f"a TorchScript file cannot be quantised to {recipe.precision.value}; give the nn.Module or a .pt2"
            raise UnsupportedError(msg)
        self.left_float = ()
        example = self._source.example()
        match recipe.precision:
            case Precision.FP32:
                module = self._source.network
            case Precision.FP16 | Precision.BF16:
                module, example = self._half(recipe)
            case Precision.INT8:
                module = self._static(recipe)
            case Precision.INT8_DYNAMIC:
                module = self._dynamic(recipe)
            case Precision.INT8_WEIGHT | Precision.INT4_WEIGHT | Precision.INT16X8 | Precision.INT8_DYNAMIC_INT4:
                raise no_precision(recipe, path)
            case _:
                assert_never(recipe.precision)
        self._save(module, example, path, for_mobile=recipe.precision in _FOR_MOBILE)

    def _save(
        self, module: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path, *, for_mobile: bool
    ) -> None:
        import torch

        with torch.no_grad():
            # Tracing runs the network, and what it writes to buffers would be saved.
            with preserved(module):
                traced = (module if self._source.scripted else torch.jit.trace(module, example)).eval()
            ready = _optimised(traced) if for_mobile and mobile_optimiser_works() else torch.jit.freeze(traced)
        types = [str(x.dtype).removeprefix("torch.") for x in example]
        ready._save_for_lite_interpreter(str(path), {INPUT_TYPES_FILE: json.dumps(types)})

    def _half(self, recipe: Recipe) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
        import torch

        dtype = torch.float16 if recipe.precision is Precision.FP16 else torch.bfloat16
        example = self._source.example()
        module = half_network(self._source.network, dtype, float_io=recipe.float_io)
        return module, example if recipe.float_io else cast_example(example, dtype)

    def _dynamic(self, recipe: Recipe) -> torch.nn.Module:
        import torch
        from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

        network = self._source.network
        kept = kept_layers(recipe, network)
        linears = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
        chosen = {name: default_dynamic_qconfig for name in linears if not is_within(name, kept)}
        if not chosen:
            raise nothing_quantised(recipe, "no linear layer to quantise")
        module: torch.nn.Module = quantize_dynamic(copy.deepcopy(network), chosen, dtype=torch.qint8)
        self._look_at(module, kept, only="int8-dynamic of .ptl takes only linear layers")
        return module

    def _static(self, recipe: Recipe) -> torch.nn.Module:
        import torch
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        network = copy.deepcopy(self._source.network)
        kept = kept_layers(recipe, network)
        wrong = _without_kernel(network)
        _hide_identities(network)
        _number_paddings(network)
        mapping = _mapping(recipe.quantisation, (*kept, *wrong))
        try:
            prepared = prepare_fx(network, mapping, self._source.example())
        # torch.fx runs the network's own Python on stand-ins for tensors, which can raise anything.
        except Exception as error:
            raise _not_followed(error) from error
        _state_settings(prepared)
        absorb_clamps(prepared)
        keep_ends_whole(prepared, recipe.quantisation.observer)
        with torch.no_grad():
            for item in self._source.calibration_items(recipe.quantisation):
                prepared(*item)
        module: torch.nn.Module = convert_fx(prepared)
        functions = any("packed_weight" in str(node.target) for node in module.graph.nodes)  # type: ignore[union-attr]
        if not functions and not any("quantized" in type(layer).__module__ for layer in module.modules()):
            raise nothing_quantised(recipe, "no layer that torch.ao quantises")
        self._look_at(module, kept, reasons=wrong)
        return module

    def _look_at(
        self,
        quantised: torch.nn.Module,
        kept: tuple[str, ...],
        *,
        reasons: Mapping[str, str] | None = None,
        only: str | None = None,
    ) -> None:
        """Note which layers are in float: those with ``reasons`` of their own, and those that torch.ao left alone."""
        reasons, network = reasons or {}, self._source.network
        described = {
            each.layer: each
            for each in left_float(
                network, [*((name, "") for name in reasons), *_floats(quantised)], kept, quantiser="torch.ao", only=only
            )
        }
        self.left_float = tuple(
            replace(each, reason=reasons.get(each.layer, each.reason)) for each in described.values()
        )


def _not_followed(error: Exception) -> UnsupportedError:
    """Return the reason why static int8 cannot be made of a network that torch.fx cannot follow."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not is_foreign(Path(f.filename))]
    # The code that torch.fx itself writes has no file.
    frames = [frame for frame in frames if Path(frame.filename).is_file()]
    where = f" beyond line {frames[-1].lineno} of {frames[-1].filename}" if frames else ""
    msg = (
        f"torch.fx, which quantises .ptl files, cannot follow this network{where} "
        f"({first_line(error).rstrip('.')}): it must not use sizes or values of tensors as Python numbers; "
        "use int8-dynamic, or another format"
    )
    return UnsupportedError(msg)


def _hide_identities(network: torch.nn.Module) -> None:
    """Replace the identities in ``network``, in place, by empty sequences, which torch.fx leaves out of its graph.

    Folding batch norms leaves identities behind. As nodes they would separate a layer from its activation, and the
    output would be rounded to the wider range before the activation.
    """
    from torch import nn

    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name and type(module) is nn.Identity:
            network.set_submodule(name, nn.Sequential())


def _number_paddings(network: torch.nn.Module) -> None:
    """Replace the words for a padding in ``network``, in place, by numbers, which is all that torch.ao takes."""
    from torch.nn.modules.conv import _ConvNd

    for layer in network.modules():
        if isinstance(layer, _ConvNd) and isinstance(layer.padding, str) and not _is_lopsided(layer):
            # The amounts before and after each dimension, the last one first.
            layer.padding = tuple(reversed(layer._reversed_padding_repeated_twice[::2]))


def _is_lopsided(layer: Any) -> bool:
    """Whether a convolution pads one side more than the other, for which it needs a word."""
    amounts = layer._reversed_padding_repeated_twice
    return isinstance(layer.padding, str) and amounts[::2] != amounts[1::2]


def _state_settings(prepared: Any) -> None:
    """Let calls of convolutions as functions state every setting: `convert_fx` fails on those left out."""
    from torch.nn import functional

    dimensions = {functional.conv1d: 1, functional.conv2d: 2}
    for node in prepared.graph.nodes:
        size = dimensions.get(node.target)
        if size is None:
            continue
        defaults = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        settings = defaults | dict(zip(defaults, node.args[2:], strict=False)) | node.kwargs
        lists = ("stride", "padding", "dilation")
        settings |= {key: [settings[key]] * size for key in lists if isinstance(settings[key], int)}
        node.args, node.kwargs = (*node.args[:2], *settings.values()), {}
    prepared.recompile()


def _without_kernel(network: torch.nn.Module) -> dict[str, str]:
    """The layers for which QNNPACK has no kernel, or a wrong one, with the reason: they stay in float."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    reasons: dict[str, str] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            reasons[name] = "QNNPACK has no convolutions over three dimensions"
        elif isinstance(layer, _ConvNd) and _is_lopsided(layer):
            reasons[name] = "QNNPACK pads both sides alike, and 'same' with an even kernel does not"
        elif isinstance(layer, _ConvTransposeNd) and layer.groups > 1:
            reasons[name] = "QNNPACK's kernel for transposed convolutions with groups computes wrong values"
        elif isinstance(layer, nn.PReLU):
            reasons[name] = "PyTorch's quantised PReLU computes wrong values"
    return reasons


# Functions whose constants of two or more dimensions are the weights of a layer.
_FUNCTIONS = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "matmul", "bmm", "einsum",
              "bilinear", "embedding")  # fmt: skip


def _floats(quantised: torch.nn.Module) -> list[tuple[str, str]]:
    """The layers of a quantised network that are in float: their names, and the class or the function."""
    import torch
    from torch import fx

    layers = [
        (name, type(module).__name__)
        for name, module in quantised.named_modules()
        if type(module).__module__.startswith("torch.nn.")
        and any(weight.dim() > 1 and weight.is_floating_point() for weight in module.parameters(recurse=False))
    ]
    if isinstance(quantised, fx.GraphModule):
        for node in quantised.graph.nodes:
            calls = {str(getattr(user.target, "__name__", user.target)) for user in node.users}
            weight = attrgetter(str(node.target))(quantised) if node.op == "get_attr" else None
            if isinstance(weight, torch.Tensor) and weight.dim() > 1 and weight.is_floating_point():
                layers += [(str(node.target).rpartition(".")[0], call) for call in calls if call in _FUNCTIONS]
    return layers


def _mapping(knobs: Quantisation, kept: tuple[str, ...]) -> Any:
    """Return how each layer is quantised. Layers in ``kept`` are not."""
    import torch
    from torch.ao.quantization import (
        QConfig,
        default_per_channel_weight_observer,
        default_weight_observer,
        get_default_qconfig_mapping,
        observer,
    )

    kind = default_per_channel_weight_observer if knobs.per_channel else default_weight_observer
    # Symmetric, as the other formats round weights and as `correct-bias` assumes.
    weight = kind.with_args(quant_min=-127, quant_max=127)
    activation = torch_observer(observer, knobs.observer, dtype=torch.quint8)
    mapping = get_default_qconfig_mapping(ENGINE)
    mapping.set_global(QConfig(activation=activation, weight=weight))
    # QNNPACK gives a mean the range of its input, and means over an image are much smaller than the largest value.
    for mean in _means():
        mapping.set_object_type(mean, None)
    for layer in kept:
        mapping.set_module_name(layer, None)
        mapping.set_module_name_regex(rf"{re.escape(layer)}\..*", None)
    return mapping


def _means() -> tuple[Any, ...]:
    """What computes a mean over an image: classes, functions, and the name of a method."""
    import torch
    from torch import nn
    from torch.nn import functional

    layers = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
    functions = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)
    return (*layers, *functions, torch.mean, "mean")


@functools.cache
def mobile_optimiser_works() -> bool:
    """Return whether the installed torch can rewrite a module for phones, tried once on one convolution.

    Wheels from 2.13 on are built without the XNNPACK that this needs.
    """
    import torch

    try:
        _optimised(torch.jit.trace(torch.nn.Conv2d(1, 1, 1).eval(), torch.zeros(1, 1, 1, 1)))
    except (ImportError, RuntimeError):
        return False
    return True


def _optimised(traced: Any) -> Any:
    from torch.utils.mobile_optimizer import optimize_for_mobile

    return optimize_for_mobile(traced)
