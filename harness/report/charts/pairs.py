"""The pairs of an A/B session in the order in which they ran, with the interval and the band that counts as equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.charts.figure import FONT_SIZE, GRID, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT_INCHES = 3.6
# By which side ran first: an effect of the order shows as two heights.
FIRST_A, FIRST_B, INTERVAL = "#0072b2", "#e69f00", "#009e73"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDot:
    """One pair: the time of B over that of A, None if it was not measured, and why it was dropped, if it was."""

    order: str
    ratio: float | None
    dropped: str | None = None


def pair_ratios(
    pairs: Sequence[PairDot], *, estimate: tuple[float, float, float] | None, margin: float
) -> Figure | None:
    """Draw the ratios of ``pairs``; None without any. ``estimate`` is the ratio and the ends of its interval."""
    drawn = [(number, pair) for number, pair in enumerate(pairs, 1) if pair.ratio]
    if not drawn:
        return None
    figure = new_figure(WIDTH_INCHES, HEIGHT_INCHES)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.86, bottom=0.2, top=0.97)
    axes.axhspan(-100 * margin, 100 * margin, facecolor=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.axhline(0, color=MUTED, linewidth=0.9, zorder=1)
    if estimate is not None:
        middle, low, high = (100 * (ratio - 1) for ratio in estimate)
        axes.axhspan(low, high, facecolor=INTERVAL, alpha=0.18, linewidth=0, zorder=1)
        axes.axhline(middle, color=INTERVAL, linewidth=1.6, zorder=2)
        words = f"{middle:+.2f} %\n{low:+.2f} to\n{high:+.2f} %"
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (8, 0), "textcoords": "offset points"}
        axes.annotate(words, (1.0, middle), va="center", fontsize=FONT_SIZE - 1, color=INK, **place)
    # A dropped pair may be far off, and would flatten the others: it stands at the edge.
    near = [100 * ((p.ratio or 1.0) - 1) for _, p in drawn if not p.dropped] or [0.0]
    bottom, top = min(*near, -100 * margin, 0.0), max(*near, 100 * margin, 0.0)
    room = 0.1 * (top - bottom) or 1.0
    axes.set_ylim(bottom - room, top + room)
    for number, pair in drawn:
        colour, change = FIRST_A if pair.order == "AB" else FIRST_B, 100 * ((pair.ratio or 1.0) - 1)
        face = "none" if pair.dropped else colour
        (dot,) = axes.plot(
            [number],
            [min(max(change, bottom - room / 2), top + room / 2)],
            linestyle="none",
            marker="o",
            markersize=7,
            markerfacecolor=face,
            markeredgecolor=colour,
        )
        tip(dot, f"pair {number}, {pair.order}: {change:+.2f} %{f', dropped: {pair.dropped}' if pair.dropped else ''}")
    good = sum(not pair.dropped for _, pair in drawn)
    words = (
        f"pair, in the order of the session; n = {good} good pairs; shaded grey: ± {100 * margin:g} % counts as equal"
    )
    axes.set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
    axes.set_ylabel("time of B against A, %", fontsize=FONT_SIZE, color=MUTED)
    axes.set_xlim(0.4, len(pairs) + 0.6)
    bare(axes, grid="y")
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7}
    handles = [
        Line2D([], [], color=FIRST_A, label="A ran first", **dot),
        Line2D([], [], color=FIRST_B, label="B ran first", **dot),
        Line2D([], [], color=MUTED, markerfacecolor="none", label="dropped", **dot),
        Patch(facecolor=INTERVAL, alpha=0.3, label="95 % interval"),
    ]
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.06, 0.0),
        ncols=4,
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
