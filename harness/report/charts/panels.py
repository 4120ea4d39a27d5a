"""Small multiples: many series, each in a small chart with its nights, the level before and after, and tonight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
_HEIGHT_INCHES = 1.75
# The most letters that fit above a panel.
_TITLE_CHARACTERS = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One series. ``values`` are in ``unit``, oldest first, at least one; the last is tonight's.

    ``first``: the index of the first night of the new level. ``level``: the level before, None if unknown. ``about``:
    what the panel says to a reader who points at tonight's value.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    first: int
    level: float | None
    colour: str
    about: str


def panels(given: Sequence[Panel]) -> Figure | None:
    """Draw a grid of ``given``, in reading order; None without any."""
    if not given:
        return None
    rows = -(-len(given) // COLUMNS)
    height = rows * _HEIGHT_INCHES + 0.2
    figure = new_figure(WIDTH_INCHES, height)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.4 / height, top=1 - 0.4 / height, wspace=0.18, hspace=0.6)
    every = [axes for row in grid for axes in row]
    names = short_names([panel.name for panel in given])
    for axes, panel, name in zip(every, given, names, strict=False):
        _draw(axes, panel, name)
    for axes in every[: len(given)][-COLUMNS:]:
        axes.set_xlabel("nights before tonight", fontsize=FONT_SIZE - 2, color=MUTED)
    for axes in every[len(given) :]:
        axes.set_visible(False)
    return figure


def _draw(axes: Axes, panel: Panel, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    last = len(panel.values) - 1
    # Nights are counted back from tonight.
    ages = [index - last for index in range(len(panel.values))]
    axes.plot(ages[:-1], panel.values[:-1], marker="o", markersize=2.5, color=MUTED, linestyle="none")
    split = panel.first - last - 0.5
    if panel.level is not None:
        axes.plot([ages[0] - 0.5, split], [panel.level, panel.level], color=INK, linewidth=1.4)
    after = median(panel.values[panel.first :])
    axes.plot([split, 0.5], [after, after], color=panel.colour, linewidth=1.4)
    (tonight,) = axes.plot([0], panel.values[-1:], marker="D", markersize=6, color=panel.colour, linestyle="none")
    tip(tonight, panel.about)
    axes.set_title(_short(name), fontsize=FONT_SIZE - 1, color=INK, loc="left")
    axes.set_ylabel(panel.unit, fontsize=FONT_SIZE - 2, color=MUTED)
    axes.margins(x=0.03, y=0.18)
    axes.locator_params(axis="y", nbins=4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    bare(axes, grid="y")


def short_names(names: Sequence[str]) -> list[str]:
    """Return ``names`` without the parts, separated by hyphens, that all have at their end."""
    parts = [name.split("-") for name in names]
    shared = 0
    if len(parts) > 1:
        while all(len(p) > shared + 1 and p[-1 - shared] == parts[0][-1 - shared] for p in parts):
            shared += 1
    return ["-".join(p[: len(p) - shared]) for p in parts]


def _short(name: str) -> str:
    """The end of a long name has the metric and the device, its beginning the model: the middle goes."""
    if len(name) <= _TITLE_CHARACTERS:
        return name
    half = (_TITLE_CHARACTERS - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
