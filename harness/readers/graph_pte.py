"""The nodes and edges of a ``.pte`` file, with those inside the data of XNNPACK; other backends are one node.

Field numbers are the positions in ``program.fbs`` (ExecuTorch 1.4) and ``schema.fbs`` (its XNNPACK backend).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.readers import pte
from harness.readers.flatbuffer import Table, root
from harness.readers.graph import Graph, Step, Stored, link

_ARGUMENTS = 1
_ITEMS = 0
_LISTS = (10, 11)
_NODE_TYPE, _NODE = 0, 1
_EXTERNAL_INPUTS, _EXTERNAL_OUTPUTS = 4, 5

# Of each operator of XNNPACK: its name, the fields of what it reads, and the fields of what it computes.
_UNARY, _BINARY, _CONV = ((0,), (1,)), ((0, 1), (2,)), ((15, 16, 17), (18,))
_POOL, _CAT = ((10,), (11,)), ((1, 2, 3, 4, 7), (5,))
_OPERATORS: dict[int, tuple[str, tuple[tuple[int, ...], tuple[int, ...]]]] = dict(
    enumerate(
        (
            ("Add", _BINARY), ("FullyConnected", ((0, 1, 2), (3,))), ("Softmax", _UNARY), ("Sigmoid", _UNARY),
            ("Transpose", ((2,), (3,))), ("Clamp", _UNARY), ("Conv2d", _CONV), ("Div", _BINARY),
            ("ResizeBilinear2d", ((2,), (3,))), ("ConstantPad", ((3,), (4,))), ("AvgPooling2d", _POOL),
            ("Minimum", _BINARY), ("DepthwiseConv2d", _CONV), ("MaxPooling2d", _POOL), ("Multiply", _BINARY),
            ("Subtract", _BINARY), ("Floor", _UNARY), ("Convert", _UNARY), ("GlobalAvgPooling2d", _UNARY),
            ("Reshape", ((2,), (3,))), ("ArgMaxPooling2d", ((6,), (7, 8))), ("SquareRoot", _UNARY),
            ("Ceiling", _UNARY), ("Hardswish", _UNARY), ("LeakyReLU", ((1,), (2,))), ("Maximum", _BINARY),
            ("Negate", _UNARY), ("Square", _UNARY), ("ELU", ((1,), (2,))), ("Abs", _UNARY), ("PReLU", _BINARY),
            ("Concatenate", _CAT), ("Concatenate", _CAT), ("Concatenate", _CAT), ("Slice", ((3,), (4,))),
            ("ScaledDotProductAttention", ((0, 1, 2, 3, 4), (5,))), ("BatchMatrixMultiply", _BINARY),
            ("Concatenate", _CAT), ("ConvTranspose2d", _CONV), ("ReciprocalSquareRoot", _UNARY), ("Log", _UNARY),
            ("Gelu", _UNARY), ("Tanh", _UNARY), ("Exp", _UNARY), ("Sin", _UNARY), ("Copy", _UNARY), ("Cos", _UNARY),
        ),
        start=1,
    )
)  # fmt: skip
# How many inputs a concatenation has; the fields of the others say 0, which is the number of a value.
_JOINED = {32: 2, 33: 3, 34: 4, 38: 5}


def read_pte_graph(path: Path) -> Graph:
    """Return the graph of the first method. Raises `ValueError` if the file does not parse, `OSError` if unreadable."""
    with pte.open_pte(path) as data:
        return _graph(root(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One method: its values by position, which tensors have a value so far, and the stored ones."""

    program: Table
    table: Table
    values: list[Table]
    computed: set[str]
    stored: dict[str, Stored]

    def tensors(self, arguments: tuple[int, ...]) -> Iterator[str]:
        """The tensors among ``arguments``, also those in lists, by position. Lists hold tensors only."""
        for at in arguments:
            is_list = self.values[at].byte(pte.VALUE_TYPE) in _LISTS
            members = self.values[at].table(pte.VALUE).integers(_ITEMS) if is_list else (at,)
            # An item that is left out has the position -1.
            yield from (str(i) for i in members if i >= 0 and self.values[i].byte(pte.VALUE_TYPE) == pte.TENSOR)


