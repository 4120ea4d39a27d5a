"""react-native-executorch's benchmark app: a report of several cases, schema versions 1 to 3. Times are milliseconds.

The raw calls of a ``.pte`` and the whole pipeline around it are timed apart. They are different things, so each is a
cell of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import UsageError
from harness.exchange.content import Content
from harness.exchange.fields import MB, MS, count, mapping, number, objects, scaled, settings, whole, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures, peak_memory
from harness.records.conditions import Condition, ConditionId
from harness.wire import MemoryReading

NEWEST = 3
# Of Android; iOS reports the physical footprint. The report does not say which, but its platform does.
_MEMORY = {
    "android": "proportional set size of the app in a pass apart from the timing, as react-native-executorch tells it",
    "ios": "physical footprint of the app in a pass apart from the timing, as react-native-executorch tells it",
}

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the file is a report of the app, or has the lines that its collector writes as they come."""
    rows = content.lines or ((content.object,) if content.object else ())
    return {"schemaVersion", "cases", "platform", "device"} <= content.object.keys() or _are_cases(rows)


def read(content: Content) -> ImportedFile:
    """Return a cell per case and method, and one per pipeline; repeats become launches."""
    rows = content.lines or (content.object,)
    if _are_cases(rows):
        # The lines say nothing about the device; the report at the end of the run does.
        return ImportedFile(cells=tuple(cell for case in rows for cell in _cells({}, case)))
    report = content.object
    version = number(report.get("schemaVersion"))
    if version is None or version > NEWEST:
        msg = (
            f"{content.name!r} has schema version {word(report.get('schemaVersion'))!r} of the app's reports, and "
            f"this phonebench reads versions up to {NEWEST}: use a newer phonebench"
        )
        raise UsageError(msg)
    cells = [cell for case in objects(report["cases"]) for cell in _cells(report, case)]
    skipped = [_skipped(report, entry) for entry in objects(report.get("skipped"))]
    return ImportedFile(cells=(*cells, *skipped))


def _are_cases(rows: Sequence[Entry]) -> bool:
    return bool(rows) and all({"id", "task", "status", "progress"} <= row.keys() for row in rows)


def _cells(report: Entry, case: Entry) -> Iterator[ImportedCell]:
    status = word(case.get("status"))
    if status != "ok":
        words = word(case.get("error")) or f"the app says: {status}"
        yield _cell(report, case, "", failure=words, skipped=status == "skipped")
        return
    native, memory = mapping(case.get("native")), _memory(report, case)
    methods = objects(native.get("methods"))
    for method in methods:
        name, stats = word(method.get("method")), mapping(method.get("stats"))
        words = "" if word(method.get("status")) == "ok" else word(method.get("reason")) or "the app gives no reason"
        yield _cell(
            report,
            case,
            f"method {name}",
            latency=_figures(stats),
            load_ns=whole(native.get("loadMs"), MS),
            # The app reads memory once per case, while the whole pipeline runs.
            memory=memory if len(methods) == 1 else None,
            failure=words,
            skipped=word(method.get("status")) == "skipped",
        )
    if case.get("pipeline"):
        loaded = whole(case.get("taskLoadMs"), MS)
        yield _cell(report, case, "pipeline", latency=_figures(mapping(case["pipeline"])), load_ns=loaded)


def _cell(report: Entry, case: Entry, part: str, **facts: Any) -> ImportedCell:
    backend, precision = word(case.get("backend")), word(case.get("precision"))
    asked = mapping(report.get("settings"))
    return ImportedCell(
        model=word(case.get("model")) or word(case.get("id")) or "unknown",
        variant=" ".join(filter(None, (precision, part))),
        format="pte",
        delegate=backend,
        device=_device(report),
        program="react-native-executorch",
        program_version=word(report.get("label")),
        runtime="executorch",
        settings=settings(
            {
                "case": case.get("id"),
                "timed in": case.get("mode"),
                "iterations": asked.get("iterations"),
                "warm-up calls": asked.get("warmup"),
                "inputs": report.get("inputSpecVersion"),
                "clocks pinned": report.get("clocksPinned"),
            }
        ),
        started_at=word(report.get("startedAt")),
        file_bytes=count(case.get("bytes")),
        conditions=_conditions(report, case),
        **facts,
    )


def _skipped(report: Entry, entry: Entry) -> ImportedCell:
    return _cell(report, {"id": entry.get("id")}, "", failure=word(entry.get("reason")) or "left out", skipped=True)


def _figures(stats: Entry) -> LatencyFigures | None:
    middle, mean, deviation = scaled(stats.get("median"), MS), scaled(stats.get("mean"), MS), number(stats.get("stdev"))
    if middle is None:
        return None
    return LatencyFigures(
        median_ns=middle,
        mean_ns=mean,
        min_ns=scaled(stats.get("min"), MS),
        max_ns=scaled(stats.get("max"), MS),
        p90_ns=scaled(stats.get("p90"), MS),
        variation=deviation * MS / mean if deviation is not None and mean else None,
        calls=count(stats.get("count")),
    )


def _memory(report: Entry, case: Entry) -> MemoryReading | None:
    told = mapping(case.get("memory"))
    words = _MEMORY.get(word(report.get("platform")).lower())
    base, loaded, peak, left = (whole(told.get(k), MB) for k in ("baselineMb", "loadedMb", "peakMb", "disposedMb"))
    if words is None or base is None:
        return None
    return peak_memory(peak, words, baseline_bytes=base, loaded_bytes=loaded, retained_bytes=left)


def _device(report: Entry) -> ImportedDevice:
    told, platform = mapping(report.get("device")), word(report.get("platform"))
    version = word(told.get("osVersion"))
    return ImportedDevice(
        model=word(told.get("model")),
        os=f"{platform} {version}".strip() if version else "",
        cpu=word(told.get("soc")),
        cores=count(told.get("cpuCores")),
        memory_bytes=count(told.get("totalMemoryBytes")),
    )


def _conditions(report: Entry, case: Entry) -> tuple[Condition, ...]:
    conditions = []
    if mapping(report.get("device")).get("isEmulator") is True:
        conditions.append(Condition(id=ConditionId.EMULATOR, summary="the file says that it ran on an emulator"))
    if mapping(case.get("gate")).get("timedOut") is True:
        words = "the file says that the phone did not cool down in time"
        conditions.append(Condition(id=ConditionId.GATE_TIMEOUT, summary=words))
    return tuple(conditions)
