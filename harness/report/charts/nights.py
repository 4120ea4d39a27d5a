"""The nights of one series as a chart: values with their intervals, the level of each segment, changes and swaps.

Colour is only for what needs attention: confirmed changes are orange or green. Suspected changes and swaps are grey.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.history.records import Decision, Night
from harness.history.story import Change, Story
from harness.records import units
from harness.records.conditions import ConditionId
from harness.records.metrics import metric_named
from harness.report.charts.figure import FONT_SIZE, GRID, INK, MUTED, WIDTH_INCHES, bare, new_figure, png_of, svg_of
from harness.system.files import storage_errors, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 4.2
POINT = "#0072b2"
WORSE, BETTER = "#d55e00", "#009e73"
# Conditions that make one night less trustworthy than others. Conditions of every night say nothing about one.
TAINTS = frozenset(
    {
        ConditionId.THERMAL,
        ConditionId.LOW_BATTERY,
        ConditionId.LOW_POWER_MODE,
        ConditionId.UNSTEADY,
        ConditionId.THROTTLED,
        ConditionId.BUSY_HOST,
        ConditionId.FALLBACK,
    }
)
COMMIT_SHOWN = 8
# Lines of labels above the frame, their distance, and about how wide one of their letters is; all in points.
LINES, LINE_POINTS, CHARACTER_POINTS = 4, 12, 4.9


def write_chart(story: Story, path: Path) -> Path | None:
    """Draw ``story`` to ``path``, an .svg or a .png, and return the path; None if no night has a value.

    Raises `UsageError` for another suffix, `StoreError` if it cannot be written.
    """
    drawers = {".svg": _svg_bytes, ".png": nights_png}
    if path.suffix.lower() not in drawers:
        msg = f"{str(path)!r} ends in {path.suffix!r}: a chart must be an .svg or a .png file"
        raise UsageError(msg)
    data = drawers[path.suffix.lower()](story)
    if data is None:
        return None
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path


def nights_svg(story: Story) -> str | None:
    """Return the chart of ``story`` as SVG; None if no night has a value."""
    figure = nights_figure(story)
    return None if figure is None else svg_of(figure)


def nights_png(story: Story) -> bytes | None:
    """Return the same chart as PNG; None if no night has a value."""
    figure = nights_figure(story)
    return None if figure is None else png_of(figure)


def is_tainted(night: Night) -> bool:
    """Return whether a condition made this night less trustworthy than others."""
    return night.tainted or any(name in TAINTS for name in night.conditions)


def unit_of(story: Story) -> units.Unit:
    """Return the unit for the values of ``story``. Raises `StoreError` for a metric of a later version."""
    values = [night.figures.value for night in story.nights if night.figures]
    return metric_named(story.series.metric).formatter.unit_for(values)


def commit_range(change: Change) -> str:
    """Return where to look for the cause: after the last good commit, up to and including the first bad one."""
    if change.first_bad is None:
        return "commit unknown"
    if change.last_good in (None, change.first_bad):
        return f"at {change.first_bad[:COMMIT_SHOWN]}"
    return f"{(change.last_good or '')[:COMMIT_SHOWN]}..{change.first_bad[:COMMIT_SHOWN]}"


def _svg_bytes(story: Story) -> bytes | None:
    svg = nights_svg(story)
    return None if svg is None else svg.encode()


def nights_figure(story: Story) -> Figure | None:
    """Draw ``story``; None if no night has a value."""
    if not story.nights:
        return None
    unit = unit_of(story)
    figure = new_figure(WIDTH_INCHES, HEIGHT_INCHES)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.12, top=0.78)
    times = [_time(night) for night in story.nights]
    _points(axes, story, times, unit)
    _levels(axes, story, times, unit)
    _axes(axes, story, unit)
    lines = _rules(axes, story, times)
    axes.set_title(story.series.name, fontsize=FONT_SIZE, color=INK, loc="left", pad=8 + lines * LINE_POINTS)
    figure.subplots_adjust(top=0.92 - lines * LINE_POINTS / (72 * HEIGHT_INCHES))
    _gaps(axes, story)
    return figure


def _time(night: Night) -> float:
    """The time of the night in days, as matplotlib's date axes count them."""
    from matplotlib.dates import date2num

    return float(date2num(datetime.fromisoformat(night.created_at)))


