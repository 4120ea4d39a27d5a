"""LiteRT's ``BenchmarkResult`` (package ``tflite.tools.benchmark``), as binary Protocol Buffers or as their text.

The message names neither device nor delegate nor threads, and has no samples.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from harness.devices.android.shell.tools.benchmark_model import MEMORY_GROWTH
from harness.exchange.content import Content
from harness.exchange.definitions import mean_of_calls
from harness.exchange.fields import KIB, MB, MIB, MS, clean, count, number, scaled, settings, whole
from harness.exchange.imported import ImportedCell, ImportedFile, LatencyFigures, peak_memory
from harness.exchange.litert_schema import FIELDS, MESSAGES, PARTS
from harness.exchange.protobuf import fields_of
from harness.readers.protobuf import Wire

_PEAK = "the peak memory of the process as benchmark_model tells it, absolute: nothing is subtracted"
_MEAN = {"mean": "avg_ms", "least": "min_ms", "most": "max_ms", "deviation": "stddev_ms"}
_SIGNED = 1 << 63
_TOKEN = re.compile(
    r'\s*(?:(#[^\n]*)|([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')|([-+]?[\w.+-]+)|([{}<>:;,]))'
)

Values = dict[str, dict[str, float | str]]


def recognises(content: Content) -> bool:
    """Say whether the bytes decode to the message, or the text has its parts."""
    return bool(_decoded(content))


def read(content: Content) -> ImportedFile:
    """Return the one cell of the message."""
    return ImportedFile(cells=(_cell(content, _decoded(content)),))


def _cell(content: Content, values: Values) -> ImportedCell:
    times, memory, misc = (values.get(part, {}) for part in PARTS)
    median, mean = scaled(times.get("median_ms"), MS), scaled(times.get("avg_ms"), MS)
    deviation = number(times.get("stddev_ms"))
    overall = whole(memory.get("overall_footprint_kb"), KIB)
    loaded = whole(memory.get("init_footprint_kb"), KIB)
    peak = whole(memory.get("peak_mem_mb"), MIB)
    latency = None
    if median is not None:
        latency = LatencyFigures(
            median_ns=median,
            mean_ns=mean,
            min_ns=scaled(times.get("min_ms"), MS),
            max_ns=scaled(times.get("max_ms"), MS),
            p5_ns=scaled(times.get("p5_ms"), MS),
            p95_ns=scaled(times.get("p95_ms"), MS),
            variation=deviation * MS / mean if deviation is not None and mean else None,
            calls=count(misc.get("num_runs")),
        )
    return ImportedCell(
        model=clean(str(values.get("", {}).get("name", ""))) or content.stem,
        format="tflite",
        program="benchmark_model",
        runtime="litert",
        settings=settings({"warm-up calls": misc.get("num_warmup_runs")}),
        latency=latency,
        # Older messages have a mean and no median.
        stated=() if latency else mean_of_calls(times, MS, **_MEAN, calls=misc.get("num_runs")),
        load_ns=whole(times.get("init_ms"), MS),
        first_ns=whole(times.get("first_inference_ms"), MS),
        memory=peak_memory(peak, _PEAK)
        or peak_memory(overall, MEMORY_GROWTH, loaded_bytes=loaded, steady_bytes=overall),
        file_bytes=whole(misc.get("model_size_mb"), MB),
    )


def _decoded(content: Content) -> Values:
    values = _from_text(content.head) if content.text else {}
    if not any(values.get(part) for part in PARTS) and not content.document:
        values = _from_bytes(content.data)
    # A name alone proves nothing, and a few bytes of anything decode to some message.
    return values if values.get("latency_metrics") else {}


def _from_bytes(data: bytes) -> Values:
    try:
        parts = list(_parts(data))
    except ValueError:
        return {}
    return dict(parts)


def _parts(data: bytes) -> Iterator[tuple[str, dict[str, float | str]]]:
    """Yield the fields of each part. Raises `ValueError` for anything that the message does not have."""
    for number_, wire, value in fields_of(data):
        part = MESSAGES[number_]
        if wire is not Wire.LENGTH or not isinstance(value, bytes):
            msg = "not the message"
            raise ValueError(msg)
        if part == "name":
            yield "", {"name": value.decode()}
        else:
            yield part, dict(_fields(part, value))


def _fields(part: str, data: bytes) -> Iterator[tuple[str, float]]:
    names = {number_: (name, wire) for name, (number_, wire) in FIELDS[part].items()}
    for number_, wire, value in fields_of(data):
        if number_ not in names:
            continue  # a field of a newer version
        name, expected = names[number_]
        if wire is not expected:
            msg = "not the message"
            raise ValueError(msg)
        if isinstance(value, bytes):
            yield name, struct.unpack("<f", value)[0]
        else:
            yield name, value - (1 << 64) if value >= _SIGNED else value


def _from_text(text: str) -> Values:
    """Read the text form: names, numbers, strings and braces. Anything else gives nothing."""
    values: Values = {}
    part = ""
    tokens = _tokens(text)
    for name in tokens:
        if name in "}>":
            part = ""
        elif name in PARTS:
            opening = next(tokens, "")
            opening = next(tokens, "") if opening == ":" else opening
            if opening not in ("{", "<"):
                return {}
            part = name
            values.setdefault(part, {})
        elif next(tokens, "") == ":" and (name == "name" or name in FIELDS.get(part, {})):
            value = next(tokens, "")
            values.setdefault(part, {})[name] = value[1:-1] if value[:1] in "\"'" else value
        else:
            return {}
    return values


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at:].strip():
                yield "?"
            return
        at = match.end()
        value = next((group for group in match.groups()[1:] if group), "")
        if value and value not in ",;":
            yield value
