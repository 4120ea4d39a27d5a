"""The spread of the calls of each cell: one small panel per cell, with a cumulative curve over one box per launch.

Curve and boxes share one axis, which separates the spread within a launch from the differences between launches. A
curve is drawn through 200 quantiles: more cannot be seen, and the file stays small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from harness.records import units
from harness.records.measurement import Measurement
from harness.report.charts.figure import (
    FONT_SIZE,
    GRID,
    INK,
    MUTED,
    WIDTH_INCHES,
    bare,
    log_axis,
    new_figure,
)
from harness.report.charts.rows import shown_name
from harness.report.view import CellView, full_labels
from harness.spec.formats import FORMATS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
Samples = Callable[[Measurement], Sequence[Sequence[int] | npt.NDArray[np.int64]]]

COLUMNS = 4
# Names longer than this, in characters, need wider panels: one column fewer.
LONG_NAME = 20
# What a panel of the wider ones has room for.
LONGEST_NAME = 46
PANEL_INCHES = 1.95
# Quantiles that a curve is drawn through.
POINTS = 200
# The ratio of p99 to the median from which the axis is logarithmic.
LOG_FROM = 3.0
# What the boxes take below zero, where the curve, a share, goes from 0 to 1.
BOX_DEPTH = 0.62


def distributions(
    views: tuple[CellView, ...], samples: Samples, names: Mapping[str, str] | None = None
) -> Figure | None:
    """Draw the call times (ns, by launch) that ``samples`` returns for each measurement; None without any.

    ``names`` by cell key, else those of `full_labels`.
    """
    drawn = [(v, launches) for v in views if v.measurement and (launches := _launches(v.measurement, samples))]
    if not drawn:
        return None
    names = names or full_labels(v for v, _ in drawn)
    most = COLUMNS if max(len(names[v.cell.key]) for v, _ in drawn) <= LONG_NAME else COLUMNS - 1
    columns = min(most, len(drawn))
    lines = math.ceil(len(drawn) / columns)
    figure = new_figure(WIDTH_INCHES * columns / most, PANEL_INCHES * lines)
    panels = figure.subplots(lines, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.02, right=0.99, bottom=0.4 / (PANEL_INCHES * lines), top=0.99, wspace=0.14, hspace=0.52
    )
    # The grid has room for a whole last line of panels.
    for axes in panels.flat[len(drawn) :]:
        axes.set_axis_off()
    for axes, (view, launches) in zip(panels.flat, drawn, strict=False):
        _panel(axes, view, launches, names[view.cell.key])
    return figure


def _launches(measurement: Measurement, samples: Samples) -> list[Floats]:
    return [np.asarray(calls, dtype=np.float64) for calls in samples(measurement) if len(calls)]


def _panel(axes: Axes, view: CellView, launches: list[Floats], name: str) -> None:
    calls = np.concatenate(launches)
    unit = units.time_unit([float(np.median(calls))])
    steps = np.linspace(0, 100, POINTS + 1)
    curve = np.percentile(calls, steps) / unit.size
    colour = FORMATS[view.cell.format].colour
    axes.plot(curve, steps / 100, color=colour, linewidth=1.8, zorder=3)
    # The summary has no p90 or p99 if there are too few calls for it.
    latency = view.latency
    marks = [(50, latency.median_ns), (90, latency.p90_ns), (99, latency.p99_ns)] if latency else []
    for percent, value in marks:
        if value is not None:
            _mark(axes, float(np.percentile(calls, percent)) / unit.size, percent)
    _boxes(axes, [c / unit.size for c in launches], colour)
    _axes(axes, *(float(x) / unit.size for x in np.percentile(calls, [0, 50, 99])))
    axes.set_title(shown_name(name, LONGEST_NAME), fontsize=FONT_SIZE, color=INK, loc="left", pad=3)
    axes.set_title(unit.name, fontsize=FONT_SIZE - 1, color=MUTED, loc="right", pad=3)


def _mark(axes: Axes, x: float, percent: int) -> None:
    axes.plot([x], [percent / 100], marker="o", markersize=4, color=INK, zorder=4)
    # Below the curve, on the side that has room: p99 is at the right edge.
    place = (-4, -11) if percent == 99 else (5, -9)
    side: Literal["left", "right"] = "right" if percent == 99 else "left"
    axes.annotate(
        f"p{percent}",
        (x, percent / 100),
        xytext=place,
        textcoords="offset points",
        ha=side,
        fontsize=FONT_SIZE - 3,
        color=MUTED,
    )


def _boxes(axes: Axes, launches: list[Floats], colour: str) -> None:
    """Draw boxes under the curve: quartiles, median, and p5 to p95; twenty launches fit."""
    # A single launch must not get a box of the whole depth.
    pitch = BOX_DEPTH / max(len(launches), 3)
    places = [-0.14 - pitch * i for i in range(len(launches))]
    axes.boxplot(
        launches,
        orientation="horizontal",
        positions=places,
        widths=0.62 * pitch,
        whis=(5, 95),
        showfliers=False,
        showcaps=False,
        patch_artist=True,
        boxprops={"facecolor": colour, "edgecolor": "none", "alpha": 0.55},
        whiskerprops={"color": colour, "linewidth": 0.9},
        medianprops={"color": INK, "linewidth": 1.2},
        manage_ticks=False,
    )


def _axes(axes: Axes, least: float, middle: float, p99: float) -> None:
    """Scale the axis from the fastest call to a little past p99; the slowest call would squeeze everything else."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if least > 0 and p99 / middle > LOG_FROM:
        log_axis(axes)
        axes.set_xlim(least / 1.1, p99 * 1.2)
    else:
        # All calls may have taken equally long, or no time at all on a coarse clock.
        margin = 0.08 * (p99 - least) or 0.05 * p99 or 1.0
        axes.set_xlim(least - margin, p99 + 2 * margin)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_ylim(-0.14 - BOX_DEPTH, 1.06)
    # Grid lines at 0, 50 and 100 % without numbers, for which a small panel has no room.
    axes.set_yticks([0, 0.5, 1], ["", "", ""])
    bare(axes, grid="both")
    axes.axhline(0, color=GRID, linewidth=0.7)
