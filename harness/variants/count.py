"""Checks a network after a step by counting what is there, whatever the step reports of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import BuildError

if TYPE_CHECKING:
    import torch


def check_layers(network: torch.nn.Module, step: str) -> None:
    """Raise `BuildError` if a layer of ``network`` says other sizes than its tensors have.

    Such a network runs here. Exporters and quantisers read the sizes and would write another one.
    """
    for name, module in network.named_modules():
        for what, said, has in _sizes(module):
            if said != has:
                msg = f"step {step!r} left layer {name!r} with {what} {said}, but its tensors have {has}; leave it out"
                raise BuildError(msg)


def check_macs(network: torch.nn.Module, example: tuple[torch.Tensor, ...], macs: int | None, step: str) -> None:
    """Raise `BuildError` if ``macs`` is less than what the layers that are called alone take: a count by hand."""
    counted = layer_macs(network, example)
    if macs is not None and counted > macs:
        msg = f"step {step!r} left a network of {macs:,} multiply-accumulates, but its layers take {counted:,}"
        raise BuildError(msg)


def layer_macs(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> int:
    """Return the multiply-accumulates of the convolutions and linear layers of one call, from the shapes of tensors."""
    import torch
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    counts: list[int] = []

    def add(layer: Any, inputs: Any, output: Any) -> None:
        # A convolution multiplies per output, a transposed one per input, with the weights of one channel.
        values = inputs[0] if isinstance(layer, _ConvTransposeNd) else output
        counts.append(values.numel() * layer.weight[0].numel())

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | _ConvNd)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        with torch.no_grad():
            network(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counts)


def _sizes(module: torch.nn.Module) -> list[tuple[str, object, object]]:
    """What a layer says of its sizes, and what its tensors have: (name, said, has)."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    if isinstance(module, nn.Linear):
        return [("sizes", (module.out_features, module.in_features), tuple(module.weight.shape))]
    if isinstance(module, _ConvNd):
        made, read = module.out_channels, module.in_channels
        shape = (read, made // module.groups) if isinstance(module, _ConvTransposeNd) else (made, read // module.groups)
        bias = made if module.bias is None else len(module.bias)
        return [("channels", shape, tuple(module.weight.shape[:2])), ("biases", made, bias)]
    if isinstance(module, _BatchNorm) and module.running_mean is not None:
        return [("channels", module.num_features, len(module.running_mean))]
    if isinstance(module, nn.LayerNorm) and module.weight is not None:
        return [("sizes", tuple(module.normalized_shape), tuple(module.weight.shape))]
    if isinstance(module, nn.Embedding):
        return [("sizes", (module.num_embeddings, module.embedding_dim), tuple(module.weight.shape))]
    return []
