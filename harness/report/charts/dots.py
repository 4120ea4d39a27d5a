"""Latency as dots with their intervals: one row per cell, the fastest on top.

A dot needs no zero, so an outlier that would flatten all others can have a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import (
    FONT_SIZE,
    GRID,
    INK,
    MUTED,
    WIDTH_INCHES,
    bare,
    format_legend,
    log_axis,
    new_figure,
    tip,
    value_beside,
)
from harness.report.view import CellView, labels
from harness.spec.formats import FORMATS
from harness.stats.medians import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.25
# Room for the names at the left, per character, and for the values at the right.
CHARACTER_INCHES, VALUE_INCHES = 0.081, 1.15
# The ratio of the slowest to the middle from which the others would be flattened.
LOG_FROM = 5.0


def latency_dots(views: Sequence[CellView], *, hollow: frozenset[str]) -> Figure | None:
    """Draw median latencies; None without any. The keys in ``hollow`` must not be ranked.

    Lines are those of `whiskers`.
    """
    drawn = [v for v in views if v.latency]
    if not drawn:
        return None
    unit, names = units.time_unit(v.latency.median_ns for v in drawn if v.latency), labels(drawn)
    height = len(drawn) * ROW_INCHES + 0.95
    figure = new_figure(WIDTH_INCHES, height)
    axes = figure.subplots()
    left = min(0.4, (max(map(len, names.values())) * CHARACTER_INCHES + 0.15) / WIDTH_INCHES)
    figure.subplots_adjust(
        left=left, right=1 - VALUE_INCHES / WIDTH_INCHES, bottom=0.75 / height, top=1 - 0.12 / height
    )
    for row, view in enumerate(drawn):
        _row(axes, row, view, unit, name=names[view.cell.key], hollow=view.cell.key in hollow)
    _axes(axes, drawn, unit, names)
    format_legend(axes, [v.cell.format for v in drawn], below=0.46 / (height - 0.87))
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


def is_spread(values: Sequence[float]) -> bool:
    """Return whether one of ``values`` is so large that the others would be flattened on an axis from zero."""
    return min(values) > 0 and max(values) / median(values) > LOG_FROM


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


def _axes(axes: Axes, drawn: Sequence[CellView], unit: units.Unit, names: dict[str, str]) -> None:
    medians = [v.latency.median_ns / unit.size for v in drawn if v.latency]
    ends = [end / unit.size for v in drawn for end in whiskers(v) if end is not None]
    if is_spread(medians):
        log_axis(axes)
        axes.set_xlim(min([*medians, *(e for e in ends if e > 0)]) / 1.15, max([*medians, *ends]) * 1.15)
        scale = ", logarithmic"
    else:
        # All calls may have taken no time at all on a coarse clock.
        axes.set_xlim(0, 1.04 * max([*medians, *ends]) or 1.0)
        scale = ""
    axes.set_yticks(range(len(drawn)), [names[v.cell.key] for v in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    bare(axes, grid="x")
    for row in range(0, len(drawn), 2):
        axes.axhspan(row - 0.5, row + 0.5, facecolor=GRID, alpha=0.25, zorder=0)
    for label in axes.get_yticklabels():
        label.set_color(INK)
    axes.set_xlabel(f"median latency of a call, {unit.name}{scale}; {counts(drawn)}", fontsize=FONT_SIZE, color=MUTED)
