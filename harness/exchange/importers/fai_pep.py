"""FAI-PEP: lines that a program prints (``PyTorchObserver {…}``), and the result files that are made of them.

A result is keyed ``<type> <metric>``. Type ``NET`` is the whole network, any other an operator. The unit stands beside.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from harness.exchange.content import Content
from harness.exchange.definitions import mean_of_calls
from harness.exchange.fields import (
    KIB,
    MB,
    MS,
    SECOND,
    US,
    above_zero,
    count,
    items,
    mapping,
    number,
    scaled,
    settings,
    times_ns,
    whole,
    word,
)  # fmt: skip
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures, agreed, peak_memory
from harness.records.operators import Operator, OperatorProfile
from harness.records.origin import StatedFigure
from harness.wire import MemoryReading

_LINE = re.compile(r"(?:PyTorchObserver|Caffe2Observer)\s+(\{.*\})")
_TIMES = {"ns": 1, "us": US, "ms": MS, "s": SECOND}
_SIZES = {"b": 1, "bytes": 1, "kb": KIB, "kib": KIB, "mb": MB}
_NET = "NET"
# The year 3000: a larger number counts something else than seconds.
_LAST_SECOND = 32_503_680_000

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the text has lines of an observer, or the objects are results."""
    return bool(_printed(content.text)) or any(_entries(record) for record in content.records)


def read(content: Content) -> ImportedFile:
    """Return one cell per result file or, of printed lines, the one cell that they describe."""
    printed = _printed(content.text)
    if printed:
        return ImportedFile(cells=(_cell(content, {}, printed),))
    results = [(mapping(record.get("meta")), _entries(record)) for record in content.records]
    cells = tuple(_cell(content, meta, entries) for meta, entries in results if entries)
    return ImportedFile(cells=cells, commit=agreed(word(meta.get("commit")) for meta, entries in results if entries))


def _entries(record: Entry) -> list[Entry]:
    data = mapping(record.get("data")) if "data" in record else record
    listed = [mapping(value) for value in data.values()]
    return [e for e in listed if "metric" in e and "type" in e and ("values" in e or "summary" in e or "value" in e)]


def _printed(text: str) -> list[Entry]:
    """Join the lines of one metric, each of which has one value or some."""
    joined: dict[tuple[str, str], Entry] = {}
    for match in _LINE.finditer(text):
        try:
            line = mapping(json.loads(match[1], parse_constant=lambda _: None))
        except (ValueError, RecursionError):
            continue
        if "metric" not in line or "type" not in line:
            continue
        key = word(line.get("type")), word(line.get("metric"))
        entry = joined.setdefault(key, {**line, "values": []})
        entry["values"] += items(line.get("values")) or ([line["value"]] if "value" in line else [])
    return list(joined.values())


def _cell(content: Content, meta: Entry, entries: list[Entry]) -> ImportedCell:
    net = {word(e.get("metric")): e for e in entries if word(e.get("type")).upper() == _NET}
    latency = net.get("latency", {})
    samples = _samples(latency)
    figures, stated = (None, ()) if samples else _summary(latency)
    load = net.get("load_time") or net.get("init_time") or {}
    values = items(load.get("values")) or [mapping(load.get("summary")).get("p50")]
    return ImportedCell(
        model=word(meta.get("net_name")) or word(meta.get("identifier")) or content.stem,
        delegate=word(meta.get("backend")),
        device=ImportedDevice(model=word(meta.get("platform")), details=_details(meta)),
        program=f"FAI-PEP {word(meta.get('framework'))}".strip(),
        runtime=word(meta.get("framework")),
        settings=settings({"group": meta.get("group"), "run type": meta.get("run_type")}),
        started_at=_moment(meta.get("time")),
        samples_ns=samples,
        latency=figures,
        stated=stated,
        load_ns=whole(values[0], _TIMES.get(word(load.get("unit")).lower(), 0)) if load else None,
        memory=_memory(net),
        operators=_operators(entries),
    )


def _moment(value: object) -> str:
    """The start, which is in seconds since 1970, or as it is written."""
    seconds = above_zero(value)
    if seconds is None or seconds >= _LAST_SECOND:
        return word(value) if isinstance(value, str) else ""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _samples(entry: Entry) -> tuple[int, ...]:
    unit = _TIMES.get(word(entry.get("unit")).lower())
    return times_ns(entry.get("values"), unit) if unit else ()


def _summary(entry: Entry) -> tuple[LatencyFigures | None, tuple[StatedFigure, ...]]:
    summary, unit = mapping(entry.get("summary")), _TIMES.get(word(entry.get("unit")).lower(), 0)
    middle, mean = scaled(summary.get("p50"), unit), scaled(summary.get("mean"), unit)
    if middle is None:
        keys = {"mean": "mean", "least": "p0", "most": "p100", "deviation": "stdev"}
        return None, mean_of_calls(summary, unit, **keys, calls=entry.get("num_runs"))
    return LatencyFigures(
        median_ns=middle,
        mean_ns=mean,
        min_ns=scaled(summary.get("p0"), unit),
        max_ns=scaled(summary.get("p100"), unit),
        p90_ns=scaled(summary.get("p90"), unit),
        variation=number(summary.get("cv")),
        calls=count(entry.get("num_runs")),
    ), ()


def _memory(net: dict[str, Entry]) -> MemoryReading | None:
    name = next((name for name in ("peak_memory", "memory") if name in net), None)
    if name is None:
        return None
    unit = _SIZES.get(word(net[name].get("unit")).lower(), 0)
    values = items(net[name].get("values")) or [mapping(net[name].get("summary")).get("p100")]
    sizes = [size for value in values if (size := whole(value, unit)) is not None]
    definition = f"the highest {name} as FAI-PEP tells it: nothing is subtracted"
    return peak_memory(max(sizes, default=0) or None, definition)


def _operators(entries: list[Entry]) -> OperatorProfile | None:
    operators = []
    for entry in entries:
        if word(entry.get("type")).upper() == _NET or word(entry.get("metric")) != "latency":
            continue
        samples = _samples(entry)
        if samples:
            name = word(entry.get("type"))
            operators.append(Operator(name=name, kind=name, calls=len(samples), total_ns=sum(samples)))
    return OperatorProfile(source="FAI-PEP", operators=tuple(operators)) if operators else None


def _details(meta: Entry) -> tuple[tuple[str, str], ...]:
    serial = word(meta.get("platform_hash"))
    return (("serial", serial),) if serial else ()
