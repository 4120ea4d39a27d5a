"""TensorBoard: a log folder per cell with its metrics as scalars, its calls as a histogram, its recipe as text, and the
cells as hparams, which TensorBoard shows as a table to filter and compare.

An event file is a series of records with checksums; each record is one Protocol Buffers message. Both are simple enough
to write without TensorFlow. The numbers of the fields are those of ``event.proto``, ``summary.proto``, ``tensor.proto``
and of the hparams plugin's ``api.proto`` and ``plugin_data.proto``.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Sequence

from harness.exchange.crc32c import masked_crc32c
from harness.exchange.outgoing import Files, Outgoing, delegate_used, readings, safe_name
from harness.exchange.protobuf import bytes_field, double_field, doubles_field, float_field, varint_field
from harness.report.view import CellView, full_labels

_BUCKETS = 30
_DT_STRING = 7
# Of the hparams plugin: the type of a text, and the states of a session.
_STRING, _SUCCESS = 1, 1
_EXPERIMENT, _SESSION_START, _SESSION_END = (
    "_hparams_/experiment",
    "_hparams_/session_start_info",
    "_hparams_/session_end_info",
)


def logs(outgoing: Outgoing) -> Files:
    """Return an event file per cell, and one for the experiment."""
    at = outgoing.started_s
    files = {_event_file("", at): _records([_version(at), _event(at, _experiment(outgoing))])}
    names = full_labels(outgoing.views)
    for view in outgoing.ok:
        folder = safe_name(view.cell.key)
        events = [_event(at, summary) for summary in _summaries(outgoing, view, names[view.cell.key])]
        files[_event_file(f"{folder}/", at)] = _records([_version(at), *events])
    return files


def _event_file(folder: str, at: float) -> str:
    return f"{folder}events.out.tfevents.{round(at)}.phonebench"


def _summaries(outgoing: Outgoing, view: CellView, name: str) -> list[bytes]:
    scalars = []
    for metric, reading in readings(view):
        tag = f"{metric.name} ({metric.unit})" if metric.unit != "1" else metric.name
        figures = {
            tag: reading.value,
            f"{tag} low": reading.low,
            f"{tag} high": reading.high,
            f"{tag} p90": reading.p90,
        }
        scalars += [_scalar(key, value) for key, value in figures.items() if value is not None]
    calls = [call for launch in outgoing.calls(view) for call in launch]
    histogram = [_histogram("calls (ns)", calls)] if calls else []
    session = [_session_start(outgoing, view, name), _session_end(outgoing)]
    return [*scalars, *histogram, _text("recipe", outgoing.recipe(view)), *session]


def _scalar(tag: str, value: float) -> bytes:
    return bytes_field(1, bytes_field(1, tag) + float_field(2, value))


def _histogram(tag: str, values: Sequence[int]) -> bytes:
    """Buckets of equal width in the logarithm; each counts the values up to its limit."""
    low, high = math.log(max(1, min(values))), math.log(max(2, *values))
    limits = [math.exp(low + (high - low) * (index + 1) / _BUCKETS) for index in range(_BUCKETS)]
    limits[-1] = max(limits[-1], float(max(values)))
    counts = [0.0] * _BUCKETS
    for value in values:
        counts[bisect_left(limits, value)] += 1
    parts = (min(values), max(values), len(values), sum(values), math.fsum(float(value) ** 2 for value in values))
    message = b"".join(double_field(number, float(value)) for number, value in enumerate(parts, 1))
    message += doubles_field(6, limits) + doubles_field(7, counts)
    return bytes_field(1, bytes_field(1, tag) + bytes_field(5, message))


def _text(tag: str, text: str) -> bytes:
    # Markdown, so that braces and asterisks of a recipe are shown as they are.
    shown = f"```json\n{text}\n```"
    tensor = varint_field(1, _DT_STRING) + bytes_field(2, bytes_field(2, varint_field(1, 1))) + bytes_field(8, shown)
    return bytes_field(1, bytes_field(1, tag) + bytes_field(9, _plugin("text", b"")) + bytes_field(8, tensor))


def _plugin(name: str, content: bytes) -> bytes:
    return bytes_field(1, bytes_field(1, name) + bytes_field(2, content))


def _hparams(tag: str, content: bytes) -> bytes:
    return bytes_field(1, bytes_field(1, tag) + bytes_field(9, _plugin("hparams", content)))


def _experiment(outgoing: Outgoing) -> bytes:
    """The names of the parameters with all their values, and the metrics that cells have."""
    values: dict[str, dict[str, None]] = {}
    metrics: dict[str, None] = {}
    for view in outgoing.ok:
        for key, value in _parameters(view).items():
            values.setdefault(key, {})[value] = None
        metrics |= dict.fromkeys(f"{m.name} ({m.unit})" if m.unit != "1" else m.name for m, _ in readings(view))
    infos = [bytes_field(4, _parameter_info(key, list(listed))) for key, listed in values.items()]
    columns = [bytes_field(5, bytes_field(1, bytes_field(2, tag))) for tag in metrics]
    experiment = bytes_field(1, f"phonebench run {outgoing.head.id}") + double_field(3, outgoing.started_s)
    return _hparams(_EXPERIMENT, bytes_field(2, experiment + b"".join((*infos, *columns))))


def _parameter_info(name: str, values: list[str]) -> bytes:
    listed = b"".join(bytes_field(1, bytes_field(3, value)) for value in values)
    return bytes_field(1, name) + varint_field(4, _STRING) + bytes_field(5, listed)


def _session_start(outgoing: Outgoing, view: CellView, name: str) -> bytes:
    pairs = (
        bytes_field(1, bytes_field(1, key) + bytes_field(2, bytes_field(3, v))) for key, v in _parameters(view).items()
    )
    info = b"".join(pairs) + bytes_field(4, name) + double_field(5, outgoing.started_s)
    return _hparams(_SESSION_START, bytes_field(3, info))


def _session_end(outgoing: Outgoing) -> bytes:
    return _hparams(_SESSION_END, bytes_field(4, varint_field(1, _SUCCESS) + double_field(2, outgoing.started_s)))


def _parameters(view: CellView) -> dict[str, str]:
    cell = view.cell
    return {
        "model": cell.model,
        "variant": cell.variant,
        "format": cell.format.value,
        "delegate": delegate_used(view),
        "threads": "unknown" if cell.threads is None else str(cell.threads),
        "device": cell.device,
    }


def _version(at: float) -> bytes:
    return double_field(1, at) + bytes_field(3, "brain.Event:2")


def _event(at: float, summary: bytes) -> bytes:
    return double_field(1, at) + varint_field(2, 0) + bytes_field(5, summary)


def _records(events: Sequence[bytes]) -> bytes:
    """Frame each event by its length and the checksums of both."""
    parts = []
    for event in events:
        length = struct.pack("<Q", len(event))
        parts += [length, struct.pack("<I", masked_crc32c(length)), event, struct.pack("<I", masked_crc32c(event))]
    return b"".join(parts)