def _points(axes: Axes, story: Story, times: list[float], unit: units.Unit) -> None:
    """One artist for all intervals and one per look of the points: hundreds of artists take half a second to draw."""
    shown = [(at, night, night.figures) for night, at in zip(story.nights, times, strict=True) if night.figures]
    ends = [(at, f.low, f.high) for at, _, f in shown if f.low is not None and f.high is not None]
    axes.vlines(
        [at for at, _, _ in ends],
        [low / unit.size for _, low, _ in ends],
        [high / unit.size for _, _, high in ends],
        colors=POINT,
        linewidth=0.9,
        alpha=0.7,
    )
    for face in (POINT, "none"):
        alike = [(at, f.value / unit.size) for at, night, f in shown if is_tainted(night) is (face == "none")]
        axes.plot(
            [at for at, _ in alike],
            [value for _, value in alike],
            marker="o",
            markersize=4,
            markerfacecolor=face,
            markeredgecolor=POINT,
            linestyle="none",
        )


def _levels(axes: Axes, story: Story, times: list[float], unit: units.Unit) -> None:
    for segment in story.segments:
        level = segment.median / unit.size
        axes.plot([times[segment.first], times[segment.last]], [level, level], color=INK, linewidth=1.4, zorder=3)


def _axes(axes: Axes, story: Story, unit: units.Unit) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    low, high = axes.get_ylim()
    margin = 0.12 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(
        f"{metric_named(story.series.metric).label}, {unit.name}".rstrip(", "), fontsize=FONT_SIZE, color=MUTED
    )
    bare(axes, grid="y")


def _rules(axes: Axes, story: Story, times: list[float]) -> int:
    """A vertical rule per change or swap, with a label above the frame on the lowest line with room for it.

    Returns the number of lines with a label.
    """
    marks = [(c.index, _change_words(c), *_change_look(c)) for c in story.changes]
    marks += [(s.index, _short(f"{s.kind}: {s.before} → {s.after}"), MUTED, ":") for s in story.swaps]
    taken: list[list[tuple[float, float]]] = [[] for _ in range(LINES)]
    for index, words, colour, style in sorted(marks, key=lambda mark: mark[0]):
        axes.axvline(times[index], color=colour, linewidth=1.2, linestyle=style, zorder=1)
        right = index > len(times) / 2
        x = float(axes.transData.transform((times[index], 0))[0])
        width = CHARACTER_POINTS * len(words)
        span = (x - width, x) if right else (x, x + width)
        line = next((i for i, spans in enumerate(taken) if not any(_meet(span, s) for s in spans)), LINES - 1)
        taken[line].append(span)
        axes.annotate(
            words,
            (times[index], 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if right else 3, 3 + LINE_POINTS * line),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=FONT_SIZE - 2,
            color=colour,
        )
    return sum(map(bool, taken))


def _meet(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _gaps(axes: Axes, story: Story) -> None:
    """A cross at the bottom for each night on which the cell failed."""
    foot = axes.get_ylim()[0]
    for night in story.gaps:
        axes.plot([_time(night)], [foot], marker="x", markersize=5, color=MUTED, clip_on=False, linestyle="none")
    axes.axhline(foot, color=GRID, linewidth=0.7)


def _change_words(change: Change) -> str:
    size = "" if change.ratio is None else f"{100 * (change.ratio - 1):+.1f} % "
    return f"{size}{change.decision or 'suspected'}, {commit_range(change)}"


def _change_look(change: Change) -> tuple[str, str]:
    """The colour and the line style of a change's rule."""
    if change.decision is not Decision.CONFIRMED:
        return MUTED, "--"
    return WORSE if change.worse else BETTER, "-"


def _short(words: str, most: int = 64) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
