"""Joins several networks into one module, so everything downstream sees a single network.

The result is a `torch.fx.GraphModule` that calls its parts. Unlike a hand-written wrapper, it takes the model's inputs
by name and can be exported, copied and pickled like any module. The parts themselves are not traced.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from harness.errors import BuildError
from harness.model.card import ModelCard, PartCard, takes
from harness.model.user_code import running
from harness.wire import shape_text

if TYPE_CHECKING:
    import torch

    Tensors = Sequence[torch.Tensor]
    # A value of the graph, and the tensor it has on the example inputs.
    Value = tuple[torch.fx.Node, torch.Tensor]


def compose(
    card: ModelCard,
    modules: Mapping[str, torch.nn.Module],
    examples: Tensors,
    outputs: Sequence[str],
) -> torch.nn.Module:
    """Return one module from the inputs of ``card`` to the values named in ``outputs``: parts, or inputs passed on.

    ``modules``: the network of each part that is needed, by name. ``examples``: one tensor per input, in order. A
    single output is returned as a tensor, several as a tuple. Raises `BuildError` when a part does not run on its
    inputs.
    """
    import torch

    graph = torch.fx.Graph()
    values: dict[str, list[Value]] = {}
    for spec, example in zip(card.inputs, examples, strict=True):
        # Placeholders become parameters of a Python function, so their names must be identifiers.
        values[spec.name] = [(graph.placeholder(re.sub(r"\W", "_", spec.name)), example)]
    for part in card.parts:
        if part.name in modules:
            arguments = [value for name in takes(card, part) for value in values[name]]
            values[part.name] = list(_called(card, part, modules[part.name], graph, arguments))
    nodes = [node for name in outputs for node, _ in values[name]]
    graph.output(nodes[0] if len(nodes) == 1 else tuple(nodes))
    return torch.fx.GraphModule(dict(modules), graph).eval()


def _called(
    card: ModelCard, part: PartCard, module: torch.nn.Module, graph: torch.fx.Graph, arguments: list[Value]
) -> Iterator[Value]:
    """Add a call of ``part`` to ``graph`` and yield each of its outputs."""
    import torch

    shapes = ", ".join(shape_text(example.shape) for _, example in arguments)
    what = f"running part {part.name!r} of {card.name!r} on {shapes}"
    with torch.no_grad(), running(what, raises=BuildError, folder=card.folder):
        result = module(*(example for _, example in arguments))
    call = graph.call_module(part.name, tuple(node for node, _ in arguments))
    if isinstance(result, torch.Tensor):
        yield call, result
        return
    outputs = 0
    for key, item in _items(result):
        if not isinstance(item, torch.Tensor):
            msg = f"part {part.name!r} of {card.name!r} returns a {type(item).__name__}; return tensors only"
            raise BuildError(msg)
        outputs += 1
        yield graph.call_function(operator.getitem, (call, cast("int", key))), item
    if not outputs:
        msg = f"part {part.name!r} of {card.name!r} returns a {type(result).__name__}; return one tensor or several"
        raise BuildError(msg)


def _items(result: object) -> list[tuple[object, object]]:
    """The values in what a part returned, each with the key that selects it."""
    if isinstance(result, dict):
        return list(result.items())
    return list(enumerate(result)) if isinstance(result, tuple | list) else []
