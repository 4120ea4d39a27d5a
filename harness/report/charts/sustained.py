"""Sustained launches over each other: the median of each minute and what one call in ten exceeds, per device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.records import units
from harness.records.measurement import MinuteLatency
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.ranking import Ranking, median_ns
from harness.report.view import CellView, full_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT_INCHES = 3.9
# More lines than this cannot be told apart; colours are those of Okabe and Ito, with a mark each.
MOST_LINES = 6
_LOOKS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#e69f00", "v"), ("#56b4e9", "P"))


def sustained_lines(rankings: Sequence[Ranking]) -> Figure | None:
    """Draw cells that ran for minutes, relative to their first minute; the fastest of each model and device first.

    Return None without one.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = _chosen(rankings)
    if not drawn:
        return None
    names = full_labels([view for ranking in rankings for view in ranking.ok])
    figure = new_figure(WIDTH_INCHES, HEIGHT_INCHES)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.075, right=0.99, bottom=0.30, top=0.97)
    for (view, minutes), (colour, mark) in zip(drawn, _LOOKS, strict=False):
        name, first = names[view.cell.key], minutes[0].median_ns
        xs, medians = [minute.minute for minute in minutes], [minute.median_ns / first for minute in minutes]
        (line,) = axes.plot(xs, medians, color=colour, marker=mark, markersize=3.5, linewidth=1.5, label=name)
        axes.fill_between(xs, medians, [m.p90_ns / first for m in minutes], color=colour, alpha=0.12, linewidth=0)
        tip(line, f"{name}: {units.time(first)} in minute {xs[0]}, {medians[-1]:.2f} × that in minute {xs[-1]}")
    axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--", zorder=0)
    words = f"minute of the launch; n = {len(drawn)} cell{'' if len(drawn) == 1 else 's'}"
    axes.set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
    axes.set_ylabel("latency, × of the first minute", fontsize=FONT_SIZE, color=MUTED)
    axes.set_xlim(0.5, max(minutes[-1].minute for _, minutes in drawn) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Below the plot: lines and bands fill it from corner to corner.
    figure.legend(frameon=False, fontsize=FONT_SIZE - 1, loc="lower left", ncols=2, labelcolor=INK)
    bare(axes, grid="both")
    return figure


def _chosen(rankings: Sequence[Ranking]) -> list[tuple[CellView, tuple[MinuteLatency, ...]]]:
    """At most one cell of each model and device, and then others as long as lines can be told apart."""
    sustained = [
        sorted((v for v in r.ok if v.latency and len(v.latency.over_time) > 1), key=median_ns) for r in rankings
    ]
    views = [cells[0] for cells in sustained if cells] + [view for cells in sustained for view in cells[1:]]
    return [(view, view.latency.over_time) for view in views[:MOST_LINES] if view.latency]
