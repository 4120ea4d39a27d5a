"""The facts that readers of ready-made files return."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.wire import DType

# An open dimension, as in `harness.runners.host.runtimes.session`.
OPEN = -1

# The wire type of each element type that the runners can convert, by numpy's name.
WIRE_TYPES: dict[str, DType] = {
    **{dtype.value: dtype for dtype in DType},
    "float64": DType.FLOAT32,
    **dict.fromkeys(("uint16", "uint32", "uint64"), DType.INT64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTensor:
    """One input or output of a file.

    ``kind``: the element type by numpy's name, or what it is instead of a tensor of numbers, such as ``a sequence``.
    ``shape``: `OPEN` for a size that the file leaves open; None if it does not even state how many there are.
    ``quantised``: the type is an integer with a scale, which the runner converts from and to float32. ``bounded``: the
    sizes are upper limits.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None = ()
    quantised: bool = False
    bounded: bool = False

    @property
    def dtype(self) -> DType | None:
        """The type on the wire, or None if the runners cannot convert this one."""
        return DType.FLOAT32 if self.quantised else WIRE_TYPES.get(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file holds. ``weights`` counts its stored numbers by element type.

    ``inputs`` and ``outputs`` are None in a format that does not state them. ``companions`` are the names of further
    files with weights, as written in the file. ``compiled_by`` is the execution provider of ONNX Runtime that compiled
    a part of the network ahead of time, empty if none did: only that provider can run the file.
    """

    inputs: tuple[FileTensor, ...] | None
    outputs: tuple[FileTensor, ...] | None
    weights: dict[str, int] = field(default_factory=dict)
    companions: tuple[str, ...] = ()
    compiled_by: str = ""
