"""Rates the channels of a group by their weights, by the gradient of the loss, or by their activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from harness.errors import BuildError
from harness.model.card import Task
from harness.spec.recipe import Importance
from harness.variants.channels import ChannelGroup
from harness.variants.step import StepContext, tensors_of

if TYPE_CHECKING:
    import torch

# Maps a group to one number per channel, shape (channels,), with a mean of 1. Larger means more important.
Rating: TypeAlias = Callable[[ChannelGroup], "torch.Tensor"]


def rating(kind: Importance, network: torch.nn.Module, context: StepContext) -> Rating:
    """Return the function that rates channels of ``network``.

    ``magnitude``: the squared weights of all layers that produce or read the channel (Li et al. 2017,
    arXiv:1608.08710). ``taylor``: the change of the loss without the channel, to first order, on the calibration split
    (Molchanov et al. 2019, arXiv:1906.10771). ``activation``: the mean magnitude of the values that are read from the
    channel on the calibration split (after Hu et al. 2016, arXiv:1607.03250).
    """
    import torch_pruning

    match kind:
        case Importance.MAGNITUDE:
            return _checked(torch_pruning.importance.GroupMagnitudeImportance(p=2))
        case Importance.TAYLOR:
            _gather_gradients(network, context)
            return _checked(torch_pruning.importance.GroupTaylorImportance())
        case Importance.ACTIVATION:
            return _checked(_by_activation(_mean_inputs(network, context)))
        case _:
            assert_never(kind)


def _checked(rate: Callable[[Any], torch.Tensor | None]) -> Rating:
    """Scale ratings to a mean of 1. A group without ratings, or with only zeros, is rated equally."""
    import torch

    def checked(group: ChannelGroup) -> torch.Tensor:
        ratings = rate(group.items)
        if ratings is None or float(ratings.sum()) == 0:
            return torch.ones(group.channels)
        if not bool(torch.isfinite(ratings).all()):
            msg = f"the importance of the channels of {group.name!r} is not finite; use importance = 'magnitude'"
            raise BuildError(msg)
        return ratings / ratings.mean()

    return checked


def _gather_gradients(network: torch.nn.Module, context: StepContext) -> None:
    """Accumulate the gradients of the loss over the calibration split in the parameters."""
    import torch

    network.zero_grad()
    with torch.enable_grad():
        for index in range(context.calibration.count):
            output = network(*tensors_of(context.calibration.inputs, index))
            _taylor_loss(output, index, context).backward()


def _taylor_loss(result: Any, index: int, context: StepContext) -> torch.Tensor:
    """The cross-entropy with the label, or with the network's own answer; else the mean squared output."""
    from torch.nn import functional

    first = next(iter(result.values())) if isinstance(result, dict) else result
    first = first[0] if isinstance(first, tuple | list) else first
    row = first.reshape(1, -1)
    labels = context.calibration.single_labels
    several = labels is None and context.calibration.labels is not None
    if several or context.card.task is not Task.CLASSIFICATION:
        energy: torch.Tensor = row.square().mean()
        return energy
    label = row.argmax(1) if labels is None else row.new_tensor([int(labels[index])]).long()
    return functional.cross_entropy(row, label)


def _mean_inputs(network: torch.nn.Module, context: StepContext) -> dict[Any, torch.Tensor]:
    """The mean magnitude of each input channel of every convolution and linear layer, summed over calibration calls."""
    import torch

    sums: dict[Any, torch.Tensor] = {}
    with torch.no_grad(), _reading(network, sums):
        for index in range(context.calibration.count):
            network(*tensors_of(context.calibration.inputs, index))
    return sums


@contextmanager
def _reading(network: torch.nn.Module, sums: dict[Any, torch.Tensor]) -> Iterator[None]:
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    def read(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        dim = -1 if isinstance(module, nn.Linear) else 1
        seen = inputs[0].abs().movedim(dim, -1).flatten(0, -2).mean(0)
        sums[module] = sums.get(module, 0) + seen

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | _ConvNd)]
    hooks = [layer.register_forward_pre_hook(read) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _by_activation(means: dict[Any, torch.Tensor]) -> Callable[[Any], torch.Tensor]:
    import torch

    def rate(items: Any) -> torch.Tensor:
        ratings = torch.zeros(len(items[0].idxs))
        for item in items:
            module = item.dep.target.module
            # torch-pruning's handlers are named prune_in_channels and prune_out_channels. Only readers count here.
            if module not in means or "in_channels" not in item.dep.handler.__name__ or None in item.root_idxs:
                continue
            ratings.scatter_add_(0, torch.tensor(item.root_idxs), means[module][torch.tensor(item.idxs)])
        return ratings

    return rate
