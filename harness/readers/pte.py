"""What a ``.pte`` file says: its inputs, outputs and weights, and its backends, which the runtime does not report.

A program is a FlatBuffer followed by segments; the data of a backend is inside it or in a segment. Only the few fields
that are needed are read. Their numbers are the positions of the fields in ``program.fbs`` (ExecuTorch 1.4) and
``schema.fbs`` (its XNNPACK backend). The data of other backends is not understood.
"""

from __future__ import annotations

import functools
import math
import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.readers.facts import FileFacts, FileTensor
from harness.readers.flatbuffer import DAMAGED, Buffer, Table, opened, root, u32
from harness.wire import Delegate

# What ExecuTorch's runner of language models finds beside a program, in the order in which one is looked for.
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
# Methods that every exporter of language models writes, and no other.
_LANGUAGE_METHODS = frozenset({"get_max_seq_len", "get_max_context_len", "use_kv_cache"})
# Positions of fields in program.fbs.
PROGRAM_PLANS, _PROGRAM_INLINE, _PROGRAM_SEGMENTS = 1, 3, 4
_PLAN_NAME = 0
PLAN_VALUES, PLAN_INPUTS, _PLAN_OUTPUTS, PLAN_CHAINS, PLAN_DELEGATES = 2, 3, 4, 5, 7
PLAN_OPERATORS = 6
CHAIN_INSTRUCTIONS = 2
INSTRUCTION_TYPE, INSTRUCTION = 0, 1
CALL_INDEX = 0
_OPERATOR_NAME, _OVERLOAD = 0, 1
DELEGATE_ID, _DELEGATE_DATA = 0, 1
_DATA_LOCATION, _DATA_INDEX = 0, 1
_IN_SEGMENT = 1
KERNEL_CALL, DELEGATE_CALL = 1, 2
VALUE_TYPE, VALUE = 0, 1
TENSOR = 5
_OTHER_VALUES = {0: "nothing", 1: "nothing", 2: "an integer", 3: "a truth value", 4: "a number", 6: "text"}
_SCALAR_TYPE, SIZES, DATA_BUFFER, _DYNAMISM = 0, 2, 5, 8

# ScalarType, which has the numbers of PyTorch's.
SCALAR_TYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool",
    12: "int8", 13: "uint8", 14: "int32", 15: "bfloat16", 27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip

XNNPACK = "XnnpackBackend"
_DELEGATES = {
    XNNPACK: Delegate.XNNPACK.value,
    "CoreMLBackend": Delegate.COREML.value,
    "VulkanBackend": Delegate.GPU.value,
}
# Positions of fields in XNNPACK's schema.fbs.
XNN_NODES, XNN_VALUES = 1, 2
_XNN_UNION_TYPE, _XNN_UNION = 0, 1
_XNN_QUANTISED, _XNN_TENSOR = 2, 0
_XNN_DATATYPE, XNN_DIMS, XNN_CONSTANT, XNN_ID = 0, 2, 3, 6
_XNN_TYPES = {
    1: "float32", 2: "float16", 3: "int8", 4: "uint8", 5: "int32", 6: "int8", 7: "int32", 8: "int4", 10: "int4",
    12: "int32", 14: "bfloat16",
}  # fmt: skip

_MAGIC = b"ET"
open_pte = functools.partial(opened, magic=_MAGIC, what="an ExecuTorch program")


@dataclass(frozen=True, slots=True, kw_only=True)
class PteCall:
    """A call of a kernel, or of a backend with its ``nodes``; 1 for a kernel, None for data that is not understood."""

    name: str
    backend: bool = False
    nodes: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PteFacts:
    """Backends by name, each once, and how the nodes are divided between them and the kernels.

    Nodes are the kernel calls of the program plus the nodes inside XNNPACK's data. ``kernel_calls`` are the calls that
    no delegate took. ``bounded`` has for each input whether it may be smaller than the program states. ``calls`` are
    the program's calls in their order. ``methods`` are the names of its methods.
    """

    backends: tuple[str, ...] = ()
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None
    kernel_calls: int | None = None
    bounded: tuple[bool, ...] = ()
    calls: tuple[PteCall, ...] = ()
    methods: tuple[str, ...] = ()

    @property
    def delegate_used(self) -> str:
        """The delegates that the backends belong to, joined by ``+``; ``cpu`` if there are none."""
        return "+".join(delegate_name(name) for name in self.backends) or Delegate.CPU.value


