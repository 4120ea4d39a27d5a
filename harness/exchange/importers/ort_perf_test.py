"""The CSV that ``onnxruntime_perf_test`` appends to: model, time, peak working set, CPU use and number of each call.

It has no header and no unit. Versions from 2019 on write seconds with a point, older ones whole nanoseconds.
"""

from __future__ import annotations

import re

from harness.exchange.content import Content
from harness.exchange.fields import SECOND, clean, count, whole
from harness.exchange.imported import ImportedCell, ImportedFile, peak_memory

_ROW = re.compile(r"(?P<model>[^\n]*),(?P<time>[0-9.eE+-]+),(?P<peak>\d+),(?P<cpu>-?\d+),(?P<run>\d+)")
_STATISTICS = re.compile(r"(?:Min|Max|P\d+) Latency(?: is|:) [0-9.e+-]+ ?s(?:ec)?")
_MEMORY = "the peak working set of the process, as onnxruntime_perf_test tells it: nothing is subtracted"


def recognises(content: Content) -> bool:
    """Say whether the first line is a row and every other line is one too, or a statistic."""
    lines = [line for line in content.head.splitlines()[:50] if line.strip()]
    # The last of so many may be cut off.
    rows = lines[:-1] if len(lines) > 1 else lines
    return bool(rows) and _ROW.fullmatch(rows[0]) is not None and all(map(_is_line, rows))


def read(content: Content) -> ImportedFile:
    """Return one cell per series of calls, which the numbers count from 0; several of a model become launches."""
    series: list[tuple[str, list[re.Match[str]]]] = []
    for match in filter(None, map(_ROW.fullmatch, content.text.splitlines())):
        model = match["model"]
        if not series or series[-1][0] != model or match["run"] == "0":
            series.append((model, []))
        series[-1][1].append(match)
    return ImportedFile(cells=tuple(_cell(content, model, rows) for model, rows in series))


def _is_line(line: str) -> bool:
    return bool(_ROW.fullmatch(line) or _STATISTICS.fullmatch(line.strip()))


def _cell(content: Content, model: str, rows: list[re.Match[str]]) -> ImportedCell:
    in_seconds = not all(row["time"].isdigit() for row in rows)
    times = [whole(row["time"], SECOND if in_seconds else 1) for row in rows]
    peaks = [size for row in rows if (size := count(row["peak"])) is not None]
    return ImportedCell(
        model=clean(model) or content.stem,
        format="onnx",
        program="onnxruntime_perf_test",
        runtime="onnxruntime",
        samples_ns=tuple(time for time in times if time is not None),
        memory=peak_memory(max(peaks, default=None), _MEMORY),
    )
