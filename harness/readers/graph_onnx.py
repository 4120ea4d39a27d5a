"""The nodes and edges of an ``.onnx`` file. Field numbers are those of ``onnx.proto`` (version 1.23)."""

from __future__ import annotations

from pathlib import Path

from harness.readers.graph import Graph, Step, Stored, layer_in_path, link
from harness.readers.onnx import TYPES, open_onnx
from harness.readers.protobuf import Message

_NODES, _INITIALIZERS, _SPARSE_INITIALIZERS, _INPUTS = 1, 5, 15, 11
_READS, _WRITES, _NAME, _KIND, _ATTRIBUTES = 1, 2, 3, 4, 5
_TENSOR, _SUBGRAPH, _SUBGRAPHS = 5, 6, 11
_DIMS, _DATA_TYPE, _TENSOR_NAME = 1, 2, 8
_VALUES = 1


def read_onnx_graph(path: Path) -> Graph:
    """Return the graph. Raises `ValueError` if the file does not parse, `OSError` if it cannot be read."""
    with open_onnx(path) as graph:
        sparse = [values for t in graph.messages(_SPARSE_INITIALIZERS) if (values := t.message(_VALUES)) is not None]
        tensors = map(_stored, (*graph.messages(_INITIALIZERS), *sparse))
        stored = {tensor.name: tensor for tensor in tensors}
        inputs = [name for value in graph.messages(_INPUTS) if (name := value.text(_VALUES)) not in stored]
        return link(map(_step, graph.messages(_NODES)), stored, inputs)


def _step(node: Message) -> Step:
    name, attributes = node.text(_NAME), node.messages(_ATTRIBUTES)
    bodies = [_body(body) for a in attributes for body in (*a.messages(_SUBGRAPH), *a.messages(_SUBGRAPHS))]
    return Step(
        name=name,
        kind=node.text(_KIND),
        # An input that is left out has an empty name.
        reads=[*filter(None, node.texts(_READS)), *(read for reads, _ in bodies for read in reads)],
        writes=list(filter(None, node.texts(_WRITES))),
        own=tuple(_stored(t) for a in attributes for t in a.messages(_TENSOR))
        + tuple(tensor for _, tensors in bodies for tensor in tensors),
        layer=layer_in_path(name),
    )


def _body(body: Message) -> tuple[list[str], list[Stored]]:
    """What the body of an ``If`` or ``Loop`` reads from outside, and the numbers in it."""
    initializers = body.messages(_INITIALIZERS)
    made = {value.text(_VALUES) for value in body.messages(_INPUTS)}
    made |= {tensor.text(_TENSOR_NAME) for tensor in initializers}
    reads: dict[str, None] = {}
    stored = [*map(_stored, initializers)]
    # Each inner node is read once: bodies nest, and a second pass at every level would double the work per level.
    for step in map(_step, body.messages(_NODES)):
        reads |= dict.fromkeys(name for name in step.reads if name not in made)
        made |= set(step.writes)
        stored += step.own
    return list(reads), stored


def _stored(tensor: Message) -> Stored:
    kind = tensor.number(_DATA_TYPE)
    return Stored(
        name=tensor.text(_TENSOR_NAME),
        kind=TYPES.get(kind, f"element type {kind}"),
        shape=tuple(tensor.numbers(_DIMS)),
    )