def delegate_name(backend: str) -> str:
    """Return the delegate that a backend belongs to, or the backend's own name if phonebench has none for it."""
    return _DELEGATES.get(backend, backend)


def read_pte(path: Path) -> PteFacts:
    """Return what the file says of its backends; everything is unknown if it is no program. Raises only `OSError`."""
    with path.open("rb") as file:
        if path.stat().st_size < 64:
            return PteFacts()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _backends(data) if data[4:6] == _MAGIC else PteFacts()
            except DAMAGED:
                return PteFacts()


def read_pte_tensors(path: Path) -> FileFacts:
    """Return inputs, outputs and weights. Raises `ValueError` if the file does not parse, `OSError` if unreadable.

    The weights are empty if a backend other than XNNPACK has some. The tokenizer of a language model is a companion.
    """
    facts = _read_tensors(path)
    if not is_language(read_pte(path)):
        return facts
    return replace(facts, companions=tuple(file.name for file in tokenizer_of(path.parent)))


def is_language(facts: PteFacts) -> bool:
    """Return whether a program holds a language model."""
    return not _LANGUAGE_METHODS.isdisjoint(facts.methods)


def tokenizer_of(folder: Path) -> tuple[Path, ...]:
    """Return the tokenizer in ``folder``, if there is one."""
    return tuple(path for name in TOKENIZERS if (path := folder / name).is_file())[:1]


def _read_tensors(path: Path) -> FileFacts:
    with open_pte(path) as data:
        return _tensors(data)


def _backends(data: Buffer) -> PteFacts:
    program = root(data)
    plans = program.tables(PROGRAM_PLANS)
    calls = [
        instruction.byte(INSTRUCTION_TYPE)
        for plan in plans
        for chain in plan.tables(PLAN_CHAINS)
        for instruction in chain.tables(CHAIN_INSTRUCTIONS)
    ]
    delegates = [delegate for plan in plans for delegate in plan.tables(PLAN_DELEGATES)]
    names = [delegate.string(DELEGATE_ID) for delegate in delegates]
    graphs = [
        xnnpack_graph(delegate_data(program, d)) if n == XNNPACK else None
        for n, d in zip(names, delegates, strict=True)
    ]
    # Only XNNPACK's data is understood: with any other backend the nodes cannot be counted.
    counted = [len(graph.tables(XNN_NODES)) for graph in graphs if graph is not None]
    delegated = sum(counted) if len(counted) == len(graphs) else None
    return PteFacts(
        backends=tuple(dict.fromkeys(names)),
        nodes_total=None if delegated is None else delegated + calls.count(KERNEL_CALL),
        nodes_delegated=delegated,
        partitions=calls.count(DELEGATE_CALL),
        kernel_calls=calls.count(KERNEL_CALL),
        bounded=_bounded(plans[0]) if plans else (),
        calls=tuple(call for plan in plans for call in _calls(program, plan)),
        methods=tuple(plan.string(_PLAN_NAME) for plan in plans),
    )


def _calls(program: Table, plan: Table) -> Iterator[PteCall]:
    operators, delegates = plan.tables(PLAN_OPERATORS), plan.tables(PLAN_DELEGATES)
    for chain in plan.tables(PLAN_CHAINS):
        for instruction in chain.tables(CHAIN_INSTRUCTIONS):
            kind = instruction.byte(INSTRUCTION_TYPE)
            if kind == KERNEL_CALL:
                operator = operators[instruction.table(INSTRUCTION).u32(CALL_INDEX)]
                yield PteCall(name=operator_name(operator))
            if kind == DELEGATE_CALL:
                delegate = delegates[instruction.table(INSTRUCTION).u32(CALL_INDEX)]
                name = delegate.string(DELEGATE_ID)
                graph = xnnpack_graph(delegate_data(program, delegate)) if name == XNNPACK else None
                yield PteCall(name=name, backend=True, nodes=len(graph.tables(XNN_NODES)) if graph else None)


def _bounded(plan: Table) -> tuple[bool, ...]:
    values = plan.tables(PLAN_VALUES)
    inputs = [values[at] for at in plan.integers(PLAN_INPUTS)]
    tensors = (value.table(VALUE) if value.byte(VALUE_TYPE) == TENSOR else None for value in inputs)
    return tuple(tensor is not None and tensor.byte(_DYNAMISM) > 0 for tensor in tensors)


