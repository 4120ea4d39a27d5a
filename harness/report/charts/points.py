"""Quality against latency, size, memory and energy: one point per cell, and in each panel the front of the best.

Colour stands for the format and shape for the variant. Names are written only at the front, which keeps forty points
readable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.records import units
from harness.records.metric import Metric
from harness.records.metrics import ENERGY
from harness.report.charts.dots import counts, whiskers
from harness.report.charts.figure import (
    FONT_SIZE,
    INK,
    MUTED,
    WIDTH_INCHES,
    bare,
    log_axis,
    markers_of,
    new_figure,
    tip,
)
from harness.report.charts.rows import is_spread
from harness.report.charts.subset import best
from harness.report.ranking import Ranking, quality_metric, quality_of
from harness.report.view import CellView, file_labels, labels, memory_growth
from harness.spec.formats import FORMATS
from harness.stats.pareto import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Inches: a panel, the space below it with one line of legend, and each further line of legend.
PLOT, BELOW, LEGEND_ROW = 3.5, 0.95, 0.21
LEGEND_COLUMNS = 10
MARKER_POINTS = 8.0
MOST_POINTS = 60
# More names than this would cover the points of a panel; the others show when they are pointed at.
MOST_NAMES = 6
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """What a panel has on its x axis: the cost of a cell in a base unit, its unit, and which cells may be on a front.

    ``reach`` returns the ends of the line of a cell, None without one. ``of_cell``: it depends on the threads, so names
    have them.
    """

    label: str
    value: Callable[[CellView], float | None]
    unit: units.Unit
    ranked: Callable[[CellView], bool]
    reach: Callable[[CellView], tuple[float | None, float | None]]
    of_cell: bool = False


def quality_points(ranking: Ranking) -> Figure | None:
    """Draw the cells of ``ranking`` that ran; None if no panel has two cells with a cost and a quality.

    The y axis is the model's own metric or accuracy with 95 % whiskers, or agreement with the float model where neither
    was measured. Better is always up. The latency of hollow points must not be ranked.
    """
    scale = _Scale(metric=quality_metric(ranking.ok))
    # Each file once: its quality and size do not depend on threads.
    files = best(ranking, ranking.ok, lambda v: (v.cell.build, v.cell.delegate))
    with_quality = [v for v in files if scale.value(v) is not None][:MOST_POINTS]
    costs = [c for c in _costs(ranking, with_quality) if sum(c.value(v) is not None for v in with_quality) > 1]
    if not costs:
        return None
    shapes = markers_of(v.cell.variant for v in with_quality)
    entries = len({v.cell.format for v in with_quality}) + len({v.cell.variant for v in with_quality})
    below = BELOW + LEGEND_ROW * (math.ceil(entries / LEGEND_COLUMNS) - 1)
    height = PLOT + below
    figure = new_figure(WIDTH_INCHES, height)
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.06, right=0.995, bottom=below / height, top=0.98, wspace=0.06)
    for axes, cost in zip(panels, costs, strict=True):
        _panel(axes, [v for v in with_quality if cost.value(v) is not None], cost, scale, shapes)
    # All panels share one axis of quality.
    _quality_axis(panels[0], with_quality, scale)
    for axes, cost in zip(panels, costs, strict=True):
        drawn = [v for v in with_quality if cost.value(v) is not None]
        _name(axes, _front(drawn, cost, scale), drawn, (cost, scale))
    _legend(figure, with_quality, shapes)
    return figure


def _costs(ranking: Ranking, views: Sequence[CellView]) -> list[_Cost]:
    latencies = [v for v in views if v.latency]
    sizes = [v.artifact.bytes for v in views if v.artifact]
    time = units.time_unit(v.latency.median_ns for v in latencies if v.latency)
    size, memory = units.size_unit(sizes), units.size_unit(_peak(v) for v in views)
    energy = ENERGY.formatter.unit_for(_joules(v) for v in views)
    return [
        _Cost(
            label=f"latency, {time.name}; {counts(latencies)}",
            value=lambda v: v.latency.median_ns if v.latency else None,
            unit=time,
            ranked=ranking.is_ranked,
            reach=whiskers,
            of_cell=True,
        ),
        _Cost(
            label=f"size of the file, {size.name}",
            value=lambda v: v.artifact.bytes if v.artifact else None,
            unit=size,
            ranked=lambda _: True,
            reach=lambda _: (None, None),
        ),
        _Cost(
            label=f"peak memory, +{memory.name}",
            value=_peak,
            unit=memory,
            ranked=lambda _: True,
            reach=lambda _: (None, None),
        ),
        _Cost(
            label=f"energy per inference, {energy.name}",
            value=_joules,
            unit=energy,
            ranked=lambda _: True,
            reach=_joules_reach,
            of_cell=True,
        ),
    ]


def _peak(view: CellView) -> float | None:
    growth = memory_growth(view.memory)
    return growth.peak_bytes if growth else None


def _joules(view: CellView) -> float | None:
    energy = view.measurement.energy if view.measurement else None
    return energy.joules if energy else None


def _joules_reach(view: CellView) -> tuple[float | None, float | None]:
    energy = view.measurement.energy if view.measurement else None
    return (energy.low_joules, energy.high_joules) if energy else (None, None)


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

    def words(self, view: CellView) -> str:
        """Return the quality in words: for the pointer and for screen readers."""
        return f"{self.label([view]).partition(',')[0]} {self._unit.full(self.value(view))}"

    def reach(self, view: CellView) -> tuple[float, float] | None:
        """Return how far the whiskers reach down and up; None without an interval."""
        reading = self.metric.shown(view.measurement) if self.metric else None
        if reading is None or reading.low is None or reading.high is None:
            return None
        down, up = reading.value - reading.low, reading.high - reading.value
        return max(0.0, down / self._unit.size), max(0.0, up / self._unit.size)

    def label(self, drawn: list[CellView]) -> str:
        """Return the title of the axis."""
        if self.metric is None:
            return "same answer as the float model, %"
        named = self.metric.table.named if self.metric.table else None
        names = {named(v.measurement) for v in drawn if v.measurement} if named else {self.metric.label}
        name = names.pop() if len(names) == 1 else self.metric.label
        return f"{name}, {self._unit.name}" if self._unit.name else name


def _panel(axes: Axes, drawn: list[CellView], cost: _Cost, scale: _Scale, shapes: dict[str, str]) -> None:
    names = labels(drawn)
    _lines(axes, drawn, cost, scale)
    for view in drawn:
        _point(axes, view, (cost, scale), shape=shapes[view.cell.variant], name=names[view.cell.key])
    front = _front(drawn, cost, scale)
    xs, ys = [_x(v, cost) for v in front], [scale.y(v) for v in front]
    axes.plot(xs, ys, color=MUTED, linewidth=1.2, linestyle="--", zorder=1)
    # Lines that are added by themselves do not move the limits.
    axes.autoscale_view(scalex=False)
    values = [_x(v, cost) for v in drawn]
    logarithmic = is_spread(values)
    if logarithmic:
        log_axis(axes)
        axes.set_xlim(min(values) / 1.25, max(values) * 1.25)
    else:
        from matplotlib.ticker import MaxNLocator

        low, high = min(values), max(values)
        # Points need no zero; cells that differ little would lie on each other.
        close = low > high / 2
        axes.set_xlim(low - 0.3 * (high - low) if close else min(0.0, low), high + 0.12 * ((high - low) or 1.0))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel(cost.label + (", logarithmic" if logarithmic else ""), fontsize=FONT_SIZE - 1, color=MUTED)
    bare(axes, grid="both")


def _front(drawn: list[CellView], cost: _Cost, scale: _Scale) -> list[CellView]:
    """The cells that no other beats in both cost and quality, the cheapest first."""
    ranked = [v for v in drawn if cost.ranked(v)]
    sign = 1.0 if scale.up else -1.0
    return [ranked[i] for i in pareto_front([(_x(v, cost), sign * scale.y(v)) for v in ranked])]


def _x(view: CellView, cost: _Cost) -> float:
    value = cost.value(view)
    return math.nan if value is None else value / cost.unit.size


def _lines(axes: Axes, drawn: list[CellView], cost: _Cost, scale: _Scale) -> None:
    """The intervals, behind the markers and pale, or forty crosses would cover them."""
    style = {"linewidth": 0.8, "alpha": 0.3, "zorder": 2}
    for view in drawn:
        colour, x, y = FORMATS[view.cell.format].colour, _x(view, cost), scale.y(view)
        low, high = cost.reach(view)
        if low is not None and high is not None:
            axes.add_line(_line([low / cost.unit.size, high / cost.unit.size], [y, y], color=colour, **style))
        reach = scale.reach(view)
        if reach is not None:
            axes.add_line(_line([x, x], [y - reach[0], y + reach[1]], color=colour, **style))


def _point(axes: Axes, view: CellView, scales: tuple[_Cost, _Scale], *, shape: str, name: str) -> None:
    (cost, scale), colour = scales, FORMATS[view.cell.format].colour
    marker = _line(
        [_x(view, cost)],
        [scale.y(view)],
        linestyle="none",
        marker=shape,
        markersize=MARKER_POINTS,
        markerfacecolor=colour if cost.ranked(view) else "none",
        markeredgecolor=colour,
        markeredgewidth=1.4,
        alpha=0.85,
        zorder=3,
    )
    tip(axes.add_line(marker), f"{name}: {cost.unit.full(cost.value(view))}, {scale.words(view)}")


def _line(xs: list[float], ys: list[float], **style: Any) -> Line2D:
    # A line of its own: `Axes.plot` and `Axes.scatter` take ten times as long for single points.
    from matplotlib.lines import Line2D

    return Line2D(xs, ys, **style)


def _quality_axis(axes: Axes, drawn: list[CellView], scale: _Scale) -> None:
    if scale.in_per_cent:
        low, high = axes.get_ylim()
        # A share ends at 0 and 100 %, but a marker at the end must not be cut in half.
        axes.set_ylim(max(low, -4), min(high, 100.9))
    elif not scale.up:
        axes.invert_yaxis()
    axes.set_ylabel(scale.label(drawn), fontsize=FONT_SIZE, color=MUTED)


def _legend(figure: Figure, drawn: list[CellView], shapes: dict[str, str]) -> None:
    """Draw the formats by colour and the variants by shape, in lines below the panels."""
    from matplotlib.lines import Line2D

    formats = [f for f in FORMATS if any(v.cell.format is f for v in drawn)]
    variants = list(dict.fromkeys(v.cell.variant for v in drawn))
    entries = [Line2D([], [], linestyle="none", marker="o", color=FORMATS[f].colour, label=f.value) for f in formats]
    entries += [
        Line2D([], [], linestyle="none", marker=shapes[v], color=MUTED, markerfacecolor="none", label=v)
        for v in variants
    ]
    figure.legend(
        handles=entries,
        loc="lower center",
        bbox_to_anchor=(0.53, 0.0),
        ncols=min(len(entries), LEGEND_COLUMNS),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.4,
    )


def _name(axes: Axes, front: list[CellView], drawn: list[CellView], scales: tuple[_Cost, _Scale]) -> None:
    """Write names of the front where they cover the least, each with a thin line to its point."""
    (cost, scale) = scales
    # Only latency depends on the threads.
    names = labels(drawn) if cost.of_cell else file_labels(drawn)
    frame = axes.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    # The figure has one pixel per point, so pixels and offsets in points can be added.
    taken = [_around(*axes.transData.transform((_x(v, cost), scale.y(v)))) for v in drawn]
    for view in _spaced(front, MOST_NAMES, lambda v: (_x(v, cost), scale.y(v))):
        name, at = names[view.cell.key], (_x(view, cost), scale.y(view))
        pixel = axes.transData.transform(at)
        boxes = {place: _text_box(name, pixel[0] + place[0], pixel[1] + place[1], place) for place in _PLACES}
        # Of equally free places the earlier one, which is nearer and better.
        place = min(_PLACES, key=lambda p: (_covered(boxes[p], taken, inside), _PLACES.index(p)))
        # A name that would cover another or leave the panel is left to the pointer.
        if _covered(boxes[place], taken, inside) > MOST_COVERED:
            continue
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


def _spaced(front: list[CellView], most: int, at: Callable[[CellView], object]) -> list[CellView]:
    """Both ends of the front and as many between as there is room for; of points in one place, one."""
    front = list({at(view): view for view in reversed(front)}.values())[::-1]
    if len(front) <= most:
        return front
    return [front[round(i * (len(front) - 1) / (most - 1))] for i in range(most)]


_ALIGN: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_NAME_SIZE = FONT_SIZE - 1
# Square points that a name may cover of markers: a corner of one.
MOST_COVERED = 60.0
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
