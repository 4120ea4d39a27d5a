"""Latency as dots with their intervals: one row per cell, the fastest on top.

A dot needs no zero, so an outlier that would flatten all others can have a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, MUTED, format_legend, tip, value_beside
from harness.report.charts.rows import name_rows, new_rows, scale_times
from harness.report.view import CellView, labels
from harness.spec.formats import FORMATS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def latency_dots(views: Sequence[CellView], *, hollow: frozenset[str]) -> Figure | None:
    """Draw median latencies; None without any. The keys in ``hollow`` must not be ranked.

    Lines are those of `whiskers`.
    """
    drawn = [v for v in views if v.latency]
    if not drawn:
        return None
    unit, names = units.time_unit(v.latency.median_ns for v in drawn if v.latency), labels(drawn)
    figure, below = new_rows(list(names.values()))
    axes = figure.subplots()
    for row, view in enumerate(drawn):
        _row(axes, row, view, unit, name=names[view.cell.key], hollow=view.cell.key in hollow)
    medians = [v.latency.median_ns / unit.size for v in drawn if v.latency]
    ends = [end / unit.size for v in drawn for end in whiskers(v) if end is not None]
    scale = scale_times(axes, medians, ends)
    name_rows(axes, list(names.values()))
    axes.set_xlabel(f"median latency of a call, {unit.name}{scale}; {counts(drawn)}", fontsize=FONT_SIZE, color=MUTED)
    format_legend(axes, [v.cell.format for v in drawn], below=below)
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
    launches = [v.latency.launches for v in views if v.latency and v.latency.launches]
    calls = [
        v.latency.calls // v.latency.launches for v in views if v.latency and v.latency.launches and v.latency.calls
    ]
    words = f"n = {_range(launches)} launch{'' if set(launches) == {1} else 'es'}" if launches else "n unknown"
    return f"{words} of {_range(calls)} calls" if calls else words


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _row(axes: Axes, row: int, view: CellView, unit: units.Unit, *, name: str, hollow: bool) -> None:
    assert view.latency is not None
    colour, value = FORMATS[view.cell.format].colour, view.latency.median_ns / unit.size
    low, high = whiskers(view)
    words = f"{name}: {unit.full(view.latency.median_ns)}"
    if low is not None and high is not None:
        words += f", {unit.show(low)} to {unit.full(high)}"
        axes.plot([low / unit.size, high / unit.size], [row, row], color=colour, linewidth=2.2, alpha=0.55, zorder=2)
    face = "none" if hollow else colour
    (dot,) = axes.plot(
        [value],
        [row],
        linestyle="none",
        marker="o",
        markersize=7,
        markerfacecolor=face,
        markeredgecolor=colour,
        markeredgewidth=1.4,
    )
    tip(dot, words)
    value_beside(axes, row, unit.full(view.latency.median_ns))
