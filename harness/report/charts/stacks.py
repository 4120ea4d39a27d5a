"""Stacked bars: what memory consists of, and how much of a network each delegate took. One row per cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import units
from harness.records.operators import OperatorProfile
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.charts.rows import ROW_INCHES, names_share, shown_name
from harness.report.view import CellView, full_labels
from harness.wire import MemoryMoment, MemorySplit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which stay apart with every common kind of colour blindness; the last is for "the rest".
COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#999999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a row: its name, its length on the axis, and what a reader who points at it sees."""

    name: str
    length: float
    words: str


_MEMORY: tuple[tuple[str, Callable[[MemorySplit], int | None]], ...] = (
    ("anonymous", lambda s: s.anonymous_bytes),
    ("mapped files", lambda s: s.file_bytes),
    ("shared", lambda s: s.shared_bytes),
    ("swapped", lambda s: s.swap_bytes),
)


def memory_parts(views: Sequence[CellView]) -> Figure | None:
    """Draw what the process holds between calls, by kind of memory; None if no runner reported it."""
    splits = {v.cell.key: split for v in views if v.memory and (split := v.memory.split_at(MemoryMoment.STEADY))}
    drawn = [v for v in views if v.cell.key in splits]
    unit = units.size_unit(read(splits[v.cell.key]) or None for v in drawn for _, read in _MEMORY[:2])
    rows = {
        name: [
            Part(name=kind, length=size / unit.size, words=f"{kind}: {unit.full(size)}")
            for kind, read in _MEMORY
            if (size := read(splits[view.cell.key])) is not None
        ]
        for view, name in _named(drawn)
    }
    return stacks(rows, label=f"the whole process between calls, {unit.name}")


def delegate_parts(views: Sequence[CellView], names: Mapping[str, str] | None = None) -> Figure | None:
    """Draw what ran the nodes of each cell: by time where operators were profiled, and by number; None without either.

    A profile is of its own calls, so its times are shown as shares. ``names`` by cell key, else those of `full_labels`.
    """
    rows: dict[str, list[Part]] = {}
    timed = False
    for view, name in _named(views, names):
        times = _by_delegate(view.measurement.operators if view.measurement else None)
        total = sum(times.values())
        if total:
            timed = True
            rows[f"{name}, time"] = [
                Part(name=on, length=100 * ns / total, words=f"{on}: {units.percent(ns / total)} of the time")
                for on, ns in times.items()
            ]
        parts = _by_nodes(view)
        if parts:
            rows[f"{name}, nodes" if total else name] = parts
    label = "share of the operators' time and of the nodes" if timed else "share of the nodes"
    return stacks(rows, label=f"{label}, %; n = {len(rows)} bar{'s' if len(rows) > 1 else ''}") if rows else None


def top_operators(profile: OperatorProfile | None, *, most: int = 12) -> Figure | None:
    """Draw the slowest operators of one cell; None without a profile that has times."""
    if profile is None or not profile.by_time:
        return None
    slowest, calls = profile.by_time[:most], profile.calls or 1
    unit, together = units.time_unit((o.total_ns or 0) / calls for o in slowest), 0.0
    rows = {}
    for rank, operator in enumerate(slowest, 1):
        share, time = profile.share(operator) or 0.0, (operator.total_ns or 0) / calls
        together += share
        shares = f"{units.percent(share)} of all, {units.percent(together)} with those above"
        on = operator.ran_on or "not reported what ran it"
        words = f"{operator.kind} {operator.name}: {unit.full(time)}, {shares}"
        # Operators of one type may have one name.
        rows[f"{rank}  {shown_name(f'{operator.kind} {operator.name}'.strip(), 46)}"] = [
            Part(name=on, length=time / unit.size, words=words)
        ]
    more = len(profile.by_time) - len(slowest)
    label = f"time in a profiled call, {unit.name}; n = {profile.calls} calls"
    if profile.calls is None:
        label = f"time as stated, {unit.name}; n unknown"
    return stacks(rows, label=f"{label}; {more} more operators" if more else label)


def stacks(rows: dict[str, list[Part]], *, label: str) -> Figure | None:
    """Draw each of ``rows`` as a bar of parts, from zero; None without rows. ``label`` is that of the axis."""
    if not rows:
        return None
    names = list(dict.fromkeys(part.name for parts in rows.values() for part in parts))
    colours = {name: COLOURS[min(i, len(COLOURS) - 1)] for i, name in enumerate(names)}
    height = len(rows) * ROW_INCHES + (0.95 if len(names) > 1 else 0.65)
    figure = new_figure(WIDTH_INCHES, height)
    axes = figure.subplots()
    figure.subplots_adjust(
        left=names_share(list(rows)),
        right=0.995,
        bottom=(height - len(rows) * ROW_INCHES - 0.1) / height,
        top=1 - 0.1 / height,
    )
    for y, parts in enumerate(rows.values()):
        begin = 0.0
        for part in parts:
            (bar,) = axes.barh(y, part.length, 0.7, left=begin, color=colours[part.name], linewidth=0)
            tip(bar, f"{list(rows)[y]}: {part.words}")
            begin += part.length
    axes.set_yticks(range(len(rows)), [shown_name(name) for name in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(sum(part.length for part in parts) for parts in rows.values()) * 1.01 or 1.0)
    axes.set_xlabel(label, fontsize=FONT_SIZE, color=MUTED)
    bare(axes, grid="x")
    for tick in axes.get_yticklabels():
        tick.set_color(INK)
    if len(names) > 1:
        _legend(axes, colours, below=0.52 / (len(rows) * ROW_INCHES))
    return figure


def _legend(axes: Axes, colours: dict[str, str], *, below: float) -> None:
    from matplotlib.patches import Patch

    axes.legend(
        handles=[Patch(facecolor=colour, label=name) for name, colour in colours.items()],
        loc="upper left",
        bbox_to_anchor=(0.0, -below),
        borderaxespad=0,
        ncols=min(7, len(colours)),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
        handlelength=1.0,
    )


def _named(views: Iterable[CellView], names: Mapping[str, str] | None = None) -> list[tuple[CellView, str]]:
    listed = tuple(views)
    names = names or full_labels(listed)
    return [(view, names[view.cell.key]) for view in listed]


def _by_delegate(profile: OperatorProfile | None) -> dict[str, float]:
    """The time of the operators by what ran them, in ns; empty if the runtime does not say what did."""
    times: dict[str, float] = {}
    for operator in profile.by_time if profile else ():
        if operator.ran_on:
            times[operator.ran_on] = times.get(operator.ran_on, 0.0) + (operator.total_ns or 0)
    return times


def _by_nodes(view: CellView) -> list[Part]:
    runtime = view.runtime
    if runtime is None or not runtime.nodes_total or runtime.nodes_delegated is None:
        return []
    taken, total = runtime.nodes_delegated, runtime.nodes_total
    parts = f" in {runtime.partitions} partition{'s' if runtime.partitions != 1 else ''}" if runtime.partitions else ""
    on, rest = runtime.delegate_used, total - taken
    listed = [Part(name=on, length=100 * taken / total, words=f"{taken} of {total} nodes on {on}{parts}")]
    if rest:
        words = f"{rest} of {total} nodes on the runtime's own kernels"
        listed.append(Part(name="the runtime's own kernels", length=100 * rest / total, words=words))
    return listed
