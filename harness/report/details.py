"""What is behind the figures of one cell, in blocks of plain values that the page lays out.

The words are made here, where tests see them; the page's script only places them. Cells that share a block, such as
the recipe of a variant, share one copy of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from harness.records import units
from harness.records.device import Readiness
from harness.records.measurement import GateFacts, LaunchSummary
from harness.records.operators import OperatorProfile
from harness.report.commands import cell_command
from harness.report.evidence import Evidence, LaunchEvidence, Times
from harness.report.footnotes import CONDITIONS
from harness.report.remedies import REMEDIES
from harness.report.step_words import count, step_words
from harness.report.type_words import type_words
from harness.report.view import CellView
from harness.store.records import RunHead

# Points of the calls of one cell that are drawn; a page of 3,000 cells must not hold every call.
POINTS, LEAST_POINTS = 240, 24
# Launches and characters of a log that a page holds per cell.
MOST_LAUNCHES, MOST_LOG = 30, 4000
# Operators in the list of the slowest.
MOST_OPERATORS = 12


class BlockKind(StrEnum):
    """How the page lays out a block."""

    FACTS = "facts"
    TABLE = "table"
    LIST = "list"
    CODE = "code"
    CALLS = "calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailBlock:
    """One block: its heading and its content, whose shape depends on ``kind``.

    ``facts``: pairs of name and value. ``table``: rows of equal length, the first one holding the titles. ``list`` and
    ``code``: texts. ``calls``: one row per launch, the times of its calls in ns, thinned; the first value of a row is
    how many of them warmed up.
    """

    kind: BlockKind
    title: str
    content: tuple[Any, ...]
    note: str = ""


def details_json(views: Sequence[CellView], head: RunHead, evidence: Evidence) -> dict[str, Any]:
    """Return the blocks of all ``views`` as plain values: ``blocks`` has each once, ``cells`` their numbers by view.

    Texts repeat from cell to cell, so they stand once in ``words`` and as their number everywhere else.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    words: dict[str, int] = {}

    def coded(value: Any) -> Any:
        if isinstance(value, str):
            return words.setdefault(value, len(words))
        return [coded(part) for part in value]

    points = max(LEAST_POINTS, min(POINTS, 60_000 // max(1, len(views))))
    cells = []
    for view in views:
        own = []
        for block in detail_blocks(view, head, evidence, points=points):
            key = (block.kind, block.title, block.content, block.note)
            own.append(numbers.setdefault(key, len(numbers)))
        cells.append(own)
    blocks = [
        # The times of calls are numbers already.
        [kind.value, coded(title), content if kind is BlockKind.CALLS else coded(content), coded(note)]
        for kind, title, content, note in numbers
    ]
    return {"blocks": blocks, "cells": cells, "words": list(words)}


def detail_blocks(view: CellView, head: RunHead, evidence: Evidence, *, points: int = POINTS) -> Iterator[DetailBlock]:
    """Yield what is behind the figures of ``view``; ``points`` limits how many calls are drawn."""
    measurement = view.measurement
    if view.reason:
        yield DetailBlock(kind=BlockKind.LIST, title="Why there is no result", content=(view.reason,))
    launches = evidence(measurement) if measurement else ()
    yield from _conditions(view)
    if measurement and measurement.launches:
        yield _launches(measurement.launches)
        drawn = [launch for launch in launches if launch.steady_ns.size][:MOST_LAUNCHES]
        if drawn:
            yield _calls(drawn, points)
    yield from _operators(measurement.operators if measurement else None)
    yield from _recipe(view, head)
    yield from _file(view)
    yield _versions(view, head)
    yield from _log(view, launches)
    # What another program measured cannot be repeated from here.
    if measurement is None or measurement.origin is None:
        command = cell_command(view.cell, head.spec)
        yield DetailBlock(kind=BlockKind.CODE, title="Repeat this cell", content=(command,))


def _conditions(view: CellView) -> Iterator[DetailBlock]:
    rows = [
        (
            c.id.value,
            c.summary + (f" ({c.detail})" if c.detail else ""),
            CONDITIONS[c.id].meaning,
            REMEDIES.get(c.id, ""),
        )
        for c in view.conditions
    ]
    if rows:
        titles = ("condition", "what was seen", "what it means", "what to do")
        yield DetailBlock(kind=BlockKind.TABLE, title="Conditions", content=(titles, *rows))


def _launches(launches: Sequence[LaunchSummary]) -> DetailBlock:
    unit = units.time_unit(launch.median_ns for launch in launches)
    titles = ("launch", f"median, {unit.name}", "calls", "call 0", "load", "gate", "before", "after", "outcome")
    rows = [
        (
            str(launch.index + 1) + (f" (retry {launch.retry})" if launch.retry else ""),
            unit.show(launch.median_ns),
            units.NONE if launch.calls is None else str(launch.calls),
            units.time(launch.first_ns),
            units.time(launch.load_ns),
            _gate(launch.gate),
            _state(launch.gate.before if launch.gate else None),
            _state(launch.gate.after if launch.gate else None),
            f"left out: {'; '.join(launch.tainted)}" if launch.tainted else f"counts; {launch.steady_state}",
        )
        for launch in launches[:MOST_LAUNCHES]
    ]
    more = len(launches) - len(rows)
    sentences = [f"{more} more launches are in measurements.jsonl."] if more else []
    # A launch whose calls are not known has no reply.
    stored = [launch.reply_sha256 for launch in launches if launch.reply_sha256]
    if stored:
        sentences.append(f"Replies: replies/{stored[0][:12]}….json.gz{' and others' if len(stored) > 1 else ''}.")
    return DetailBlock(kind=BlockKind.TABLE, title="Launches", content=(titles, *rows), note=" ".join(sentences))


def _gate(gate: GateFacts | None) -> str:
    if gate is None:
        return units.NONE
    words = f"{gate.outcome.value} after {gate.waited_s:.0f} s"
    return f"{words}: {', '.join(gate.reasons)}" if gate.reasons else words


def _state(state: Readiness | None) -> str:
    """The state of the device in a few words; nothing of what it does not report."""
    if state is None:
        return units.NONE
    words = [
        f"thermal {state.thermal_status}" if state.thermal_status else "",
        f"{state.hottest_c:.1f} °C" if state.hottest_c is not None else "",
        f"battery {state.battery_percent:.0f} %" if state.battery_percent is not None else "",
        f"{state.battery_c:.1f} °C battery" if state.battery_c is not None else "",
        "charging" if state.charging else "",
        f"{state.governor} governor" if state.governor else "",
        f"probe {units.time(state.probe_ns)}" if state.probe_ns is not None else "",
        f"{units.percent(state.busy, 0)} busy" if state.busy is not None else "",
    ]
    return ", ".join(word for word in words if word) or units.NONE


def _calls(launches: Sequence[LaunchEvidence], points: int) -> DetailBlock:
    each = max(8, points // len(launches))
    rows = tuple(_thinned(launch, each) for launch in launches)
    total = sum(launch.steady_ns.size + launch.warmup_ns.size for launch in launches)
    shown = sum(len(row) - 1 for row in rows)
    note = "" if shown >= total else f"{shown} of {total} calls are drawn: the slowest of each stretch."
    return DetailBlock(kind=BlockKind.CALLS, title="Calls over time", content=rows, note=note)


def _thinned(launch: LaunchEvidence, points: int) -> tuple[int, ...]:
    """The number of warm-up calls drawn, then the calls. Of each stretch the slowest stands: outliers must show."""
    warm = _peaks(launch.warmup_ns, max(4, points // 6))
    return (len(warm), *warm, *_peaks(launch.steady_ns, points))


def _peaks(times: Times, points: int) -> list[int]:
    if times.size <= points:
        return [int(ns) for ns in times]
    return [int(part.max()) for part in np.array_split(times, points)]


def _operators(profile: OperatorProfile | None) -> Iterator[DetailBlock]:
    """The slowest operators of the profile, and their share of the whole."""
    if profile is None or not profile.by_time:
        return
    calls = profile.calls or 1
    rows = [
        (o.name, o.kind, units.time((o.total_ns or 0) / calls), units.percent(profile.share(o)), o.ran_on, o.reason)
        for o in profile.by_time[:MOST_OPERATORS]
    ]
    more = len(profile.by_time) - len(rows)
    yield DetailBlock(
        kind=BlockKind.TABLE,
        title="Slowest operators",
        content=(("operator", "type", "time", "share", "ran on", "why not on the delegate"), *rows),
        note=f"From a launch of its own, by {profile.source}.{f' {more} more operators.' if more else ''}",
    )


def _recipe(view: CellView, head: RunHead) -> Iterator[DetailBlock]:
    artifact, recipe = view.artifact, head.spec.recipes().get(view.cell.variant)
    lines = [step_words(step) for step in artifact.steps] if artifact else []
    if artifact is not None:
        lines += [f"{step.step}: {note}" for step in artifact.steps for note in step.notes]
    if recipe is not None:
        lines.append(f"precision: {recipe.precision.value}")
    if artifact is not None and artifact.kept_float:
        lines.append(f"left in float: {', '.join(artifact.kept_float)}")
    if artifact is not None and artifact.calibration:
        lines.append(f"calibrated on: {artifact.calibration}")
    if lines:
        yield DetailBlock(kind=BlockKind.LIST, title=f"Recipe of {view.cell.variant}", content=tuple(lines))


def _file(view: CellView) -> Iterator[DetailBlock]:
    artifact = view.artifact
    if artifact is None:
        return
    yield _facts(
        "File",
        ("SHA-256", artifact.sha256),
        ("size", f"{artifact.bytes:,} bytes".replace(",", units.THIN_SPACE)),
        ("deflated", units.size(artifact.compressed_bytes) if artifact.compressed_bytes else ""),
        ("types", type_words(artifact.types)),
        ("parameters", count(artifact.parameters) if artifact.parameters else ""),
        ("MACs per call", count(artifact.macs) if artifact.macs else ""),
        ("SQNR after export", f"{units.decibels(artifact.sqnr_db)} dB" if artifact.sqnr_db is not None else ""),
        ("other files", ", ".join(artifact.companions)),
    )


def _versions(view: CellView, head: RunHead) -> DetailBlock:
    runtime, runner, measurement = view.runtime, view.runner, view.measurement
    delegate = ""
    if runtime is not None:
        delegate = f"{runtime.delegate_used}, {view.cell.delegate.value} requested"
        if runtime.nodes_total is not None and runtime.nodes_delegated is not None:
            delegate += f", {runtime.nodes_delegated} of {runtime.nodes_total} nodes"
        if runtime.partitions is not None:
            delegate += f" in {runtime.partitions} partition{'s' if runtime.partitions != 1 else ''}"
    return _facts(
        "Where and with what",
        ("cell", view.cell.key),
        ("runtime", f"{runtime.name} {runtime.version}" if runtime else ""),
        ("delegate", delegate),
        ("runner", f"{runner.kind} {runner.version}{', debug build' if runner.debuggable else ''}" if runner else ""),
        ("measured", f"{units.stamp(measurement.started_at)} to {measurement.ended_at[11:16]}" if measurement else ""),
        ("phonebench", head.versions.get("phonebench", "")),
    )


def _log(view: CellView, launches: Iterable[LaunchEvidence]) -> Iterator[DetailBlock]:
    failure = view.measurement.failure if view.measurement else None
    logs = [failure.detail] if failure and failure.detail else []
    logs += [launch.log for launch in launches if launch.log]
    text = "\n".join(dict.fromkeys(logs))
    if not text:
        return
    # The end of a log says why the program stopped.
    cut = len(text) > MOST_LOG
    note = f"The last {MOST_LOG:,} of {len(text):,} characters; the replies have all." if cut else ""
    yield DetailBlock(kind=BlockKind.CODE, title="Log", content=(text[-MOST_LOG:],), note=note)


def _facts(title: str, *pairs: tuple[str, str]) -> DetailBlock:
    return DetailBlock(kind=BlockKind.FACTS, title=title, content=tuple(pair for pair in pairs if pair[1]))
