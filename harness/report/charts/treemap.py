"""The operators of a cell as a treemap: an area per type, divided into its operators, each as large as its time.

The layout is the squarified one (Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import units
from harness.records.operators import Operator, OperatorProfile
from harness.report.charts.figure import FONT_SIZE, WIDTH_INCHES, new_figure, tip
from harness.report.charts.stacks import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 4.4
# Operators of a type that are drawn; the others of it are one area.
MOST_IN_KIND = 24
# The dark ones of Okabe and Ito's colours need white letters.
_DARK = {"#0072b2", "#009e73", "#999999"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A rectangle, in the units of the whole."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], within: Area) -> list[Area]:
    """Return an area per size, in its order; ``sizes`` are positive, the largest first, and fill ``within``."""
    scale = within.width * within.height / sum(sizes)
    areas: list[Area] = []
    left, at = within, 0
    while at < len(sizes):
        side, row = min(left.width, left.height), [sizes[at] * scale]
        while at + len(row) < len(sizes) and _worst([*row, sizes[at + len(row)] * scale], side) <= _worst(row, side):
            row.append(sizes[at + len(row)] * scale)
        areas += _row(row, left)
        thick = sum(row) / side
        across = left.width <= left.height
        left = Area(
            x=left.x if across else left.x + thick,
            y=left.y + thick if across else left.y,
            width=left.width if across else left.width - thick,
            height=left.height - thick if across else left.height,
        )
        at += len(row)
    return areas


def _worst(row: Sequence[float], side: float) -> float:
    """The largest ratio of the sides of the rectangles of a row along ``side``."""
    total = sum(row)
    return max(side * side * max(row) / total**2, total**2 / (side * side * min(row)))


def _row(row: Sequence[float], left: Area) -> Iterator[Area]:
    along = 0.0
    across = left.width <= left.height
    thick = sum(row) / (left.width if across else left.height)
    for size in row:
        length = size / thick
        if across:
            yield Area(x=left.x + along, y=left.y, width=length, height=thick)
        else:
            yield Area(x=left.x, y=left.y + along, width=thick, height=length)
        along += length


def operator_map(profile: OperatorProfile | None) -> Figure | None:
    """Draw the operators of one cell; None unless several were timed."""
    timed = [o for o in profile.by_time if o.total_ns] if profile else []
    if profile is None or len(timed) < 2:
        return None
    kinds: dict[str, list[Operator]] = {}
    for operator in timed:
        kinds.setdefault(operator.kind, []).append(operator)
    # Before anything is laid out, the largest types come first.
    ordered = sorted(kinds.items(), key=lambda item: -_time(item[1]))
    figure = new_figure(WIDTH_INCHES, HEIGHT_INCHES)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.995)
    whole = Area(x=0.0, y=0.0, width=WIDTH_INCHES, height=HEIGHT_INCHES)
    areas = squarified([_time(operators) for _, operators in ordered], whole)
    for number, ((kind, operators), area) in enumerate(zip(ordered, areas, strict=True)):
        _draw_kind(axes, (kind, operators), area, (COLOURS[min(number, len(COLOURS) - 1)], profile))
    axes.set_xlim(0, WIDTH_INCHES)
    axes.set_ylim(HEIGHT_INCHES, 0)
    axes.axis("off")
    return figure


def _draw_kind(axes: Axes, kind: tuple[str, list[Operator]], area: Area, look: tuple[str, OperatorProfile]) -> None:
    from matplotlib.patches import Rectangle

    (name, operators), (colour, profile) = kind, look
    parts = _parts(operators)
    inner = squarified([size for _, size in parts], area)
    for (words, size), place in zip(parts, inner, strict=True):
        box = Rectangle(
            (place.x, place.y), place.width, place.height, facecolor=colour, edgecolor="#ffffff", linewidth=0.6
        )
        axes.add_patch(box)
        tip(box, f"{name} {words}".strip() + f": {units.time(size / (profile.calls or 1))}, {_share(size, profile)}")
    share = _time(operators)
    label = f"{name}\n{_share(share, profile)}, n = {len(operators)}"
    if area.height > 0.4 and area.width > 0.085 * max(len(line) for line in label.split("\n")):
        ink = "#ffffff" if colour in _DARK else "#000000"
        behind = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
        axes.text(area.x + 0.06, area.y + 0.06, label, va="top", fontsize=FONT_SIZE - 1, color=ink, bbox=behind)


def _parts(operators: Sequence[Operator]) -> list[tuple[str, float]]:
    """The name and the time in ns of each operator of a type; many small ones are one part, which may be larger."""
    shown = [(operator.name, float(operator.total_ns or 0)) for operator in operators[:MOST_IN_KIND]]
    rest = _time(operators[MOST_IN_KIND:])
    if rest:
        shown.append((f"{len(operators) - MOST_IN_KIND} more", rest))
    return sorted(shown, key=lambda part: -part[1])


def _time(operators: Sequence[Operator]) -> float:
    return float(sum(operator.total_ns or 0 for operator in operators))


def _share(size: float, profile: OperatorProfile) -> str:
    return f"{units.percent(size / (profile.total_ns or 1))} of all"
