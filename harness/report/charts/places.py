"""The same file on several devices: one row per file, one mark per device, and the ratio of the slowest to the fastest.

This is where devices stand side by side on purpose, such as a computer and the browser on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.records import units
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, tip, value_beside
from harness.report.charts.rows import name_rows, new_rows, scale_values
from harness.report.ranking import Ranking, median_ns
from harness.report.view import CellView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS, MOST_DEVICES = 40, 6
# Shape and colour both tell devices apart; the colours are those of Okabe and Ito (2008).
_MARKS = (("o", "#0072b2"), ("s", "#d55e00"), ("^", "#009e73"), ("D", "#cc79a7"), ("v", "#e69f00"), ("P", "#56b4e9"))

# The fastest cell of each device, by device, for one file.
Row = dict[str, CellView]


def device_dots(rankings: Sequence[Ranking]) -> Figure | None:
    """Draw the median latency of each file on every device; None unless a file ran on two devices or more.

    ``rankings`` are those of one model. Of several cells of a file on a device, such as with more threads, the fastest
    is shown.
    """
    rows = _rows(rankings)
    devices = list(dict.fromkeys(device for row in rows.values() for device in row))[:MOST_DEVICES]
    drawn = {name: row for name, row in list(rows.items())[:MOST_ROWS] if len(row) > 1}
    if not drawn or len(devices) < 2:
        return None
    views = [view for row in drawn.values() for view in row.values()]
    unit = units.time_unit(median_ns(view) for view in views)
    figure, below = new_rows(list(drawn))
    axes = figure.subplots()
    for y, (name, row) in enumerate(drawn.items()):
        _row(axes, y, name, {device: row[device] for device in devices if device in row}, devices, unit)
    scale = scale_values(axes, [median_ns(view) / unit.size for view in views])
    name_rows(axes, list(drawn))
    axes.set_xlabel(f"median latency of a call, {unit.name}{scale}", fontsize=FONT_SIZE, color=MUTED)
    _legend(axes, devices, below=below)
    return figure


def _rows(rankings: Sequence[Ranking]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for ranking in rankings:
        for view in sorted(ranking.ok, key=median_ns):
            rows.setdefault(f"{view.cell.variant} {view.cell.format.value}", {}).setdefault(ranking.device, view)
    return rows


def _row(axes: Axes, y: int, name: str, row: Row, devices: Sequence[str], unit: units.Unit) -> None:
    times = {device: median_ns(view) for device, view in row.items()}
    low, high = min(times.values()), max(times.values())
    axes.plot([low / unit.size, high / unit.size], [y, y], color=MUTED, linewidth=1.2, alpha=0.6, zorder=1)
    for device, view in row.items():
        marker, colour = _MARKS[devices.index(device)]
        (mark,) = axes.plot(
            [times[device] / unit.size], [y], linestyle="none", marker=marker, markersize=7, color=colour
        )
        tip(mark, f"{name} on {device}, {view.cell.delegate.value}: {unit.full(times[device])}")
    # On a coarse clock, calls may take no time at all.
    if low > 0:
        value_beside(axes, y, f"{high / low:.2g}×" if high / low < 100 else f"{high / low:.0f}×")


def _legend(axes: Axes, devices: Sequence[str], *, below: float) -> None:
    handles = [
        axes.plot([], [], linestyle="none", marker=marker, color=colour, label=device)[0]
        for device, (marker, colour) in zip(devices, _MARKS, strict=False)
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, -below),
        ncols=len(devices),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
    )
