"""The path of a search: what each point that it tried costs, in their order, and the best one so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.charts.rows import is_spread
from harness.search.points import Findings, Point
from harness.spec.goal import Minimise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 3.9
KEPT, LEFT_OUT, BEST = "#0072b2", "#999999", "#009e73"


def search_path(findings: Findings) -> Figure | None:
    """Draw the points of a search in the order in which they were tried; None with fewer than two results."""
    goal = findings.goal.minimise
    drawn = [(number, p, cost) for number, p in enumerate(findings.points, 1) if (cost := _cost(p, goal)) is not None]
    if len(drawn) < 2:
        return None
    costs = [cost for _, _, cost in drawn]
    unit = units.size_unit(costs) if goal is Minimise.SIZE else units.time_unit(costs)
    figure = new_figure(WIDTH_INCHES, HEIGHT_INCHES)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.985, bottom=0.2, top=0.96)
    for number, point, cost in drawn:
        _dot(axes, findings, point, (number, cost / unit.size), unit)
    _best_so_far(axes, findings, [(number, point, cost / unit.size) for number, point, cost in drawn])
    _axes(axes, findings, [cost / unit.size for cost in costs], unit)
    return figure


def _cost(point: Point, goal: Minimise) -> float | None:
    return point.bytes if goal is Minimise.SIZE else point.latency_ns


def _dot(axes: Axes, findings: Findings, point: Point, at: tuple[int, float], unit: units.Unit) -> None:
    kept = findings.keeps(point)
    (dot,) = axes.plot(
        [at[0]],
        [at[1]],
        linestyle="none",
        marker="*" if point is findings.ship else "o" if kept else "x",
        markersize=13 if point is findings.ship else 7,
        color=BEST if point is findings.ship else KEPT if kept else LEFT_OUT,
        zorder=3,
    )
    drop = "" if point.drop is None else f", a drop of {100 * point.drop:.2f} pp"
    end = "ship" if point is findings.ship else "keeps the quality" if kept else "left out"
    name = f"{point.recipe.name} {point.cell.format.value}"
    tip(dot, f"point {at[0]}, {name}: {at[1]:.3g} {unit.name}{drop}; {end}")


def _best_so_far(axes: Axes, findings: Findings, drawn: list[tuple[int, Point, float]]) -> None:
    """A step down at each point that keeps the quality and costs less than all before it."""
    best, xs, ys = None, [], []
    for number, point, cost in drawn:
        if findings.keeps(point) and (best is None or cost < best):
            best = cost
        if best is not None:
            xs.append(number)
            ys.append(best)
    axes.step(xs, ys, where="post", color=KEPT, linewidth=1.2, linestyle="--", zorder=1)


def _axes(axes: Axes, findings: Findings, costs: list[float], unit: units.Unit) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    what = "size of the file" if findings.goal.minimise is Minimise.SIZE else "latency of a call"
    if is_spread(costs):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        what += ", logarithmic"
    else:
        axes.set_ylim(0, 1.08 * max(costs) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"{what}, {unit.name}", fontsize=FONT_SIZE, color=MUTED)
    words = f"point, in the order of the search; n = {len(costs)} with results of {len(findings.points)}"
    axes.set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
    bare(axes, grid="y")
    handles = [
        Line2D([], [], linestyle="none", marker="*", markersize=12, color=BEST, label="ship"),
        Line2D([], [], linestyle="none", marker="o", color=KEPT, label="keeps the quality"),
        Line2D([], [], linestyle="none", marker="x", color=LEFT_OUT, label="left out"),
        Line2D([], [], linestyle="--", color=KEPT, label="best so far"),
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.005, -0.17),
        ncols=4,
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
