"""What a ``.pte`` file says about its backends. The runtime does not report them, so they are read from the file.

A program is a FlatBuffer followed by segments; the data of a backend is inside it or in a segment. Only the few fields
needed to count instructions are read. Their numbers are the positions of the fields in ``program.fbs`` (ExecuTorch) and
``schema.fbs`` (its XNNPACK backend). A file that does not parse gives None for the counts, never an error.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.wire import Delegate

# Positions of fields in program.fbs.
_PROGRAM_PLANS, _PROGRAM_INLINE, _PROGRAM_SEGMENTS = 1, 3, 4
_PLAN_CHAINS, _PLAN_DELEGATES = 5, 7
_CHAIN_INSTRUCTIONS = 2
_INSTRUCTION_TYPE = 0
_DELEGATE_ID, _DELEGATE_DATA = 0, 1
_DATA_LOCATION, _DATA_INDEX = 0, 1
_IN_SEGMENT = 1
_KERNEL_CALL, _DELEGATE_CALL = 1, 2

_XNNPACK = "XnnpackBackend"
_DELEGATES = {
    _XNNPACK: Delegate.XNNPACK.value,
    "CoreMLBackend": Delegate.COREML.value,
    "VulkanBackend": Delegate.GPU.value,
}
_XNN_NODES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PteFacts:
    """Backends by name, each once, and how the nodes are divided between them and the kernels.

    Nodes are the kernel calls of the program plus the nodes inside XNNPACK's data. ``kernel_calls`` are the calls that
    no delegate took.
    """

    backends: tuple[str, ...] = ()
    nodes_total: int | None = None
    nodes_delegated: int | None = None
    partitions: int | None = None
    kernel_calls: int | None = None

    @property
    def delegate_used(self) -> str:
        """The delegates that the backends belong to, joined by ``+``; ``cpu`` if there are none."""
        return "+".join(_DELEGATES.get(name, name) for name in self.backends) or Delegate.CPU.value


def read_pte(path: Path) -> PteFacts:
    """Return what the file says; everything is unknown if it is not a program. Raises only `OSError`."""
    with path.open("rb") as file:
        if path.stat().st_size < 64:
            return PteFacts()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _facts(data) if data[4:6] == b"ET" else PteFacts()
            except (struct.error, IndexError, UnicodeDecodeError, OverflowError):
                return PteFacts()


def _facts(data: mmap.mmap) -> PteFacts:
    program = _Table(data, 0 + _u32(data, 0))
    plans = program.tables(_PROGRAM_PLANS)
    calls = [
        instruction.byte(_INSTRUCTION_TYPE)
        for plan in plans
        for chain in plan.tables(_PLAN_CHAINS)
        for instruction in chain.tables(_CHAIN_INSTRUCTIONS)
    ]
    delegates = [delegate for plan in plans for delegate in plan.tables(_PLAN_DELEGATES)]
    names = [delegate.string(_DELEGATE_ID) for delegate in delegates]
    inside = [
        _xnnpack_nodes(_blob(program, d)) if n == _XNNPACK else None for n, d in zip(names, delegates, strict=True)
    ]
    # Only XNNPACK's data is understood: with any other backend the nodes cannot be counted.
    counted = [nodes for nodes in inside if nodes is not None]
    delegated = sum(counted) if len(counted) == len(inside) else None
    return PteFacts(
        backends=tuple(dict.fromkeys(names)),
        nodes_total=None if delegated is None else delegated + calls.count(_KERNEL_CALL),
        nodes_delegated=delegated,
        partitions=calls.count(_DELEGATE_CALL),
        kernel_calls=calls.count(_KERNEL_CALL),
    )


def _blob(program: _Table, delegate: _Table) -> bytes:
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


def _xnnpack_nodes(blob: bytes) -> int | None:
    """The number of nodes in XNNPACK's data, which is a small header with the magic XH00 and then a FlatBuffer."""
    if blob[4:8] != b"XH00":
        return None
    start = _u32(blob, 10)
    graph = _Table(blob, start + _u32(blob, start))
    return len(graph.tables(_XNN_NODES))


def _u32(data: bytes | mmap.mmap, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


class _Table:
    """A FlatBuffer table at a position. Fields are found through its vtable (flatbuffers.dev, "Internals")."""

    def __init__(self, data: bytes | mmap.mmap, position: int) -> None:
        self.data, self._position = data, position
        self._vtable = position - struct.unpack_from("<i", data, position)[0]

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot >= struct.unpack_from("<H", self.data, self._vtable)[0]:
            return None
        offset: int = struct.unpack_from("<H", self.data, self._vtable + slot)[0]
        return self._position + offset if offset else None

    def byte(self, number: int) -> int:
        at = self._field(number)
        return 0 if at is None else self.data[at]

    def u32(self, number: int) -> int:
        at = self._field(number)
        return 0 if at is None else _u32(self.data, at)

    def u64(self, number: int) -> int:
        at = self._field(number)
        return 0 if at is None else int(struct.unpack_from("<Q", self.data, at)[0])

    def table(self, number: int) -> _Table:
        at = self._field(number)
        if at is None:
            msg = f"field {number} is missing"
            raise IndexError(msg)
        return _Table(self.data, at + _u32(self.data, at))

    def vector(self, number: int) -> tuple[int, int]:
        """Return (position of the first element, number of elements)."""
        at = self._field(number)
        if at is None:
            return 0, 0
        start = at + _u32(self.data, at)
        return start + 4, _u32(self.data, start)

    def tables(self, number: int) -> list[_Table]:
        start, length = self.vector(number)
        if 4 * length > len(self.data):
            msg = f"field {number} has {length} elements, more than fit in the file"
            raise IndexError(msg)
        return [_Table(self.data, at + _u32(self.data, at)) for at in range(start, start + 4 * length, 4)]

    def string(self, number: int) -> str:
        start, length = self.vector(number)
        return bytes(self.data[start : start + length]).decode("utf-8")
