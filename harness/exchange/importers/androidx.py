"""The JSON of androidx.benchmark, micro and macro: one result per test and metric, with every run.

The time of a microbenchmark is ``timeNs``. Other metrics, such as frame times, are named after their unit.
"""

from __future__ import annotations

from typing import Any

from harness.exchange.content import Content
from harness.exchange.fields import (
    MS,
    US,
    at_least_zero,
    count,
    items,
    mapping,
    objects,
    scaled,
    settings,
    times_ns,
    word,
)
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures
from harness.records.conditions import Condition, ConditionId

# By the end of a metric's name; anything else, such as allocationCount, is no time.
_UNITS = (("Ns", 1), ("Us", US), ("Ms", MS))
# What the library puts before a name if it was told to measure all the same.
_PREFIXES = {
    "EMULATOR": ConditionId.EMULATOR,
    "DEBUGGABLE": ConditionId.DEBUGGABLE,
    "LOW-BATTERY": ConditionId.LOW_BATTERY,
}

_UNKNOWN = "unknown"

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the file has the device and tests with metrics."""
    tests = objects(content.object.get("benchmarks"))
    return "build" in mapping(content.object.get("context")) and bool(tests) and all("className" in t for t in tests)


def read(content: Content) -> ImportedFile:
    """Return one cell per test and metric of time."""
    context = mapping(content.object["context"])
    cells, left_out = [], set()
    for test in objects(content.object["benchmarks"]):
        for name, metric in {**mapping(test.get("metrics")), **mapping(test.get("sampledMetrics"))}.items():
            unit = next((unit for end, unit in _UNITS if name.endswith(end)), None)
            cell = _cell(context, test, (name, unit), mapping(metric)) if unit else None
            # Some metrics in milliseconds are differences, which may be negative.
            if cell is None or not cell.has_figures:
                left_out.add(name)
            else:
                cells.append(cell)
    notes = (f"metrics that are no times: {', '.join(sorted(map(word, left_out)))}",) if left_out else ()
    return ImportedFile(cells=tuple(cells), notes=notes)


def _cell(context: Entry, test: Entry, metric: tuple[str, int], figures: Entry) -> ImportedCell:
    (name, unit), build = metric, mapping(context.get("build"))
    samples = times_ns(_runs(figures), unit)
    middle = scaled(figures.get("median"), unit) or scaled(figures.get("P50"), unit)
    latency = None
    if middle is not None and not samples:
        latency = LatencyFigures(
            median_ns=middle,
            min_ns=scaled(figures.get("minimum"), unit),
            max_ns=scaled(figures.get("maximum"), unit),
            variation=at_least_zero(figures.get("coefficientOfVariation"), 1),
            p90_ns=scaled(figures.get("P90"), unit),
            p95_ns=scaled(figures.get("P95"), unit),
            p99_ns=scaled(figures.get("P99"), unit),
        )
    return ImportedCell(
        model=f"{word(test.get('className')).rpartition('.')[2]}.{word(test.get('name'))}".strip("."),
        variant="" if name == "timeNs" else word(name),
        device=_device(context, build),
        program="androidx.benchmark",
        settings=settings(
            {
                "cpuLocked": context.get("cpuLocked"),
                "sustainedPerformanceModeEnabled": context.get("sustainedPerformanceModeEnabled"),
                "compilationMode": _known(context.get("compilationMode")),
                "calls per run": test.get("repeatIterations"),
            }
        ),
        samples_ns=samples,
        latency=latency,
        conditions=_conditions(test),
    )


def _runs(figures: Entry) -> list[Any]:
    """The runs; a sampled metric has a list for each."""
    runs = items(figures.get("runs"))
    return [value for run in runs for value in (run if isinstance(run, list) else [run])]


def _device(context: Entry, build: Entry) -> ImportedDevice:
    sdk, fingerprint = count(mapping(build.get("version")).get("sdk")), _known(build.get("fingerprint"))
    brand, model = _known(build.get("brand")), _known(build.get("model"))
    return ImportedDevice(
        model=f"{brand} {model}".strip(),
        os=f"Android (API {sdk})" if sdk else "",
        cores=count(context.get("cpuCoreCount")),
        memory_bytes=count(context.get("memTotalBytes")),
        details=(("build", fingerprint),) if fingerprint else (),
    )


def _known(value: object) -> str:
    """The text, without the word that Android writes where it does not know."""
    return "" if word(value) == _UNKNOWN else word(value)


def _conditions(test: Entry) -> tuple[Condition, ...]:
    conditions = []
    if count(test.get("thermalThrottleSleepSeconds")):
        words = "the library saw the phone slow down, and measured again when it was cool"
        conditions.append(Condition(id=ConditionId.THERMAL, summary=words))
    marks = word(test.get("name")).split("_")
    conditions += [
        Condition(id=id_, summary="the library measured all the same, as it was told to")
        for prefix, id_ in _PREFIXES.items()
        if prefix in marks
    ]
    return tuple(conditions)
