"""A profile of ONNX Runtime: a Chrome trace, in microseconds, with an event per call and per node.

A profiled call takes longer than others, so the calls are the cell's latency only with a setting that says so.
"""

from __future__ import annotations

from typing import Any

from harness.exchange.content import Content
from harness.exchange.fields import US, mapping, whole, word
from harness.exchange.imported import ImportedCell, ImportedFile
from harness.records.operators import Operator, OperatorProfile

_END = "_kernel_time"

Event = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the events are those of a session."""
    events = content.records[:100]
    return isinstance(content.document, list) and any(
        event.get("cat") == "Session" and event.get("name") in ("session_initialization", "model_run")
        for event in events
    )


def read(content: Content) -> ImportedFile:
    """Return the one cell of the session, with its nodes."""
    sessions = [event for event in content.records if event.get("cat") == "Session"]
    runs = [time for event in sessions if event.get("name") == "model_run" and (time := whole(event.get("dur"), US))]
    loads = [event for event in sessions if word(event.get("name")).startswith(("model_loading", "session_init"))]
    times = [whole(event.get("dur"), US) or 0 for event in loads]
    profile = _operators(content, calls=len(runs))
    used = {operator.ran_on for operator in profile.operators} if profile else set()
    cell = ImportedCell(
        model=content.stem,
        format="onnx",
        delegate="+".join(sorted(used)),
        program="onnxruntime profiler",
        runtime="onnxruntime",
        settings={"profiled": "yes"},
        first_ns=runs[0] if runs else None,
        samples_ns=tuple(runs[1:]),
        load_ns=sum(times) or None,
        operators=profile,
    )
    return ImportedFile(cells=(cell,))


def _operators(content: Content, *, calls: int) -> OperatorProfile | None:
    """Sum up the kernel times of each node. Names of nodes need not be unique, so the type counts too."""
    totals: dict[tuple[str, str, str], list[int]] = {}
    for event in content.records:
        name, args = word(event.get("name")), mapping(event.get("args"))
        time = whole(event.get("dur"), US)
        if event.get("cat") == "Node" and name.endswith(_END):
            key = name.removesuffix(_END), word(args.get("op_name")), word(args.get("provider"))
            totals.setdefault(key, []).append(time or 0)
    operators = tuple(
        Operator(name=name, kind=kind, calls=len(times), total_ns=sum(times), ran_on=provider)
        for (name, kind, provider), times in totals.items()
    )
    return (
        OperatorProfile(source="onnxruntime profile", operators=operators, calls=calls or None) if operators else None
    )
