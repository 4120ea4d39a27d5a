"""Accuracy against latency: one point per cell, and the front of those that no other cell beats.

Colour stands for the format and shape for the variant. Names are written only at the front, which keeps forty points
readable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.records import units
from harness.records.metric import Metric
from harness.report.charts.bars import whiskers
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, bare, log_axis, markers_of, new_figure, svg_of
from harness.report.ranking import Ranking, quality_metric, quality_of
from harness.report.view import CellView, labels
from harness.spec.formats import FORMATS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches: the plot, the space below it with one line of legend, and each further line of legend.
WIDTH, PLOT, BELOW, LEGEND_ROW = 9.6, 4.0, 0.9, 0.21
LEGEND_COLUMNS = 8
# The ratio of the slowest to the fastest from which the axis is logarithmic.
LOG_FROM = 8.0
LARGEST_MARKER, SMALLEST_MARKER = 420.0, 45.0
# Where a name may be placed, in points from its marker, the best place first.
_PLACES = tuple(
    (dx, dy)
    for radius in (12, 24, 38, 54, 72)
    for dx, dy in (
        (radius, radius),
        (radius, -radius),
        (-radius, radius),
        (-radius, -radius),
        (0, radius),
        (0, -radius),
    )
)


def accuracy_points(ranking: Ranking) -> str | None:
    """Draw the cells of ``ranking`` that ran as SVG; None if fewer than two have both a latency and a quality.

    The y axis is the model's own metric or accuracy with 95 % whiskers, or agreement with the float model where neither
    was measured. Better is always up.
    The latency of hollow points must not be ranked. The area of a point stands for the size of its file.
    """
    scale = _Scale(metric=quality_metric(v for v in ranking.ok if v.latency))
    drawn = [v for v in ranking.ok if v.latency and scale.value(v) is not None]
    if len(drawn) < 2:
        return None
    unit = units.time_unit(v.latency.median_ns for v in drawn if v.latency)
    shapes = markers_of(v.cell.variant for v in drawn)
    entries = len({v.cell.format for v in drawn}) + len({v.cell.variant for v in drawn})
    below = BELOW + LEGEND_ROW * (math.ceil(entries / LEGEND_COLUMNS) - 1)
    figure = new_figure(WIDTH, PLOT + below)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.995, bottom=below / (PLOT + below), top=0.98)
    # Relative to the largest file: absolute areas would hide a run of small models, or fill the plot with large ones.
    largest = max((v.artifact.bytes for v in drawn if v.artifact), default=1)
    for view in drawn:
        area = SMALLEST_MARKER + LARGEST_MARKER * (view.artifact.bytes / largest if view.artifact else 0.0)
        _draw_point(axes, view, ranking, (unit, scale), area=area, shape=shapes[view.cell.variant])
    _axes(axes, drawn, unit, scale)
    front = [v for key in ranking.front for v in drawn if v.cell.key == key]
    axes.plot(
        [_x(v, unit) for v in front], [scale.y(v) for v in front], color=MUTED, linewidth=1.2, linestyle="--", zorder=1
    )
    _legend(axes, drawn, shapes)
    _name(axes, front, drawn, (unit, scale))
    return svg_of(figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The y axis: the values of ``metric``, or agreement with the float model (None)."""

    metric: Metric | None

    @property
    def up(self) -> bool:
        """Whether higher values are better."""
        return self.metric is None or self.metric.higher_is_better

    @property
    def in_per_cent(self) -> bool:
        """Whether the values are shares in per cent."""
        return self._unit == units.PERCENT

    @property
    def _unit(self) -> units.Unit:
        return units.PERCENT if self.metric is None else self.metric.formatter.unit_for([])

    def value(self, view: CellView) -> float | None:
        """Return the quality in the unit of the metric; None if it was not measured."""
        return quality_of(view, self.metric)

    def y(self, view: CellView) -> float:
        """Return where a point lies on the axis."""
        return (self.value(view) or 0.0) / self._unit.size

    def reach(self, view: CellView) -> list[list[float]] | None:
        """Return how far the whiskers reach down and up; None without an interval."""
        reading = self.metric.shown(view.measurement) if self.metric else None
        if reading is None or reading.low is None or reading.high is None:
            return None
        sides = (reading.value - reading.low, reading.high - reading.value)
        return [[max(0.0, side / self._unit.size)] for side in sides]

    def label(self, drawn: list[CellView]) -> str:
        """Return the title of the axis."""
        if self.metric is None:
            return "same answer as the float model, %"
        named = self.metric.table.named if self.metric.table else None
        names = {named(v.measurement) for v in drawn if v.measurement} if named else {self.metric.label}
        name = names.pop() if len(names) == 1 else self.metric.label
        return f"{name}, {self._unit.name}" if self._unit.name else name


def _x(view: CellView, unit: units.Unit) -> float:
    return view.latency.median_ns / unit.size if view.latency else math.nan