def _tensors(data: Buffer) -> FileFacts:
    program = root(data)
    plan = program.tables(PROGRAM_PLANS)[0]
    values = plan.tables(PLAN_VALUES)
    delegates = [(d.string(DELEGATE_ID), d) for d in plan.tables(PLAN_DELEGATES)]
    graphs = [xnnpack_graph(delegate_data(program, d)) if name == XNNPACK else None for name, d in delegates]
    weights: Counter[str] = Counter()
    if None not in graphs:
        weights.update(_constants(values))
        for graph in graphs:
            weights.update(_xnnpack_constants(graph) if graph else {})
    return FileFacts(
        inputs=tuple(_described(values[at], f"input_{place}") for place, at in enumerate(plan.integers(PLAN_INPUTS))),
        outputs=tuple(
            _described(values[at], f"output_{place}") for place, at in enumerate(plan.integers(_PLAN_OUTPUTS))
        ),
        weights=dict(weights),
    )


def _described(value: Table, name: str) -> FileTensor:
    kind = value.byte(VALUE_TYPE)
    if kind != TENSOR:
        return FileTensor(name=name, kind=_OTHER_VALUES.get(kind, "a list"), shape=None)
    tensor = value.table(VALUE)
    return FileTensor(
        name=name, kind=scalar_type(tensor), shape=tensor.integers(SIZES), bounded=tensor.byte(_DYNAMISM) > 0
    )


def _constants(values: list[Table]) -> Counter[str]:
    """The stored numbers of the kernels by type. Tensors that share their data count once."""
    stored: dict[int, Table] = {}
    for value in values:
        if value.byte(VALUE_TYPE) == TENSOR and (at := value.table(VALUE).u32(DATA_BUFFER)):
            stored[at] = value.table(VALUE)
    counts: Counter[str] = Counter()
    for tensor in stored.values():
        counts[scalar_type(tensor)] += math.prod(tensor.integers(SIZES))
    return counts


def _xnnpack_constants(graph: Table) -> Counter[str]:
    stored: dict[int, Table] = {}
    for tensor in map(xnnpack_tensor, graph.tables(XNN_VALUES)):
        if at := tensor.u32(XNN_CONSTANT):
            stored[at] = tensor
    counts: Counter[str] = Counter()
    for tensor in stored.values():
        counts[xnnpack_type(tensor)] += math.prod(tensor.integers(XNN_DIMS))
    return counts


def xnnpack_tensor(value: Table) -> Table:
    """Return the tensor of a value of XNNPACK, quantised or not."""
    tensor = value.table(_XNN_UNION)
    return tensor.table(_XNN_TENSOR) if value.byte(_XNN_UNION_TYPE) == _XNN_QUANTISED else tensor


def xnnpack_type(tensor: Table) -> str:
    """Return the element type of a tensor of XNNPACK by numpy's name."""
    return _XNN_TYPES.get(tensor.u16(_XNN_DATATYPE), "another type")


def operator_name(operator: Table) -> str:
    """Return the name of a kernel with its overload."""
    return ".".join(filter(None, map(operator.string, (_OPERATOR_NAME, _OVERLOAD))))


def scalar_type(tensor: Table) -> str:
    """Return the element type of a tensor of the program by numpy's name."""
    number = tensor.byte(_SCALAR_TYPE)
    return SCALAR_TYPES.get(number, f"element type {number}")


def delegate_data(program: Table, delegate: Table) -> bytes:
    """The data that a backend gets at load."""
    reference = delegate.table(_DELEGATE_DATA)
    data = program.data
    index = reference.u32(_DATA_INDEX)
    if reference.byte(_DATA_LOCATION) != _IN_SEGMENT:
        start, length = program.tables(_PROGRAM_INLINE)[index].vector(0)
        return data[start : start + length]
    # The extended header follows FlatBuffers' own: "eh00", its length, the program's size, the offset of the segments.
    base = struct.unpack_from("<Q", data, 24)[0] if data[8:12] == b"eh00" else 0
    segment = program.tables(_PROGRAM_SEGMENTS)[index]
    start = base + segment.u64(0)
    return data[start : start + segment.u64(1)]


def xnnpack_graph(blob: bytes) -> Table | None:
    """The graph in XNNPACK's data, which is a small header with the magic XH00 and then a FlatBuffer."""
    return root(blob, u32(blob, 10)) if blob[4:8] == b"XH00" else None
