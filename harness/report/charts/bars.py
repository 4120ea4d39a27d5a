"""Bar charts of memory and size: one row per cell, in blocks by format.

The bars are horizontal, so that forty names can be read, and start at zero, so that lengths can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.charts.rows import names_share, shown_name
from harness.report.view import CellView, MemoryGrowth, full_labels, memory_growth
from harness.spec.formats import FORMATS
from harness.wire import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A row holds one line of text at FONT_SIZE (10 points are 0.139 inch) with some air around it.
ROW_INCHES = 0.235
LABEL_INCHES = 2.4
# Room for the value's text beside its bar, as a share of the longest bar.
ROOM = 0.17
# The name of a panel above its bars.
TITLE_INCHES = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A cell, or the name of a format above its cells if ``view`` is None; ``place`` counts down from the top."""

    place: float
    label: str
    format: Format
    view: CellView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its length in the base unit (bytes), and the text at its end."""

    value: float
    text: str


def size_bars(views: tuple[CellView, ...], names: Mapping[str, str] | None = None) -> Figure | None:
    """Draw the sizes of the artifacts, with the ratio to fp32 at the end of each bar; None without any.

    ``names`` by cell key, else those of the files.
    """
    # Several cells run one file.
    drawn = tuple({v.cell.build: v for v in views if v.artifact}.values())
    unit = units.size_unit(v.artifact.bytes for v in drawn if v.artifact)

    def bar(view: CellView) -> Bar | None:
        if view.artifact is None:
            return None
        ratio = f"  {units.ratio(view.size_ratio)}" if view.size_ratio and view.size_ratio != 1 else ""
        return Bar(value=view.artifact.bytes, text=f"{unit.show(view.artifact.bytes)}{ratio}")

    return _single(rows_of(drawn, names or full_labels(drawn, threads=False)), bar, unit, f"file, {unit.name}")


_MOMENTS: tuple[tuple[str, Callable[[MemoryGrowth], int | None]], ...] = (
    ("loaded", lambda g: g.loaded_bytes),
    ("steady", lambda g: g.steady_bytes),
    ("peak", lambda g: g.peak_bytes),
    ("retained", lambda g: g.retained_bytes),
    ("mapped files", lambda g: g.mapped_bytes),
)


def memory_bars(views: tuple[CellView, ...], names: Mapping[str, str] | None = None) -> Figure | None:
    """Draw memory over the baseline, one panel per moment on one scale; None without any reading.

    ``names`` by cell key, else those of `full_labels`.
    """
    drawn = tuple(v for v in views if v.memory)
    if not drawn:
        return None
    growths = {v.cell.key: g for v in drawn if (g := memory_growth(v.memory))}
    moments = [(name, read) for name, read in _MOMENTS if any(read(g) is not None for g in growths.values())]
    values = [x for g in growths.values() for _, read in moments if (x := read(g)) is not None]
    unit = units.size_unit(values)
    rows = rows_of(drawn, names or full_labels(drawn))
    height = _height(rows) + TITLE_INCHES
    figure = new_figure(WIDTH_INCHES, height)
    # One moment may be all that another program tells.
    panels = figure.subplots(1, len(moments), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(
        left=_left(rows), right=0.995, bottom=0.5 / height, top=1 - TITLE_INCHES / height, wspace=0.08
    )
    for axes, (name, read) in zip(panels, moments, strict=True):

        def bar(view: CellView, read: Callable[[MemoryGrowth], int | None] = read) -> Bar | None:
            value = read(growths[view.cell.key])
            return None if value is None else Bar(value=value, text=unit.show(value))

        _draw(axes, rows, bar, unit)
        # The same text takes a larger share of a narrow panel. All panels have the limits of all values, so that bars
        # can be compared across moments.
        _limits(axes, values, unit, room=0.45)
        axes.set_title(f"{name}, {unit.name}", fontsize=FONT_SIZE, color=MUTED, loc="left")
    return figure


def rows_of(views: tuple[CellView, ...], names: Mapping[str, str]) -> list[Row]:
    """Return the rows of ``views`` from the top, in blocks by format in the order of `FORMATS`, each below its name."""
    rows: list[Row] = []
    place = 0.0
    for format_ in FORMATS:
        block = [v for v in views if v.cell.format is format_]
        if not block:
            continue
        rows.append(Row(place=place, label=format_.value, format=format_))
        for view in block:
            # The heading itself takes a row, so the first cell is one below it.
            place += 1
            # The heading of the block gives the format.
            name = names[view.cell.key].replace(f" {format_.value}", "", 1)
            rows.append(Row(place=place, label=name, format=format_, view=view))
        # More than one row, so that the gap between blocks is wider than that between bars.
        place += 1.35
    return rows


def _single(rows: list[Row], bar: Callable[[CellView], Bar | None], unit: units.Unit, label: str) -> Figure | None:
    if not rows:
        return None
    figure = new_figure(WIDTH_INCHES, _height(rows))
    axes = figure.subplots()
    figure.subplots_adjust(left=_left(rows), right=0.995, bottom=_below(rows), top=0.995)
    _draw(axes, rows, bar, unit)
    ends = [b.value for row in rows if row.view and (b := bar(row.view))]
    _limits(axes, ends, unit, room=ROOM)
    axes.set_xlabel(label, fontsize=FONT_SIZE, color=MUTED)
    return figure


def _draw(axes: Axes, rows: list[Row], bar: Callable[[CellView], Bar | None], unit: units.Unit) -> None:
    for row in rows:
        drawn = bar(row.view) if row.view else None
        if drawn is not None:
            _draw_bar(axes, row, drawn, unit)
    axes.set_yticks([r.place for r in rows], [shown_name(r.label) for r in rows])
    # The larger limit comes first: places count downwards.
    axes.set_ylim(rows[-1].place + 0.6, rows[0].place - 0.6)
    bare(axes, grid="x")
    # A panel that shares its rows with the one to its left has no labels.
    for tick, row in zip(axes.get_yticklabels(), rows, strict=False):
        tick.set_color(INK)
        if row.view is None:
            tick.set_fontweight("bold")


def _draw_bar(axes: Axes, row: Row, bar: Bar, unit: units.Unit) -> None:
    length = bar.value / unit.size
    (patch,) = axes.barh(row.place, length, 0.72, color=FORMATS[row.format].colour)
    tip(patch, f"{row.label} {row.format.value}: {unit.full(bar.value)}")
    axes.annotate(
        bar.text,
        (max(length, 0.0), row.place),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT_SIZE - 1,
        color=INK,
    )


def _limits(axes: Axes, values: list[float] | list[int], unit: units.Unit, *, room: float) -> None:
    """Start at zero, or below it if a value is negative, and leave room for the text of the longest bar."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(0.0, *values) / unit.size, max(0.0, *values) / unit.size
    # All values may be zero, and an axis of no length cannot be drawn.
    span = (high - low) or 1.0
    axes.set_xlim(low - (0.03 * span if low < 0 else 0.0), high + room * span)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if room > ROOM else 7))
    if low < 0:
        axes.axvline(0.0, color=MUTED, linewidth=0.8)


def _height(rows: list[Row]) -> float:
    # One row and a bit for the first and the last half row, and half an inch for the axis and its label.
    return (rows[-1].place + 1.2) * ROW_INCHES + 0.55


def _left(rows: list[Row]) -> float:
    """The share of the width that names take, which is the same in all charts unless a name is long."""
    return max(LABEL_INCHES / WIDTH_INCHES, names_share([row.label for row in rows]))


def _below(rows: list[Row]) -> float:
    return 0.5 / _height(rows)
