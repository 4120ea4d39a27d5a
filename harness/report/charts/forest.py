"""Verdicts as a forest plot: changes with their intervals, and the band that counts as equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.charts.figure import FONT_SIZE, GRID, INK, MUTED, WIDTH_INCHES, bare, legend_below, new_figure, tip
from harness.report.charts.rows import CHARACTER_INCHES, ROW_INCHES
from harness.stats.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 80
# Colour and shape, so that neither is needed alone.
LOOKS = {
    Verdict.REGRESSED: ("#d55e00", "v"),
    Verdict.IMPROVED: ("#009e73", "^"),
    Verdict.EQUIVALENT: ("#0072b2", "o"),
    Verdict.UNDECIDED: ("#7f7f7f", "s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One comparison: the relative change (0.03 = 3 % more), its interval, and the margin within which it is equal."""

    name: str
    change: float
    low: float | None
    high: float | None
    margin: float
    verdict: Verdict


def forest(rows: Sequence[ForestRow], *, label: str) -> Figure | None:
    """Draw ``rows``, the worst change first; None without any. ``label`` is that of the axis."""
    drawn = sorted(rows, key=lambda row: -row.change)[:MOST_ROWS]
    if not drawn:
        return None
    height = len(drawn) * ROW_INCHES + 1.0
    figure = new_figure(WIDTH_INCHES, height)
    axes = figure.subplots()
    left = min(0.45, (max(len(row.name) for row in drawn) * CHARACTER_INCHES + 0.15) / WIDTH_INCHES)
    figure.subplots_adjust(left=left, right=0.995, bottom=0.8 / height, top=1 - 0.1 / height)
    margin = 100 * min(row.margin for row in drawn)
    axes.axvspan(-margin, margin, facecolor=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
    for y, row in enumerate(drawn):
        colour, marker = LOOKS.get(row.verdict, ("#7f7f7f", "s"))
        interval = ""
        if row.low is not None and row.high is not None:
            axes.plot([100 * row.low, 100 * row.high], [y, y], color=colour, linewidth=2.0, alpha=0.6)
            interval = f", {100 * row.low:+.1f} to {100 * row.high:+.1f} %"
        (dot,) = axes.plot([100 * row.change], [y], linestyle="none", marker=marker, markersize=7, color=colour)
        tip(dot, f"{row.name}: {100 * row.change:+.1f} %{interval}, {row.verdict.value}")
    axes.set_yticks(range(len(drawn)), [row.name for row in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    more = f"; {len(rows) - len(drawn)} more are not drawn" if len(rows) > len(drawn) else ""
    words = f"{label}, %; shaded: ± {margin:g} % counts as equal; n = {len(drawn)}{more}"
    axes.set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
    bare(axes, grid="x")
    for tick in axes.get_yticklabels():
        tick.set_color(INK)
    _legend(axes, {row.verdict for row in drawn}, below=0.5 / (height - 0.9))
    return figure


def _legend(axes: Axes, verdicts: set[Verdict], *, below: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="none", marker=marker, markersize=7, color=colour, label=verdict.value)
        for verdict, (colour, marker) in LOOKS.items()
        if verdict in verdicts
    ]
    if handles:
        legend_below(axes, handles, below=below)
