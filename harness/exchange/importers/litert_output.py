"""The text that LiteRT's ``benchmark_model`` prints. Times are microseconds, and memory is in MB of 1024²."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from harness.devices.android.shell.tools.benchmark_model import MEMORY_GROWTH
from harness.exchange.content import Content
from harness.exchange.fields import MIB, US, clean, count, number, scaled, settings, whole
from harness.exchange.imported import ImportedCell, ImportedFile, LatencyFigures, peak_memory
from harness.records.origin import StatedFigure, StatedName
from harness.wire import MemoryReading

_STATISTICS = re.compile(r"count=(\d+)((?: \(all same\))?(?: \w+=[-0-9.e+]+)+)")
_TIMINGS = re.compile(r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+)")
# Of 2019 and before.
_OLD_TIMINGS = re.compile(r"Average inference timings in us: Warmup: [0-9.e+-]+, Init: ([0-9.e+]+)()")
_FOOTPRINT = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\): init=([0-9.e+]+) overall=([0-9.e+]+)"
)
_PARAMETER = re.compile(
    r"^(?:[A-Z]+: )?(?P<name>Num threads|Graph|Min num runs|Min warmup runs): \[(?P<value>[^\]]*)\]", re.M
)
_SIZE = re.compile(r"The input model file size \(MB\): ([0-9.e+]+)")
_DELEGATE = re.compile(r"(?:Explicitly applied|Though) (\S+) delegate")
_NODES = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\)[^\n]*?yielding (\d+) partitions")


def recognises(content: Content) -> bool:
    """Say whether the text has the statistics line and the timings line of the program."""
    return bool(_timings(content.text) and _STATISTICS.search(content.text))


def read(content: Content) -> ImportedFile:
    """Return the one cell of the output."""
    text = content.text
    timings = _timings(text)
    blocks = _STATISTICS.findall(text)
    said = {match["name"]: clean(match["value"]) for match in _PARAMETER.finditer(text)}
    graph = said.get("Graph", "")
    nodes = list(_NODES.finditer(text))
    delegate = _DELEGATE.search(text)
    size = _SIZE.search(text)
    # The first block is the warm-up where there are two, and the last one the measurement.
    latency, stated = figures(*blocks[-1]) if blocks else (None, ())
    cell = ImportedCell(
        model=PurePosixPath(graph).stem or content.stem,
        format="tflite",
        delegate=clean(delegate[1]) if delegate else (nodes[-1][3] if nodes else ""),
        threads=_threads(said.get("Num threads", "")),
        program="benchmark_model",
        runtime="litert",
        settings=settings({"runs at least": said.get("Min num runs"), "warm-up at least": said.get("Min warmup runs")}),
        latency=latency,
        stated=stated,
        load_ns=whole(timings[1], US) if timings else None,
        first_ns=whole(timings[2], US) if timings else None,
        memory=_memory(text),
        file_bytes=whole(size[1], 1_000_000) if size else None,
        nodes_total=int(nodes[-1][2]) if nodes else None,
        nodes_delegated=int(nodes[-1][1]) if nodes else None,
        partitions=int(nodes[-1][4]) if nodes else None,
    )
    return ImportedFile(cells=(cell,))


def _timings(text: str) -> re.Match[str] | None:
    return _TIMINGS.search(text) or _OLD_TIMINGS.search(text)


def figures(calls: str, rest: str) -> tuple[LatencyFigures | None, tuple[StatedFigure, ...]]:
    """Return the latency, or of an old program, which prints no median, its mean as a stated figure.

    If all calls took equally long, the program prints only ``curr``, which then stands for every statistic.
    """
    values = dict(re.findall(r"(\w+)=([-0-9.e+]+)", rest))
    if "min" not in values and "curr" in values:
        values |= dict.fromkeys(("min", "median", "avg", "p5", "p95"), values["curr"])
    mean = scaled(values.get("avg"), US)
    median = scaled(values.get("median"), US)
    if median is None:
        mean_figure = StatedFigure(name=StatedName.LATENCY, value=mean or 0.0, definition="mean of the calls")
        return None, (mean_figure,) if mean else ()
    deviation = number(values.get("std"))
    latency = LatencyFigures(
        median_ns=median,
        mean_ns=mean,
        min_ns=scaled(values.get("min"), US),
        p5_ns=scaled(values.get("p5"), US),
        p95_ns=scaled(values.get("p95"), US),
        variation=deviation * US / mean if deviation is not None and mean else None,
        calls=count(calls),
    )
    return latency, ()


def _threads(text: str) -> int | None:
    # -1 leaves the number to the runtime.
    return count(text)


def _memory(text: str) -> MemoryReading | None:
    footprint = _FOOTPRINT.search(text)
    if footprint is None:
        return None
    overall = whole(footprint[2], MIB)
    return peak_memory(overall, MEMORY_GROWTH, loaded_bytes=whole(footprint[1], MIB), steady_bytes=overall)
