"""Several networks put together to one, so that everything that follows sees a single module.

The one decision: the whole is a `torch.fx.GraphModule` of calls of its parts. It has the model's inputs by name, is
exported, copied and pickled as any module, and nothing inside a part is traced.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from harness.errors import BuildError
from harness.model.card import ModelCard, PartCard, takes
from harness.model.user_code import running

if TYPE_CHECKING:
    import torch

    Tensors = Sequence[torch.Tensor]
    # A value of the graph beside what it is on the examples.
    Value = tuple[torch.fx.Node, torch.Tensor]


def compose(
    card: ModelCard,
    modules: Mapping[str, torch.nn.Module],
    examples: Tensors,
    wanted: Sequence[str],
) -> torch.nn.Module:
    """Return one module that takes the inputs of ``card`` and returns what the parts or inputs ``wanted`` give.

    ``modules``: the network of each part needed, by name. ``examples``: one tensor an input. A single output is
    returned as a tensor, several as a tuple. Raises `BuildError` when a part does not run on what it gets.
    """
    import torch

    graph = torch.fx.Graph()
    values: dict[str, list[Value]] = {}
    for spec, example in zip(card.inputs, examples, strict=True):
        values[spec.name] = [(graph.placeholder(re.sub(r"\W", "_", spec.name)), example)]
    for part in card.parts:
        if part.name in modules:
            given = [value for name in takes(card, part) for value in values[name]]
            values[part.name] = list(_called(card, part, modules[part.name], graph, given))
    outputs = [node for name in wanted for node, _ in values[name]]
    graph.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
    return torch.fx.GraphModule(dict(modules), graph).eval()


def _called(
    card: ModelCard, part: PartCard, module: torch.nn.Module, graph: torch.fx.Graph, given: list[Value]
) -> Iterator[Value]:
    """Add a call of ``part`` to ``graph`` and yield each of its outputs."""
    import torch

    shapes = ", ".join("x".join(map(str, example.shape)) for _, example in given)
    what = f"running part {part.name!r} of {card.name!r} on {shapes}"
    with torch.no_grad(), running(what, raises=BuildError, folder=card.folder):
        result = module(*(example for _, example in given))
    call = graph.call_module(part.name, tuple(node for node, _ in given))
    if isinstance(result, torch.Tensor):
        yield call, result
        return
    found = 0
    for key, item in _items(result):
        if not isinstance(item, torch.Tensor):
            msg = f"part {part.name!r} of {card.name!r} returns a {type(item).__name__} among its outputs: give tensors"
            raise BuildError(msg)
        found += 1
        yield graph.call_function(operator.getitem, (call, cast("int", key))), item
    if not found:
        msg = f"part {part.name!r} of {card.name!r} returns a {type(result).__name__}: give a tensor, or several"
        raise BuildError(msg)


def _items(result: object) -> list[tuple[object, object]]:
    """What a part returned, with the key by which each of it is got."""
    if isinstance(result, dict):
        return list(result.items())
    return list(enumerate(result)) if isinstance(result, tuple | list) else []
