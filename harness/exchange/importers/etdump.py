"""An ETDump of ExecuTorch: the times of its events, read by ExecuTorch's own Inspector where it is installed."""

from __future__ import annotations

import math
import struct
from typing import Any

from harness.errors import MissingPackageError, UsageError
from harness.exchange.content import Content
from harness.exchange.fields import clean
from harness.exchange.imported import ImportedCell, ImportedFile
from harness.records.operators import Operator, OperatorProfile

# The identifier of its flatbuffer, at byte 4, or at 8 behind the size that the runtime writes first.
_IDENTIFIER = b"ED00"
_KERNEL, _DELEGATE = "native_call_", "DELEGATE_CALL"
_CALL, _LOADS = "Method::execute", ("Program::load_method", "Method::init")


def recognises(content: Content) -> bool:
    """Say whether the bytes are a flatbuffer with the identifier of an ETDump."""
    return _IDENTIFIER in (content.data[4:8], content.data[8:12])


def read(content: Content) -> ImportedFile:
    """Return the one cell of the file, with its operators.

    Raises `MissingPackageError` without ExecuTorch, and `UsageError` for a file that its Inspector cannot read.
    """
    try:
        from executorch.devtools import Inspector
        from executorch.devtools.inspector import TimeScale
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="executorch", extra="torch", purpose="reading an ETDump") from error
    try:
        data = content.data
        # The Inspector takes it with the size alone.
        prefixed = data if data[8:12] == _IDENTIFIER else struct.pack("<I", len(data)) + data
        inspector = Inspector(etdump_data=prefixed, target_time_scale=TimeScale.NS)
        events = [event for block in inspector.event_blocks for event in block.events]
    # The Inspector checks nothing, so damage shows as an error of any type.
    except Exception as error:  # noqa: BLE001
        msg = f"ExecuTorch's Inspector cannot read {content.name!r} ({clean(str(error))}): the file may be cut off"
        raise UsageError(msg) from error
    times = {str(event.name): _times(event) for event in events}
    calls = times.get(_CALL, [])
    loads = [sum(times[name]) for name in _LOADS if times.get(name)]
    operators = tuple(_operator(event) for event in events if _is_operator(event, events))
    cell = ImportedCell(
        model=content.stem,
        format="pte",
        delegate="+".join(sorted({operator.ran_on for operator in operators} - {"", "cpu"})),
        program="ETDump",
        runtime="executorch",
        settings={"profiled": "yes"},
        samples_ns=tuple(calls),
        load_ns=round(sum(loads)) or None,
        operators=OperatorProfile(source="ETDump", operators=operators, calls=len(calls) or None)
        if operators
        else None,
    )
    return ImportedFile(cells=(cell,))


def _times(event: Any) -> list[int]:
    raw = getattr(event.perf_data, "raw", None) or []
    return [round(value) for value in raw if isinstance(value, int | float) and math.isfinite(value) and value > 0]


def _is_operator(event: Any, events: list[Any]) -> bool:
    """Whether an event is an operator. The call of a delegate is one only where the delegate does not list its own."""
    name = str(event.name)
    if name == _DELEGATE:
        return not any(other.is_delegated_op for other in events)
    return bool(event.is_delegated_op) or name.startswith(_KERNEL)


def _operator(event: Any) -> Operator:
    times, name = _times(event), clean(str(event.name))
    delegated = bool(event.is_delegated_op) or name == _DELEGATE
    return Operator(
        name=name,
        kind=clean(", ".join(getattr(event, "op_types", None) or [])) or name.removeprefix(_KERNEL),
        calls=len(times) or None,
        total_ns=sum(times) if times else None,
        ran_on=clean(str(event.delegate_backend_name or "")) or ("" if delegated else "cpu"),
        delegated=delegated,
    )
