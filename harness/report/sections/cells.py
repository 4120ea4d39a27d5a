"""The table of all cells for the HTML report: text, sort value and footnotes of every figure.

The one decision: the template only places what stands here; every figure is worded once, in Python, where tests see it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.records import units
from harness.records.conditions import FigureGroup
from harness.records.measurement import CellStatus
from harness.report.sections.conditions import Footnote, marks
from harness.report.sections.ranking import Ranking
from harness.report.view import CellView, memory_growth

# Statuses of cells that have something to show in the table; the others are listed with their reasons.
SHOWN = (CellStatus.OK, CellStatus.BROKEN, CellStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place of the table: the figure, a smaller line under it, what to sort by, and its footnotes."""

    text: str
    under: str = ""
    sort: float | str = ""
    marks: tuple[Footnote, ...] = ()
    badge: str = ""
    kind: str = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTable:
    """Titles with their units and hints, and one row of entries a cell with the cell's status."""

    columns: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[CellStatus, tuple[Entry, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    title: str
    unit: str
    hint: str
    entry: Callable[[CellView], Entry]


def cell_table(views: tuple[CellView, ...], ranked: tuple[Ranking, ...], notes: tuple[Footnote, ...]) -> CellTable:
    """Return the table of those of ``views`` that ran; a model or device that is the same everywhere has no column."""
    shown = tuple(v for v in views if v.status in SHOWN)
    columns = [*_names(shown, ranked), *_times(shown, notes), *_sizes(shown, notes), *_quality(notes)]
    return CellTable(
        columns=tuple((c.title, c.unit, c.hint) for c in columns),
        rows=tuple((v.status, tuple(c.entry(v) for c in columns)) for v in shown),
    )


def _names(views: tuple[CellView, ...], ranked: tuple[Ranking, ...]) -> list[_Column]:
    best = {r.best.cell.key for r in ranked if r.best}
    front = {key for r in ranked if r.latency_ranked for key in r.front}

    def badge(view: CellView) -> str:
        if view.status is not CellStatus.OK:
            return view.status.value
        return "ship" if view.cell.key in best else "front" if view.cell.key in front else ""

    def word(value: Callable[[CellView], str]) -> Callable[[CellView], Entry]:
        return lambda v: Entry(text=value(v), sort=value(v), kind="word")

    columns = [
        _Column(title="model", unit="", hint="", entry=word(lambda v: v.cell.model)),
        _Column(title="device", unit="", hint="", entry=word(lambda v: v.cell.device)),
    ]
    columns = [c for c in columns if len({c.entry(v).text for v in views}) > 1]
    variant = _Column(
        title="variant",
        unit="",
        hint="what was done to the model; ship: the recommendation; front: nothing is both faster and better",
        entry=lambda v: Entry(text=v.cell.variant, sort=v.cell.variant, badge=badge(v), kind="name"),
    )
    format_ = _Column(
        title="format",
        unit="",
        hint="the file that the runtime loads",
        entry=lambda v: Entry(text=v.cell.format.value, sort=v.cell.format.value, kind="format"),
    )
    ran_on = _Column(title="ran on", unit="", hint="the delegate used, its share of the nodes, threads", entry=_ran_on)
    return (
        [*columns[:1], variant, format_, ran_on, *columns[1:]]
        if len(columns) > 1
        else [
            *columns,
            variant,
            format_,
            ran_on,
        ]
    )


def _ran_on(view: CellView) -> Entry:
    runtime = view.runtime
    used = runtime.delegate_used if runtime else view.cell.delegate.value
    threads = f"{view.cell.threads} thread{'s' if view.cell.threads > 1 else ''}"
    if runtime is None or runtime.nodes_total is None or runtime.nodes_delegated is None:
        return Entry(text=used, under=threads, sort=used, kind="word")
    nodes = f"{runtime.nodes_delegated} of {runtime.nodes_total} nodes, {threads}"
    return Entry(text=used, under=nodes, sort=used, kind="word")


def _times(views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> list[_Column]:
    call = units.time_unit(v.latency.median_ns for v in views if v.latency)
    load = units.time_unit(v.load.first_ns for v in views if v.load)

    def latency(view: CellView) -> Entry:
        found = view.latency
        under = _spread(view, call)
        return _figure(call, found.median_ns if found else None, under, marks(view, notes, FigureGroup.LATENCY))

    def p90(view: CellView) -> Entry:
        return _figure(call, view.latency.p90_ns if view.latency else None, "", marks(view, notes, FigureGroup.LATENCY))

    def first_load(view: CellView) -> Entry:
        return _figure(load, view.load.first_ns if view.load else None, "", marks(view, notes, FigureGroup.LOAD))

    return [
        _Column(
            title="latency", unit=call.name, hint="median of a call; its 95 % interval over launches", entry=latency
        ),
        _Column(
            title="p90", unit=call.name, hint="90 % of the calls took at most so long; from 64 calls on", entry=p90
        ),
        _Column(title="load", unit=load.name, hint="from the file to a model that can be called", entry=first_load),
    ]


def _spread(view: CellView, unit: units.Unit) -> str:
    latency = view.latency
    if latency is None:
        return ""
    if latency.low_ns is not None:
        return f"{unit.show(latency.low_ns)}–{unit.show(latency.high_ns)}"
    if latency.p90_ns is None:
        return f"{latency.calls} calls"
    return f"calls {unit.show(latency.p5_ns)}–{unit.show(latency.p90_ns)}"


def _sizes(views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> list[_Column]:
    growths = {v.cell.key: g for v in views if (g := memory_growth(v.memory))}
    memory = units.size_unit(g.steady_bytes for g in growths.values())
    file = units.size_unit(v.artifact.bytes for v in views if v.artifact)

    def peak(view: CellView) -> Entry:
        growth = growths.get(view.cell.key)
        under = f"{memory.show(growth.steady_bytes)} steady" if growth else ""
        return _figure(memory, growth.peak_bytes if growth else None, under, marks(view, notes, FigureGroup.MEMORY))

    def size(view: CellView) -> Entry:
        ratio = f"{units.ratio(view.size_ratio)} fp32" if view.size_ratio and view.size_ratio != 1 else ""
        return _figure(file, view.artifact.bytes if view.artifact else None, ratio, ())

    return [
        _Column(title="peak memory", unit=f"+{memory.name}", hint="over the runtime without a model", entry=peak),
        _Column(title="size", unit=file.name, hint="of the file; ratio to the fp32 file of this format", entry=size),
    ]


def _quality(notes: tuple[Footnote, ...]) -> list[_Column]:
    def accuracy(view: CellView) -> Entry:
        found = view.accuracy
        if found is None:
            return Entry(text=units.NONE, sort="")
        under = f"{found.correct}/{found.count}, {100 * found.low:.1f}–{100 * found.high:.1f}"
        touched = marks(view, notes, FigureGroup.ACCURACY)
        return Entry(text=f"{100 * found.value:.1f}", under=under, sort=found.value, marks=touched)

    def sqnr(view: CellView) -> Entry:
        value = view.sqnr_db
        worst = f"worst {units.decibels(view.fidelity.sqnr_worst_db)}" if view.fidelity else ""
        touched = marks(view, notes, FigureGroup.FIDELITY)
        return Entry(text=units.decibels(value), under=worst, sort="" if value is None else value, marks=touched)

    def agreement(view: CellView) -> Entry:
        value = view.agreement
        text = units.NONE if value is None else f"{100 * value:.1f}"
        touched = marks(view, notes, FigureGroup.FIDELITY)
        return Entry(text=text, sort="" if value is None else value, marks=touched)

    wilson = "from the device's own outputs; right of all, and the Wilson 95 % interval"
    return [
        _Column(title="accuracy", unit="%", hint=wilson, entry=accuracy),
        _Column(title="SQNR", unit="dB", hint="outputs against the float model's: median, worst 1 %", entry=sqnr),
        _Column(title="agreement", unit="%", hint="same top-1 answer as the float model", entry=agreement),
    ]


def _figure(unit: units.Unit, value: float | None, under: str, touched: tuple[Footnote, ...]) -> Entry:
    if value is None:
        return Entry(text=units.NONE)
    return Entry(text=unit.show(value), under=under, sort=value, marks=touched)
