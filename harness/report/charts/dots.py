"""Latency as dots with their intervals: one row per cell, the fastest on top.

A dot needs no zero, so an outlier that would flatten all others can have a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, MUTED, format_legend, tip, value_beside
from harness.report.charts.rows import name_rows, new_rows, scale_values
from harness.report.view import CellView, full_labels
from harness.spec.formats import FORMATS
from harness.wire import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Launches that are named where a reader points at a dot.
MOST_LAUNCHES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One row: a value in the unit of its metric, with the ends of its line, if it has one.

    ``launches`` are drawn as small marks; empty where a line says more. A ``hollow`` dot must not be ranked.
    """

    name: str
    format: Format
    value: float
    low: float | None = None
    high: float | None = None
    launches: tuple[float, ...] = ()
    hollow: bool = False


def latency_dots(
    views: Sequence[CellView], *, hollow: frozenset[str] = frozenset(), names: Mapping[str, str] | None = None
) -> Figure | None:
    """Draw median latencies; None without any. The keys in ``hollow`` must not be ranked.

    Lines are those of `whiskers`. ``names`` by cell key, else those of `full_labels`.
    """
    drawn = [v for v in views if v.latency]
    unit, names = units.time_unit(v.latency.median_ns for v in drawn if v.latency), names or full_labels(drawn)
    dots = []
    for view in drawn:
        assert view.latency is not None
        key, (low, high) = view.cell.key, whiskers(view)
        dots.append(
            Dot(
                name=names[key],
                format=view.cell.format,
                value=view.latency.median_ns,
                low=low,
                high=high,
                hollow=key in hollow,
            )
        )
    return dot_rows(dots, unit, label="median latency of a call", counted=counts(drawn))


def dot_rows(dots: Sequence[Dot], unit: units.Unit, *, label: str, counted: str) -> Figure | None:
    """Draw ``dots`` from the top; None without any. ``label`` says what they are, and ``counted`` of how many calls."""
    if not dots:
        return None
    names = [dot.name for dot in dots]
    figure, below = new_rows(names)
    axes = figure.subplots()
    for row, dot in enumerate(dots):
        _row(axes, row, dot, unit)
    ends = [x / unit.size for dot in dots for x in (dot.low, dot.high, *dot.launches) if x is not None]
    scale = scale_values(axes, [dot.value / unit.size for dot in dots], ends)
    name_rows(axes, names)
    unit_name = f", {unit.name}" if unit.name else ""
    axes.set_xlabel(f"{label}{unit_name}{scale}; {counted}", fontsize=FONT_SIZE, color=MUTED)
    format_legend(axes, [dot.format for dot in dots], below=below)
    return figure


def whiskers(view: CellView) -> tuple[float | None, float | None]:
    """Return the ends of the line of a latency, in ns.

    They are the 95 % interval over launches. With a single launch they are p5 to p90 of its calls, or to p75 if there
    are too few calls for p90; with launches at several speeds, the fastest and the slowest.
    """
    latency = view.latency
    if latency is None:
        return None, None
    if latency.speeds:
        return latency.speeds[0].level_ns, latency.speeds[-1].level_ns
    if latency.low_ns is not None and latency.high_ns is not None:
        return latency.low_ns, latency.high_ns
    high = latency.p90_ns if latency.p90_ns is not None else latency.p75_ns
    return (None, None) if high is None else (latency.p5_ns, high)


def counts(views: Sequence[CellView]) -> str:
    """Return the number of launches and calls of ``views`` as ``n = 5 launches of 700 calls``, with ranges."""
    latencies = [v.latency for v in views if v.latency]
    launches = [latency.launches for latency in latencies if latency.launches]
    calls = [latency.calls // latency.launches for latency in latencies if latency.launches and latency.calls]
    if not launches:
        return "n unknown"
    words = f"n = {_range(launches)} launch{'' if set(launches) == {1} else 'es'}"
    if not calls:
        return f"{words}, calls not stated"
    calls_word = "call" if set(calls) == {1} else "calls"
    return f"{words} of {_range(calls)} {calls_word}{'' if len(calls) == len(latencies) else ' where stated'}"


def value_words(counts: Sequence[int]) -> str:
    """Return ``n = 1 value``, or ``n = 2 to 5 values``."""
    return f"n = {_range(counts)} value{'' if set(counts) == {1} else 's'}"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _row(axes: Axes, row: int, dot: Dot, unit: units.Unit) -> None:
    colour, value = FORMATS[dot.format].colour, dot.value / unit.size
    words = f"{dot.name}: {unit.full(dot.value)}"
    if dot.low is not None and dot.high is not None:
        words += f", {unit.show(dot.low)} to {unit.full(dot.high)}"
        ends = [dot.low / unit.size, dot.high / unit.size]
        axes.plot(ends, [row, row], color=colour, linewidth=2.2, alpha=0.55, zorder=2)
    if dot.launches:
        words += f", launches {', '.join(unit.show(launch) for launch in dot.launches[:MOST_LAUNCHES])}"
        marks = [launch / unit.size for launch in dot.launches]
        axes.plot(marks, [row] * len(marks), linestyle="none", marker="|", markersize=9, color=colour, zorder=2)
    (mark,) = axes.plot(
        [value],
        [row],
        linestyle="none",
        marker="o",
        markersize=7,
        markerfacecolor="none" if dot.hollow else colour,
        markeredgecolor=colour,
        markeredgewidth=1.4,
    )
    tip(mark, words)
    value_beside(axes, row, unit.full(dot.value))
