"""What a network returns: one tensor, or tensors in tuples, lists and dicts, in any depth.

Formats know a flat list of outputs only. A network that returns anything else is made to return a flat tuple when it is
loaded, so every exporter and every graph step sees the same interface. The names of the outputs are kept.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import BuildError

if TYPE_CHECKING:
    import torch

ADVICE = "return a tensor, or tensors in a tuple, list or dict"


def named(result: object) -> dict[str, Any]:
    """Return the values in ``result`` by name, in order.

    Values of a dict have its keys as names, others their position: ``output_1``. Names within names are joined by dots.
    What is None is left out, as by exporters.
    """
    if _is_container(result):
        return {name: value for key, item in _items(result) for name, value in _below(key, item)}
    return {} if result is None else {"output_0": result}


def flat(result: object) -> tuple[Any, ...]:
    """Return the values in ``result`` in order, however deep they are; None is left out."""
    if not _is_container(result):
        return () if result is None else (result,)
    return tuple(value for _, item in _items(result) for value in flat(item))


def check_tensors(network: str, result: object) -> None:
    """Raise `BuildError` naming an output of ``network`` that no runtime has: no tensor, or complex or sparse."""
    import torch

    values = named(result)
    for name, value in values.items():
        if not isinstance(value, torch.Tensor):
            msg = f"the network of {network!r} returns a {type(value).__name__} as {name}; {ADVICE}"
        elif value.is_complex():
            msg = f"the network of {network!r} returns complex numbers as {name}; return torch.view_as_real of them"
        elif value.layout is not torch.strided or value.is_quantized:
            msg = f"the network of {network!r} returns a {value.layout} tensor as {name}; return a dense float tensor"
        else:
            continue
        raise BuildError(msg)
    if not values:
        msg = f"the network of {network!r} returns nothing; {ADVICE}"
        raise BuildError(msg)


def is_flat(result: object) -> bool:
    """Return whether exporters take ``result`` as it is: a tensor, or a tuple of tensors."""
    import torch

    return isinstance(result, torch.Tensor) or (
        type(result) is tuple and all(isinstance(value, torch.Tensor) for value in result)
    )


def flattening(network: torch.nn.Module) -> torch.nn.Module:
    """Return ``network`` so that it returns a tensor, or a flat tuple of tensors.

    Its class changes in place, so its submodules keep their names. A graph, whose class writes its own `forward`, is
    wrapped instead.
    """
    import torch

    if isinstance(network, torch.fx.GraphModule):
        return _wrapped(network)
    network.__class__ = _flat_class(type(network))
    return network


def _is_container(result: object) -> bool:
    return isinstance(result, tuple | list | Mapping) or (
        dataclasses.is_dataclass(result) and not isinstance(result, type)
    )


def _items(result: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(result, Mapping):
        yield from ((str(key), value) for key, value in result.items())
    elif isinstance(result, tuple | list):
        yield from ((f"output_{i}", value) for i, value in enumerate(result))
    else:
        yield from ((field.name, getattr(result, field.name)) for field in dataclasses.fields(result))


def _below(key: str, item: object) -> Iterator[tuple[str, Any]]:
    if item is None:
        return
    if _is_container(item):
        yield from ((f"{key}.{name}", value) for name, value in named(item).items())
    else:
        yield key, item


def _as_result(result: object) -> object:
    values = flat(result)
    return values[0] if len(values) == 1 else values


def _flat_class(kind: type[torch.nn.Module]) -> type[torch.nn.Module]:
    """A subclass of ``kind`` with its name, whose `forward` returns a flat result. Pickles name ``kind`` itself."""

    @functools.wraps(kind.forward)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> object:
        return _as_result(kind.forward(self, *args, **kwargs))

    def reduce(self: torch.nn.Module, protocol: object) -> tuple[Any, ...]:  # noqa: ARG001  the signature is Python's
        return _new, (kind,), self.__dict__

    members = {"forward": forward, "__reduce_ex__": reduce, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), members)


def _new(kind: type[torch.nn.Module]) -> torch.nn.Module:
    """An empty module of the flat class of ``kind``; unpickling fills it."""
    flat_kind = _flat_class(kind)
    # Without calling the constructor, whose arguments are not known.
    return flat_kind.__new__(flat_kind)


def _wrapped(graph: torch.fx.GraphModule) -> torch.nn.Module:
    import torch

    class FlatOutputs(torch.nn.Module):
        """Calls the graph and returns its outputs as a flat tuple."""

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            # Not ``graph``, which converters look for in a module.
            self.network = network

        def forward(self, *inputs: torch.Tensor) -> object:
            """Run the graph on ``inputs``."""
            return _as_result(self.network(*inputs))

    return FlatOutputs(graph).eval()