def _graph(program: Table) -> Graph:
    table = program.tables(pte.PROGRAM_PLANS)[0]
    values = table.tables(pte.PLAN_VALUES)
    inputs = [str(at) for at in table.integers(pte.PLAN_INPUTS)]
    stored = {str(at): tensor for at, value in enumerate(values) if (tensor := _stored(value)) is not None}
    plan = _Plan(program=program, table=table, values=values, computed={*inputs, *stored}, stored=stored)
    return link(list(_steps(plan)), stored, inputs)


def _steps(plan: _Plan) -> Iterator[Step]:
    operators, delegates = plan.table.tables(pte.PLAN_OPERATORS), plan.table.tables(pte.PLAN_DELEGATES)
    instructions = (i for c in plan.table.tables(pte.PLAN_CHAINS) for i in c.tables(pte.CHAIN_INSTRUCTIONS))
    for number, instruction in enumerate(instructions):
        kind = instruction.byte(pte.INSTRUCTION_TYPE)
        if kind not in (pte.KERNEL_CALL, pte.DELEGATE_CALL):
            continue
        call = instruction.table(pte.INSTRUCTION)
        tensors = list(plan.tensors(call.integers(_ARGUMENTS)))
        # A tensor that nothing has written yet is written by this call.
        reads = [name for name in tensors if name in plan.computed]
        writes = list(dict.fromkeys(name for name in tensors if name not in plan.computed))
        plan.computed.update(writes)
        index = call.u32(pte.CALL_INDEX)
        if kind == pte.KERNEL_CALL:
            yield Step(name="", kind=pte.operator_name(operators[index]), reads=reads, writes=writes)
            continue
        graph = _inside(plan, delegates[index])
        if graph is not None:
            yield from _xnnpack_steps(plan, graph, number, tensors)
        else:
            name = delegates[index].string(pte.DELEGATE_ID)
            yield Step(name="", kind=name, reads=reads, writes=writes, backend=pte.delegate_name(name))


def _inside(plan: _Plan, delegate: Table) -> Table | None:
    """The graph in XNNPACK's data; None for another backend."""
    if delegate.string(pte.DELEGATE_ID) != pte.XNNPACK:
        return None
    return pte.xnnpack_graph(pte.delegate_data(plan.program, delegate))


def _xnnpack_steps(plan: _Plan, graph: Table, number: int, arguments: list[str]) -> Iterator[Step]:
    """The nodes inside a call, whose ``arguments`` are the external inputs and outputs of the graph in order."""
    tensors = {tensor.u32(pte.XNN_ID): tensor for tensor in map(pte.xnnpack_tensor, graph.tables(pte.XNN_VALUES))}
    names = {at: f"{number}:{at}" for at in tensors}
    external = (*graph.integers(_EXTERNAL_INPUTS), *graph.integers(_EXTERNAL_OUTPUTS))
    names |= dict(zip(external, arguments, strict=False))
    plan.stored.update({names[at]: _xnn_stored(t) for at, t in tensors.items() if t.u32(pte.XNN_CONSTANT)})
    for node in graph.tables(pte.XNN_NODES):
        kind, reads, writes = _fields(node)
        yield Step(
            name="",
            kind=kind,
            # An operand that is left out, such as a bias, has a number that no value has.
            reads=[names[at] for at in reads if at in names],
            writes=[names[at] for at in writes if at in names],
            backend=pte.delegate_name(pte.XNNPACK),
        )


def _fields(node: Table) -> tuple[str, list[int], list[int]]:
    """The name of an operator and the numbers of what it reads and computes."""
    number, content = node.byte(_NODE_TYPE), node.table(_NODE)
    kind, (reads, writes) = _OPERATORS.get(number, (f"operator {number}", ((), ())))
    reads = reads[: _JOINED.get(number, len(reads))]
    return kind, [content.u32(at) for at in reads], [content.u32(at) for at in writes]


def _stored(value: Table) -> Stored | None:
    if value.byte(pte.VALUE_TYPE) != pte.TENSOR:
        return None
    tensor = value.table(pte.VALUE)
    if not tensor.u32(pte.DATA_BUFFER):
        return None
    return Stored(name="", kind=pte.scalar_type(tensor), shape=tensor.integers(pte.SIZES))


def _xnn_stored(tensor: Table) -> Stored:
    return Stored(name="", kind=pte.xnnpack_type(tensor), shape=tensor.integers(pte.XNN_DIMS))
