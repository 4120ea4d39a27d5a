"""The profile of a Qualcomm AI Hub job, as its client downloads it. Times are microseconds, memory is in bytes.

The file names neither model nor device nor runtime, so all three are unknown.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.exchange.content import Content
from harness.exchange.fields import US, count, items, mapping, objects, scaled, times_ns, whole, word
from harness.exchange.imported import ImportedCell, ImportedFile, peak_memory
from harness.records.operators import Operator, OperatorProfile
from harness.records.origin import StatedFigure, StatedName

_MEMORY = "the estimated peak memory of an inference, as AI Hub tells it: nothing is subtracted"
ESTIMATE = "estimated inference time of AI Hub"


def recognises(content: Content) -> bool:
    """Say whether the file is a profile, alone or with its job around it."""
    return "execution_summary" in _profile(content)


def read(content: Content) -> ImportedFile:
    """Return the one cell of the profile, with its layers."""
    profile = _profile(content)
    summary = mapping(profile["execution_summary"])
    samples = times_ns(summary.get("all_inference_times"), US)
    estimate = scaled(summary.get("estimated_inference_time"), US)
    layers = objects(profile.get("execution_detail"))
    units = Counter(word(layer.get("compute_unit")) for layer in layers)
    figure = StatedFigure(name=StatedName.LATENCY, value=estimate or 0.0, definition=ESTIMATE)
    cell = ImportedCell(
        model=content.stem,
        delegate=units.most_common(1)[0][0] if units else "",
        program="AI Hub",
        samples_ns=samples,
        stated=(figure,) if estimate and not samples else (),
        load_ns=whole(summary.get("first_load_time"), US),
        memory=peak_memory(count(summary.get("estimated_inference_peak_memory")) or _range(summary), _MEMORY),
        nodes_total=len(layers) or None,
        nodes_delegated=len(layers) - units["CPU"] if layers else None,
        operators=_operators(layers),
    )
    return ImportedFile(cells=(cell,))


def _profile(content: Content) -> dict[str, Any]:
    document = content.object
    return document if "execution_summary" in document else mapping(document.get("profile"))


def _range(summary: dict[str, Any]) -> int | None:
    """The upper end of the range of the peak."""
    ends = [size for end in items(summary.get("inference_memory_peak_range")) if (size := count(end)) is not None]
    return max(ends, default=None)


def _operators(layers: list[dict[str, Any]]) -> OperatorProfile | None:
    if not layers:
        return None
    return OperatorProfile(source="AI Hub", operators=tuple(_operator(layer) for layer in layers))


def _operator(layer: dict[str, Any]) -> Operator:
    time, unit = whole(layer.get("execution_time"), US), word(layer.get("compute_unit"))
    return Operator(
        name=word(layer.get("name")),
        kind=word(layer.get("type")),
        calls=1 if time is not None else None,
        total_ns=time,
        ran_on=unit.lower(),
        delegated=unit != "CPU" if unit else None,
    )
