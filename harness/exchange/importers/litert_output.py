"""The text that LiteRT's ``benchmark_model`` prints. Times are microseconds, and memory is in MB of 1024²."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from harness.devices.android.shell.tools.benchmark_model import MEMORY_GROWTH
from harness.devices.android.shell.tools.operator_table import operator_table
from harness.exchange.content import Content
from harness.exchange.definitions import mean_of_calls
from harness.exchange.fields import MIB, US, clean, count, number, scaled, settings, whole
from harness.exchange.imported import ImportedCell, ImportedFile, LatencyFigures, peak_memory
from harness.records.operators import Operator, OperatorProfile
from harness.records.origin import StatedFigure
from harness.wire import Delegate, MemoryReading

# Not the line after a table of operators, which sums up the profiler's own times.
_STATISTICS = re.compile(r"(?<!microseconds\): )count=(\d+)((?: \(all same\))?(?: \w+=[-0-9.e+]+)+)")
_TIMINGS = re.compile(r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+)")
# Of 2019 and before.
_OLD_TIMINGS = re.compile(r"Average inference timings in us: Warmup: [0-9.e+-]+, Init: ([0-9.e+]+)()")
_ALL_TIMINGS = re.compile(f"{_TIMINGS.pattern}|{_OLD_TIMINGS.pattern}")
# What the program prints first, by version, or if only the end of its output was kept.
_FIRST_LINE = re.compile(
    r"^.*\b(?:STARTING!|Log parameter values|Min num runs: |Num threads: |Num runs: |Graph: |Loaded model )"
    r"|^(?!.*microseconds).*\bcount=",
    re.MULTILINE,
)
_LOADED = re.compile(r"Loaded model (\S+)")
# The words before 2022 were others for the same: a growth, which may be 0.
_FOOTPRINT = re.compile(
    r"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    r"init=([0-9.e+]+) overall=([0-9.e+]+)"
)
_PARAMETER = re.compile(
    r"^(?:[^\n\[\]]*: )?(?P<name>Num threads|Graph|Min num runs|Min warmup runs): \[(?P<value>[^\]]*)\]", re.M
)
_SIZE = re.compile(r"The input model file size \(MB\): ([0-9.e+]+)")
_DELEGATE = re.compile(r"(?:Explicitly applied|Though) (\S+) delegate")
_NODES = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\)[^\n]*?yielding (\d+) partitions")


def recognises(content: Content) -> bool:
    """Say whether the text has the statistics line and the timings line of the program."""
    return bool(_timings(content.text) and _STATISTICS.search(content.text))


def read(content: Content) -> ImportedFile:
    """Return a cell per run of the program: its output may have been appended to one file."""
    return ImportedFile(cells=tuple(_cell(content, text) for text in _runs(content.text)))


def _runs(text: str) -> list[str]:
    """The text cut before the first line of each run. A copy of an output may lack the lines before its statistics."""
    ends = [match.end() for match in _ALL_TIMINGS.finditer(text)][:-1]
    starts = [match.start() if (match := _FIRST_LINE.search(text, end)) else end for end in ends]
    return [text[start:end] for start, end in zip([0, *starts], [*starts, len(text)], strict=True)]


def _cell(content: Content, text: str) -> ImportedCell:
    timings = _timings(text)
    blocks = _STATISTICS.findall(text)
    said = {match["name"]: clean(match["value"]) for match in _PARAMETER.finditer(text)}
    loaded = _LOADED.search(text)
    graph = said.get("Graph") or (clean(loaded[1]) if loaded else "")
    nodes = list(_NODES.finditer(text))
    delegate = _DELEGATE.search(text)
    size = _SIZE.search(text)
    # The first block is the warm-up where there are two, and the last one the measurement.
    latency, stated = figures(*blocks[-1]) if blocks else (None, ())
    used = clean(delegate[1]) if delegate else (nodes[-1][3] if nodes else "")
    return ImportedCell(
        model=PurePosixPath(graph).stem or content.stem,
        format="tflite",
        delegate=used,
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
        operators=_operators(text, used, count(blocks[-1][0]) if blocks else None),
    )


def _operators(text: str, delegate: str, calls: int | None) -> OperatorProfile | None:
    """The table that ``--enable_op_profiling=true`` adds, whose times are means over the calls."""
    table = operator_table(text, Delegate.CPU)
    if not table:
        return None
    operators = tuple(
        Operator(
            name=row.name,
            kind=row.kind,
            calls=calls or 1,
            total_ns=(row.mean_ns or 0) * (calls or 1),
            ran_on="" if delegate else row.ran_on or "",
        )
        for row in table
    )
    return OperatorProfile(source="benchmark_model", operators=operators, calls=calls or 1)


def _timings(text: str) -> re.Match[str] | None:
    return _TIMINGS.search(text) or _OLD_TIMINGS.search(text)


def figures(calls: str, rest: str) -> tuple[LatencyFigures | None, tuple[StatedFigure, ...]]:
    """Return the latency, or of an old program, which prints no median, its mean as a stated figure.

    If all calls took equally long, the program prints only ``curr``, which then stands for every statistic.
    """
    values = dict(re.findall(r"(\w+)=([-0-9.e+]+)", rest))
    if "min" not in values and "curr" in values:
        values |= dict.fromkeys(("min", "max", "median", "avg", "p5", "p95"), values["curr"])
    mean = scaled(values.get("avg"), US)
    median = scaled(values.get("median"), US)
    if median is None:
        keys = {"mean": "avg", "least": "min", "most": "max", "deviation": "std"}
        return None, mean_of_calls(values, US, **keys, calls=calls)
    deviation = number(values.get("std"))
    latency = LatencyFigures(
        median_ns=median,
        mean_ns=mean,
        min_ns=scaled(values.get("min"), US),
        max_ns=scaled(values.get("max"), US),
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
