"""An ETDump of ExecuTorch: the times of its events, read by ExecuTorch's own Inspector where it is installed."""

from __future__ import annotations

import math
from typing import Any

from harness.errors import MissingPackageError, UsageError
from harness.exchange.content import Content
from harness.exchange.fields import clean
from harness.exchange.imported import ImportedCell, ImportedFile
from harness.records.operators import Operator, OperatorProfile

# The identifier of its flatbuffer, at byte 4.
_IDENTIFIER = b"ED00"
_CALL, _LOADS = "Method::execute", ("Program::load_method", "Method::init")


def recognises(content: Content) -> bool:
    """Say whether the bytes are a flatbuffer with the identifier of an ETDump."""
    return content.data[4:8] == _IDENTIFIER


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
        inspector = Inspector(etdump_data=content.data, target_time_scale=TimeScale.NS)
        events = [event for block in inspector.event_blocks for event in block.events]
    # The Inspector checks nothing, so damage shows as an error of any type.
    except Exception as error:  # noqa: BLE001
        msg = f"ExecuTorch's Inspector cannot read {content.name!r} ({clean(str(error))}): the file may be cut off"
        raise UsageError(msg) from error
    times = {str(event.name): _times(event) for event in events}
    calls = times.get(_CALL, [])
    loads = [sum(times[name]) for name in _LOADS if times.get(name)]
    operators = tuple(_operator(event) for event in events if getattr(event, "op_types", None) or event.is_delegated_op)
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


def _operator(event: Any) -> Operator:
    times = _times(event)
    return Operator(
        name=clean(str(event.name)),
        kind=clean(", ".join(getattr(event, "op_types", None) or [])) or clean(str(event.name)),
        calls=len(times) or None,
        total_ns=sum(times) if times else None,
        ran_on=clean(str(event.delegate_backend_name or "cpu")),
        delegated=bool(event.is_delegated_op),
    )
