"""A sensitivity scan for people and scripts: the ranked table, the chart and JSON.

The chart shows what the scan ranks by, and beside it what keeping the layers in this order gains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harness.records import units
from harness.records.sensitivity import Scan, ScannedUnit
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = "#0072b2"
LINE = "#d55e00"
ROW_INCHES = 0.215
# The chart leaves out the less sensitive layers, which decide nothing.
MOST_ROWS = 40
_LABEL_CHARACTERS = 34

TITLES = ("", "layer", "kind", "parameters", "SQNR\ndB", "agreement\n%", "kept so far\ndB")


def table_rows(scan: Scan) -> list[tuple[str, ...]]:
    """Return one row of text per unit, the most sensitive first; the columns are `TITLES`.

    The last column is the SQNR of the output with this unit and all before it kept in float.
    """
    return [
        (
            str(rank),
            unit.name,
            _kind(unit),
            f"{unit.parameters:,}".replace(",", units.THIN_SPACE),
            units.decibels(unit.sqnr_db),
            units.NONE if unit.agreement is None else f"{100 * unit.agreement:.0f}",
            units.decibels(scan.kept_sqnr_db[rank]),
        )
        for rank, unit in enumerate(scan.units, 1)
    ]


def summary(scan: Scan) -> str:
    """Return what was scanned and the result of int8 throughout, in two sentences."""
    noise = " of noise, because the model has no calibration data" if scan.random_inputs else ""
    agreement = (
        ""
        if scan.int8_agreement is None
        else f", the float answer on {units.percent(scan.int8_agreement, 0)} of the inputs"
    )
    blocks = "" if scan.layer_count == len(scan.units) else f" in {len(scan.units)} blocks"
    inputs = f"{scan.inputs} calibration input{'s' if scan.inputs != 1 else ''}{noise}"
    plain = units.decibels(scan.kept_sqnr_db[0])
    return (
        f"{scan.model}: {scan.layer_count} layers{blocks}, one at a time in simulated int8 on {inputs}. "
        f"All in int8: {plain} dB{agreement}."
    )


def scan_json(scan: Scan) -> dict[str, Any]:
    """Return the scan as plain values: SQNR in dB, shares 0…1, None for what was not measured."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scan))
    return plain


def scan_chart(scan: Scan) -> str:
    """Draw the scan as SVG: one bar per unit, and the output's SQNR with all units down to that row in float."""
    shown = scan.units[:MOST_ROWS]
    height = len(shown) * ROW_INCHES + 1.0
    figure = new_figure(WIDTH_INCHES, height)
    bars, line = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    figure.subplots_adjust(left=0.27, right=0.985, bottom=0.5 / height, top=1 - 0.42 / height, wspace=0.06)
    _draw_bars(bars, shown)
    _draw_line(line, scan, len(shown))
    left_out = len(scan.units) - len(shown)
    if left_out:
        bars.set_xlabel(f"{left_out} less sensitive layers are not shown", fontsize=FONT_SIZE - 1, color=MUTED)
    return svg_of(figure)


def _draw_bars(axes: Axes, shown: tuple[ScannedUnit, ...]) -> None:
    places = range(len(shown))
    # Layers that int8 does not change have an SQNR of 200 dB, which would squeeze all other bars.
    values = [min(unit.sqnr_db, 100.0) for unit in shown]
    axes.barh(places, values, 0.72, color=BAR)
    for place, value, unit in zip(places, values, shown, strict=True):
        text = units.decibels(unit.sqnr_db)
        at = (max(value, 0.0), place)
        style: dict[str, Any] = {"va": "center", "fontsize": FONT_SIZE - 1, "color": INK}
        axes.annotate(text, at, xytext=(4, 0), textcoords="offset points", **style)
    axes.set_yticks(list(places), [_shortened(unit.name) for unit in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(min(0.0, *values), max(1.0, *values) * 1.12)
    axes.set_title("only this layer in int8, dB", fontsize=FONT_SIZE, color=MUTED, loc="left")
    bare(axes, grid="x")
    for tick in axes.get_yticklabels():
        tick.set_color(INK)


def _draw_line(axes: Axes, scan: Scan, rows: int) -> None:
    # The last value is the float network itself, whose ratio is infinite.
    values = scan.kept_sqnr_db[1 : min(rows, len(scan.units) - 1) + 1]
    plain = scan.kept_sqnr_db[0]
    axes.axvline(plain, color=MUTED, linewidth=0.9, linestyle="--")
    axes.plot(values, range(len(values)), color=LINE, linewidth=1.6, marker="o", markersize=3.4)
    ends = [plain, *values]
    room = 0.08 * ((max(ends) - min(ends)) or 1.0)
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.set_title("float down to here, dB", fontsize=FONT_SIZE, color=MUTED, loc="left")
    axes.set_xlabel(f"dashed: all in int8, {plain:.1f} dB", fontsize=FONT_SIZE - 1, color=MUTED)
    bare(axes, grid="both")
    axes.tick_params(axis="y", labelleft=False)


def _kind(unit: ScannedUnit) -> str:
    return unit.kind if len(unit.layers) == 1 else f"{len(unit.layers)} × {unit.kind}"


def _shortened(name: str) -> str:
    """The end of a long name, which distinguishes it from its neighbours."""
    return name if len(name) <= _LABEL_CHARACTERS else f"…{name[-_LABEL_CHARACTERS + 1 :]}"
