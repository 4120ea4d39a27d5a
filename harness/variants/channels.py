"""Finds which channels of a network belong together and which must stay: the dependency graph for pruning.

A channel is removed from every layer that produces or reads it (Fang et al. 2023, arXiv:2301.12900; torch-pruning).
Some channels must stay: those of layers that produce the network's outputs, and those of layers whose outputs are
multiplied with each other (attention), where the position of a channel has a meaning. Running the network once shows
which layers these are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import first_line
from harness.variants.step import UnfitError

if TYPE_CHECKING:
    import torch

OUTPUT = "its outputs are the network's outputs"
ATTENTION = "attention: its outputs are multiplied with each other, head by head"
GROUPED = "a grouped convolution reads its channels in fixed groups"
GROUP_NORM = "a group norm reads its channels in fixed groups"
RECURRENT = "a recurrent layer shares its channels"
TIED = "another layer shares its weight"

_PRODUCTS = ("matmul", "__matmul__", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGroup:
    """Channels that several layers share: ``makers`` are the layers that produce them, ``name`` is the first of these.

    ``items`` is torch-pruning's own group object. ``fixed`` is the reason why the channels must stay, or None.
    """

    name: str
    channels: int
    makers: tuple[str, ...]
    items: Any
    fixed: str | None


def channel_groups(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> list[ChannelGroup]:
    """Return the channel groups of ``network`` in the order of its modules.

    Raises `UnfitError` when the network cannot be traced.
    """
    import torch_pruning

    # torch-pruning finds dependencies in the autograd graph, in which only trainable parameters appear.
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    fixed = fixed_layers(network, example)
    try:
        graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=list(example), verbose=False)
        all_items = list(graph.get_all_groups())
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError, AssertionError) as error:
        reason = first_line(error)
        msg = f"the network cannot be traced to find the layers that share channels ({reason}); leave the step out"
        raise UnfitError(msg) from error
    fixed = dict.fromkeys(_tied(network), TIED) | fixed
    groups = [_group(items, network, fixed, graph) for items in all_items]
    order = [name for name, _ in network.named_modules()]
    return sorted(groups, key=lambda group: order.index(group.name))


def _group(items: Any, network: torch.nn.Module, fixed: dict[str, str], graph: Any) -> ChannelGroup:
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    members = [item.dep.target.module for item in items]
    producing = {id(i.dep.target.module) for i in items if graph.is_out_channel_pruning_fn(i.dep.handler)}
    layers = ((n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | _ConvNd))
    makers = tuple(name for name, module in layers if id(module) in producing)
    touched = (name for name, module in network.named_modules() if any(module is member for member in members))
    why = next((fixed[name] for name in touched if name in fixed and (name in makers or fixed[name] is TIED)), None)
    why = why or _why_fixed(members)
    return ChannelGroup(name=makers[0], channels=len(items[0].idxs), makers=makers, items=items, fixed=why)


def _tied(network: torch.nn.Module) -> list[str]:
    """The layers whose weight is also that of another layer. Cutting one would leave the other as it is."""
    owners: dict[int, list[str]] = {}
    for name, module in network.named_modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append(name)
    return [name for names in owners.values() if len(names) > 1 for name in names]


def _why_fixed(members: list[Any]) -> str | None:
    from torch import nn

    for module in members:
        if isinstance(module, nn.MultiheadAttention):
            return ATTENTION
        if isinstance(module, nn.RNNBase):
            return RECURRENT
        if isinstance(module, nn.GroupNorm):
            return GROUP_NORM
        # A depthwise convolution has one group per channel, so it can lose single channels with their groups.
        depthwise = getattr(module, "groups", 1) == getattr(module, "out_channels", 0)
        if getattr(module, "groups", 1) > 1 and not depthwise:
            return GROUPED
    return None


def fixed_layers(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> dict[str, str]:
    """Return the layers of ``network`` whose channels must stay, with the reasons. Runs the network once.

    The run records gradients: the autograd graph shows which layer every tensor came from.
    """
    import torch

    traced = _Traced()
    with torch.enable_grad(), traced.watching(network), _product_mode(traced):
        result = network(*example)
    reasons = dict.fromkeys(traced.multiplied, ATTENTION)
    for output in _tensors(result):
        reasons |= dict.fromkeys(traced.makers_of(output), OUTPUT)
    return reasons


@dataclass(slots=True)
class _Traced:
    """Which layer produced each node of the autograd graph, and which layers' outputs are multiplied."""

    made_by: dict[Any, str] = field(default_factory=dict)
    multiplied: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self, network: torch.nn.Module) -> Iterator[None]:
        """Record the outputs of every convolution and linear layer of ``network``."""
        from torch import nn
        from torch.nn.modules.conv import _ConvNd

        def note(name: str, output: Any) -> None:
            for tensor in _tensors(output):
                if tensor.grad_fn is not None:
                    self.made_by[tensor.grad_fn] = name

        hooks = [
            module.register_forward_hook(lambda _m, _x, y, name=name: note(name, y))
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear | _ConvNd)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def makers_of(self, tensor: torch.Tensor) -> list[str]:
        """Return the layers whose outputs reach ``tensor`` without passing through another layer."""
        todo, seen, makers = [tensor.grad_fn], set(), []
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self.made_by:
                makers.append(self.made_by[node])
            else:
                todo += [after for after, _ in node.next_functions]
        return makers

    def note_product(self, operands: list[torch.Tensor]) -> None:
        """Record the layers that produced ``operands``, if at least two of the operands come from layers."""
        makers = [names for operand in operands if (names := self.makers_of(operand))]
        if len(makers) > 1:
            self.multiplied += [name for names in makers for name in names]


def _product_mode(traced: _Traced) -> Any:
    from torch.overrides import TorchFunctionMode

    class Products(TorchFunctionMode):
        """Intercepts every product of two tensors."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
            if getattr(func, "__name__", "") in _PRODUCTS:
                traced.note_product(list(_tensors([args, kwargs or {}])))
            return func(*args, **(kwargs or {}))

    return Products()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
