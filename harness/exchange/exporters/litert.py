"""LiteRT's ``BenchmarkResult``, as text and as bytes: one message per cell."""

from __future__ import annotations

import json
import struct

from harness.exchange.litert_schema import FIELDS, NUMBERS, PARTS
from harness.exchange.outgoing import KIB, MB, MS, Files, Outgoing, call_times, per_cell, said, scaled
from harness.exchange.protobuf import bytes_field, float_field, varint_field
from harness.readers.protobuf import Wire
from harness.report.view import CellView, memory_growth

Message = dict[str, dict[str, float]]


def text(outgoing: Outgoing) -> Files:
    """Return the text form, which people read."""
    return per_cell(outgoing.ok, ".textproto", lambda view: _as_text(view, _message(outgoing, view)).encode())


def binary(outgoing: Outgoing) -> Files:
    """Return the binary form, which programs read."""
    return per_cell(outgoing.ok, ".pb", lambda view: _as_bytes(view, _message(outgoing, view)))


def _message(outgoing: Outgoing, view: CellView) -> Message:
    latency, load, growth, memory = view.latency, view.load, memory_growth(view.memory), view.memory
    calls = call_times(outgoing, view)
    times = {
        "avg_ms": scaled(calls.mean, MS),
        "min_ms": scaled(calls.least, MS),
        "max_ms": scaled(calls.most, MS),
        "stddev_ms": scaled(calls.deviation, MS),
        "median_ms": scaled(calls.median, MS),
        "p5_ms": scaled(latency.p5_ns if latency else None, MS),
        "p95_ms": scaled(latency.p95_ns if latency else None, MS),
        "init_ms": scaled(load.first_ns if load else None, MS),
        "first_inference_ms": scaled(load.first_inference_ns if load else None, MS),
    }
    sizes = {
        "init_footprint_kb": scaled(growth.loaded_bytes if growth else None, KIB),
        "overall_footprint_kb": scaled(growth.peak_bytes if growth else None, KIB),
        "peak_mem_mb": scaled(memory.peak_bytes if memory else None, KIB * KIB),
    }
    misc = {
        "model_size_mb": scaled(view.artifact.bytes if view.artifact else None, MB),
        "num_runs": calls.count,
    }
    return {part: said(values) for part, values in zip(PARTS, (times, sizes, misc), strict=True)}


def _as_text(view: CellView, message: Message) -> str:
    lines = [f"name: {json.dumps(view.cell.key)}"]
    for part, values in message.items():
        if values:
            lines += [f"{part} {{", *(f"  {name}: {_number(part, name, value)}" for name, value in values.items()), "}"]
    return "\n".join(lines) + "\n"


def _number(part: str, name: str, value: float) -> str:
    if FIELDS[part][name][1] is Wire.VARINT:
        return str(round(value))
    # A float of single precision, which nine digits give back.
    return f"{struct.unpack('<f', float_field(1, value)[1:])[0]:.9g}"


def _as_bytes(view: CellView, message: Message) -> bytes:
    parts = [bytes_field(NUMBERS["name"], view.cell.key)]
    for part, values in message.items():
        if values:
            parts.append(bytes_field(NUMBERS[part], b"".join(_field(part, name, v) for name, v in values.items())))
    return b"".join(parts)


def _field(part: str, name: str, value: float) -> bytes:
    number, wire = FIELDS[part][name]
    return varint_field(number, round(value)) if wire is Wire.VARINT else float_field(number, value)
