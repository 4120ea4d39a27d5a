"""What charts with a row per cell or file share: the sizes and names of rows, and an axis of times below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.charts.figure import GRID, INK, WIDTH_INCHES, bare, log_axis, new_figure
from harness.stats.medians import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.25
# Room for the names at the left, per character, and for the values at the right.
CHARACTER_INCHES, VALUE_INCHES = 0.081, 1.15
# Names that are longer are cut: a model of another program may have any name.
MOST_CHARACTERS = 60
# The ratio of the slowest to the middle from which the others would be flattened.
LOG_FROM = 5.0


def is_spread(values: Sequence[float]) -> bool:
    """Return whether one of ``values`` is so large that the others would be flattened on an axis from zero."""
    return min(values) > 0 and max(values) / median(values) > LOG_FROM


def new_rows(names: Sequence[str]) -> tuple[Figure, float]:
    """Return a figure with room for rows of these names, their values and a legend, and how far below that goes."""
    height = len(names) * ROW_INCHES + 0.95
    figure = new_figure(WIDTH_INCHES, height)
    left = names_share(names)
    figure.subplots_adjust(
        left=left, right=1 - VALUE_INCHES / WIDTH_INCHES, bottom=0.75 / height, top=1 - 0.12 / height
    )
    return figure, 0.46 / (height - 0.87)


def names_share(names: Sequence[str]) -> float:
    """Return the share of a chart's width that the ``names`` at its left take."""
    return min(0.4, (max(len(shown_name(name)) for name in names) * CHARACTER_INCHES + 0.15) / WIDTH_INCHES)


def shown_name(name: str, most: int = MOST_CHARACTERS) -> str:
    """Return ``name`` without its middle if it is so long that the chart would shrink beside it."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 + 1 :]}"


def scale_values(axes: Axes, values: Sequence[float], ends: Sequence[float] = ()) -> str:
    """Scale the axis to ``values`` and to the ``ends`` of lines around them, and return how, for the text below it.

    It is logarithmic if a value would flatten the others.
    """
    if is_spread(values):
        log_axis(axes)
        axes.set_xlim(min([*values, *(end for end in ends if end > 0)]) / 1.15, max([*values, *ends]) * 1.15)
        return ", logarithmic"
    # All calls may have taken no time at all on a coarse clock.
    axes.set_xlim(0, 1.04 * max([*values, *ends]) or 1.0)
    return ""


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write the names at the left, from the top, and shade every other row."""
    axes.set_yticks(range(len(names)), [shown_name(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    bare(axes, grid="x")
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, facecolor=GRID, alpha=0.25, zorder=0)
    for label in axes.get_yticklabels():
        label.set_color(INK)
