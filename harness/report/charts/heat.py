"""The speed of each variant compared with fp32, for all models and devices of a run in one picture.

Blue is faster and orange is slower, which every common kind of colour blindness can tell apart. Each field has its
ratio as a number, and is hatched where the intervals do not tell the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.compare.quality import GOOD
from harness.compare.speed import is_slower, range_of
from harness.records import units
from harness.report.charts.figure import FONT_SIZE, INK, MUTED, WIDTH_INCHES, bare, new_figure, tip
from harness.report.charts.subset import best
from harness.report.ranking import Ranking, median_ns
from harness.report.view import CellView
from harness.spec.recipe import Precision

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.3
MOST_ROWS, MOST_COLUMNS = 60, 26
# The ratio at which the colour is full, in doublings.
FULL = 2.0
FASTER, SLOWER, EVEN = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0), (0.96, 0.96, 0.95)
# On the colours of the fields, in light and dark pages alike.
_TEXT = "#111111"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatField:
    """One field: the fastest cell of a variant beside the fastest fp32 cell of its row, as a ratio of times."""

    view: CellView
    plain: CellView
    ratio: float
    decided: bool
    good: bool


def heat_map(rankings: Sequence[Ranking]) -> Figure | None:
    """Draw a row per model and device and a column per variant; None without two fields to compare."""
    fields = {f"{r.model} on {r.device}": _fields(r) for r in rankings}
    rows = {name: row for name, row in fields.items() if len(row) > 1}
    variants = list(dict.fromkeys(variant for row in rows.values() for variant in row))[:MOST_COLUMNS]
    if not rows or len(rankings) < 2:
        return None
    drawn = dict(list(rows.items())[:MOST_ROWS])
    above = 0.2 + 0.075 * max(map(len, variants))
    height = len(drawn) * ROW_INCHES + above + 0.45
    figure = new_figure(WIDTH_INCHES, height)
    axes = figure.subplots()
    left = min(0.4, (0.081 * max(map(len, drawn)) + 0.15) / WIDTH_INCHES)
    figure.subplots_adjust(left=left, right=0.995, bottom=0.4 / height, top=1 - above / height)
    for y, row in enumerate(drawn.values()):
        for x, variant in enumerate(variants):
            if variant in row:
                _draw(axes, x, y, row[variant])
    _axes(axes, list(drawn), variants, left_out=len(rows) - len(drawn))
    return figure


def _fields(ranking: Ranking) -> dict[str, HeatField]:
    """The fastest cell of each variant that may be ranked, by variant; nothing without fp32."""
    ranked = [v for v in ranking.ok if v.latency and ranking.is_ranked(v)]
    plain = min((v for v in ranked if v.cell.variant == Precision.FP32), key=median_ns, default=None)
    if plain is None or not median_ns(plain):
        return {}
    return {view.cell.variant: _field(ranking, view, plain) for view in best(ranking, ranked, lambda v: v.cell.variant)}


def _field(ranking: Ranking, view: CellView, plain: CellView) -> HeatField:
    assert view.latency is not None
    assert plain.latency is not None
    here, there = range_of(view.latency), range_of(plain.latency)
    return HeatField(
        view=view,
        plain=plain,
        ratio=median_ns(view) / median_ns(plain),
        decided=view is plain or is_slower(here, there) or is_slower(there, here),
        good=ranking.quality[view.cell.key].quality in GOOD,
    )


def _draw(axes: Axes, x: int, y: int, field: HeatField) -> None:
    from matplotlib.patches import Rectangle

    name = f"{field.view.cell.variant} {field.view.cell.format.value}"
    words = f"{field.view.cell.model} on {field.view.cell.device}, {name}: {units.time(median_ns(field.view))}, "
    words += f"{field.ratio:.2f} times the fp32 time of {units.time(median_ns(field.plain))}"
    words += "" if field.decided else "; the intervals do not tell them apart"
    words += "" if field.good else "; not shown to be good enough"
    patch = Rectangle(
        (x - 0.48, y - 0.46),
        0.96,
        0.92,
        hatch=None if field.decided else "////",
        facecolor=_colour(field.ratio),
        # The hatching takes the colour of the edge.
        edgecolor="none" if field.decided else "#a0a0a0",
        linewidth=0,
    )
    tip(axes.add_patch(patch), words)
    text = f"{field.ratio:.2f}" if field.good else f"({field.ratio:.2f})"
    axes.text(x, y, text, ha="center", va="center", fontsize=FONT_SIZE - 1, color=_TEXT)


def _colour(ratio: float) -> tuple[float, float, float]:
    """Between even and full colour by the logarithm of the ratio; pale enough for black text."""
    share = 0.75 * min(1.0, abs(math.log2(ratio)) / FULL) if ratio > 0 else 0.0
    end = FASTER if ratio < 1 else SLOWER
    red, green, blue = (a + share * (b - a) for a, b in zip(EVEN, end, strict=True))
    return red, green, blue


def _axes(axes: Axes, rows: list[str], variants: list[str], *, left_out: int) -> None:
    axes.set_xlim(-0.5, len(variants) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    bare(axes, grid="")
    axes.xaxis.tick_top()
    slanted = len(variants) > 6
    axes.set_xticks(range(len(variants)), variants, rotation=40 if slanted else 0, ha="left" if slanted else "center")
    axes.tick_params(axis="x", length=0, pad=2)
    for label in (*axes.get_yticklabels(), *axes.get_xticklabels()):
        label.set_color(INK)
    more = f"; {left_out} more rows are not drawn" if left_out else ""
    words = f"time of the fastest cell of a variant / of the fastest fp32 cell (1 = as fast){more}"
    axes.set_xlabel(words, fontsize=FONT_SIZE, color=MUTED)