def _draw_point(
    axes: Axes, view: CellView, ranking: Ranking, scales: tuple[units.Unit, _Scale], *, area: float, shape: str
) -> None:
    colour = FORMATS[view.cell.format].colour
    unit, scale = scales
    x, y = _x(view, unit), scale.y(view)
    low, high = whiskers(view)
    across = [[max(0.0, x - (low or 0) / unit.size)], [max(0.0, (high or 0) / unit.size - x)]]
    # Behind the markers and pale, or forty crosses would cover them.
    axes.errorbar(
        x, y, xerr=across, yerr=scale.reach(view), fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.55, zorder=2
    )
    hollow = not ranking.is_ranked(view)
    axes.scatter(
        x,
        y,
        s=area,
        marker=shape,
        facecolor="none" if hollow else colour,
        edgecolor=colour,
        linewidth=1.4,
        alpha=0.85,
        zorder=3,
    )


def _axes(axes: Axes, drawn: list[CellView], unit: units.Unit, scale: _Scale) -> None:
    from matplotlib.ticker import MaxNLocator

    values = [_x(v, unit) for v in drawn]
    if min(values) > 0 and max(values) / min(values) > LOG_FROM:
        log_axis(axes)
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8))
    if scale.in_per_cent:
        low, high = axes.get_ylim()
        # A share ends at 0 and 100 %, but a marker at the end must not be cut in half.
        axes.set_ylim(max(low, -4), min(high, 100.9))
    elif not scale.up:
        axes.invert_yaxis()
    axes.set_xlabel(f"latency of a call, {unit.name}", fontsize=FONT_SIZE, color=MUTED)
    axes.set_ylabel(scale.label(drawn), fontsize=FONT_SIZE, color=MUTED)
    bare(axes, grid="both")


def _legend(axes: Axes, drawn: list[CellView], shapes: dict[str, str]) -> None:
    """Draw the formats by colour and the variants by shape, in lines below the axis."""
    from matplotlib.lines import Line2D

    formats = [f for f in FORMATS if any(v.cell.format is f for v in drawn)]
    variants = list(dict.fromkeys(v.cell.variant for v in drawn))
    entries = [Line2D([], [], linestyle="none", marker="o", color=FORMATS[f].colour, label=f.value) for f in formats]
    entries += [
        Line2D([], [], linestyle="none", marker=shapes[v], color=MUTED, markerfacecolor="none", label=v)
        for v in variants
    ]
    axes.legend(
        handles=entries,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=min(len(entries), LEGEND_COLUMNS),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.4,
    )


def _name(axes: Axes, front: list[CellView], drawn: list[CellView], scales: tuple[units.Unit, _Scale]) -> None:
    """Write the names of the front where they cover the least, each with a thin line to its point."""
    names, (unit, scale) = labels(drawn), scales
    frame = axes.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    # The figure has one pixel per point, so pixels and offsets in points can be added.
    taken = [_around(*axes.transData.transform((_x(v, unit), scale.y(v)))) for v in drawn]
    for view in front:
        name, at = names[view.cell.key], (_x(view, unit), scale.y(view))
        pixel = axes.transData.transform(at)
        boxes = {place: _text_box(name, pixel[0] + place[0], pixel[1] + place[1], place) for place in _PLACES}
        # Of equally free places the earlier one, which is nearer and better.
        place = min(_PLACES, key=lambda p: (_covered(boxes[p], taken, inside), _PLACES.index(p)))
        taken.append(boxes[place])
        axes.annotate(
            name,
            at,
            xytext=place,
            textcoords="offset points",
            ha=_ALIGN[(place[0] > 0) - (place[0] < 0)],
            va="bottom" if place[1] > 0 else "top",
            fontsize=_NAME_SIZE,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5},
        )


_ALIGN: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_NAME_SIZE = FONT_SIZE - 1
Box = tuple[float, float, float, float]


def _text_box(text: str, x: float, y: float, place: tuple[int, int]) -> Box:
    """Return roughly the box of ``text`` in points, anchored at x, y on the side towards its marker."""
    # The average width of a letter of DejaVu Sans; only drawing the text would measure it.
    width, height = 0.62 * _NAME_SIZE * len(text), 1.3 * _NAME_SIZE
    left = x - width * (0.0 if place[0] > 0 else 1.0 if place[0] < 0 else 0.5)
    bottom = y if place[1] > 0 else y - height
    return left, bottom, left + width, bottom + height


def _around(x: float, y: float) -> Box:
    # The radius of a marker of middling area, in points.
    return x - 9, y - 9, x + 9, y + 9


def _covered(box: Box, taken: list[Box], inside: Box) -> float:
    """Return the area of ``taken`` that the box would cover; leaving ``inside`` costs more than any overlap."""
    outside = box[0] < inside[0] or box[1] < inside[1] or box[2] > inside[2] or box[3] > inside[3]
    return sum(_overlap(box, other) for other in taken) + (1e9 if outside else 0.0)


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return across * up if across > 0 and up > 0 else 0.0
