"""The nodes and edges of a ``.tflite`` file. Field numbers are the positions in ``schema.fbs`` (TensorFlow 2.21)."""

from __future__ import annotations

from pathlib import Path

from harness.readers.flatbuffer import Table, root
from harness.readers.graph import Graph, Step, Stored, layer_in_path, link
from harness.readers.tflite import BUFFER, NAME, SHAPE, has_data, open_tflite, type_of
from harness.readers.tflite_operators import OPERATORS

_CODES, _SUBGRAPHS, _BUFFERS = 1, 2, 4
_OLD_BUILTIN, _CUSTOM_NAME, _BUILTIN = 0, 1, 3
_TENSORS, _INPUTS, _OPERATORS = 0, 1, 3
_CODE, _READS, _WRITES = 0, 1, 2
_CUSTOM = OPERATORS.index("CUSTOM")


def read_tflite_graph(path: Path) -> Graph:
    """Return the main graph. Raises `ValueError` if the file does not parse, `OSError` if it cannot be read."""
    with open_tflite(path) as data:
        return _graph(root(data))


def _graph(model: Table) -> Graph:
    main = model.tables(_SUBGRAPHS)[0]
    kinds = [_kind(code) for code in model.tables(_CODES)]
    full = [has_data(buffer) for buffer in model.tables(_BUFFERS)]
    tensors = main.tables(_TENSORS)
    names = [tensor.string(NAME) for tensor in tensors]
    stored = {
        str(at): Stored(name=names[at], kind=type_of(tensor), shape=tensor.integers(SHAPE))
        for at, tensor in enumerate(tensors)
        if full[tensor.u32(BUFFER)]
    }
    # Names need not be unique, so edges go by the positions of tensors.
    steps = [_step(operator, kinds) for operator in main.tables(_OPERATORS)]
    linked = link(steps, stored, map(str, main.integers(_INPUTS)))
    return _named(linked, names)


def _step(operator: Table, kinds: list[str]) -> Step:
    # -1 is an input that is left out.
    reads = [str(at) for at in operator.integers(_READS) if at >= 0]
    writes = [str(at) for at in operator.integers(_WRITES) if at >= 0]
    return Step(name="", kind=kinds[operator.u32(_CODE)], reads=reads, writes=writes)


def _named(graph: Graph, names: list[str]) -> Graph:
    from dataclasses import replace

    nodes = []
    for node in graph.nodes:
        outputs = tuple(names[int(at)] for at in node.outputs)
        first = next(iter(outputs), "")
        nodes.append(replace(node, name=first, outputs=outputs, layer=node.layer or layer_in_path(first)))
    return replace(graph, nodes=tuple(nodes))


def _kind(code: Table) -> str:
    # Files from before 2020 have the number in a field of one byte.
    number = max(code.byte(_OLD_BUILTIN), code.u32(_BUILTIN))
    if number == _CUSTOM:
        return code.string(_CUSTOM_NAME)
    return OPERATORS[number] if number < len(OPERATORS) else f"operator {number}"
