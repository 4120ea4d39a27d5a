"""The common look of the charts, and a matplotlib figure as an SVG string.

The same figures give the same bytes: nothing in the file depends on the clock or on chance. matplotlib is used without
pyplot, whose state is global. Text stays text, which is small, sharp and searchable.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.spec.formats import FORMATS
from harness.spec.recipe import Precision
from harness.wire import Format

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

MARKERS: dict[str, str] = {
    Precision.FP32: "o",
    Precision.FP16: "s",
    Precision.INT8: "^",
    Precision.INT8_DYNAMIC: "D",
}
# Shapes for all other variants, in the order in which they appear.
OTHER_MARKERS = ("P", "v", "X", "<", "p", ">", "h", "*", "d", "8", "H")
# Inline charts replace these three by the colours of the page.
INK = "#24292f"
MUTED = "#6e7781"
GRID = "#d8dee4"
FONT_SIZE = 10.0
# 864 points, which the page shows at about 1,190 pixels.
WIDTH_INCHES = 12.0
# Around the content of every chart.
MARGIN_INCHES = 0.06
# What begins the id of an artist that has a text for readers who point at it, or whose program reads the page aloud.
_TIP = "tip "

# matplotlib's stubs type the keys as one long Literal, hence Any. The salt makes the ids in the SVG repeatable.
_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_SIZE,
    "svg.fonttype": "none",
    "svg.hashsalt": "phonebench",
    "axes.unicode_minus": False,
}

_DRAWING = threading.Lock()


def markers_of(variants: Iterable[str]) -> dict[str, str]:
    """Return a shape by variant: that of a plain precision, else the next free one."""
    others = [v for v in dict.fromkeys(variants) if v not in MARKERS]
    return MARKERS | {variant: OTHER_MARKERS[i % len(OTHER_MARKERS)] for i, variant in enumerate(others)}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` by ``height`` inches, at one pixel per point (1/72 inch)."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=72)
    # pyplot would attach a canvas, which is needed to measure text.
    FigureCanvasSVG(figure)
    return figure


def svg_of(figure: Figure) -> str:
    """Return ``figure`` as SVG, cropped to its content; equal figures give equal strings."""
    buffer = io.StringIO()
    # matplotlib writes the date and its version by default.
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with _drawing(figure):
        figure.savefig(buffer, format="svg", metadata=nothing, bbox_inches=_content(figure), transparent=True)
    return _with_titles(buffer.getvalue())


@contextmanager
def _drawing(figure: Figure) -> Iterator[None]:
    """Set the common style while ``figure`` is saved. Names in it may hold anything and are shown as they are."""
    import matplotlib as mpl
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        # A name with two dollar signs would be read as a formula.
        text.set_parse_math(False)
    # The style and the filter of warnings belong to the whole process, and the dashboard draws in several threads.
    with _DRAWING, mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A character that the font lacks is only measured with another: an SVG is shown in the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def tip(artist: Artist, words: str) -> None:
    """Give ``artist`` a text that shows when it is pointed at, and that a screen reader says."""
    artist.set_gid(_TIP + words)


def _with_titles(svg: str) -> str:
    """Turn the ids of `tip` into titles, which is what SVG has for this. matplotlib has escaped the words already."""
    return re.sub(rf'<g id="{_TIP}([^"]*)">', r'<g role="img"><title>\1</title>', svg)


def png_of(figure: Figure) -> bytes:
    """Return ``figure`` as PNG on white, at two pixels per point."""
    buffer = io.BytesIO()
    with _drawing(figure):
        figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None}, bbox_inches=_content(figure))
    return buffer.getvalue()


def _content(figure: Figure) -> Bbox:
    """Return what the artists of ``figure`` cover, with a margin, in inches.

    ``savefig(bbox_inches="tight")`` finds the same after it has drawn the whole figure for nothing, which takes as long
    as the drawing itself.
    """
    return figure.get_tightbbox().padded(MARGIN_INCHES)


def bare(axes: Axes, *, grid: str) -> None:
    """Remove the box and the ticks, and draw thin grid lines for ``grid`` (``x``, ``y`` or ``both``)."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", length=0, labelsize=FONT_SIZE - 1, colors=MUTED)
    axes.set_axisbelow(True)
    if grid in ("x", "both"):
        axes.grid(axis="x", color=GRID, linewidth=0.7)
    if grid in ("y", "both"):
        axes.grid(axis="y", color=GRID, linewidth=0.7)


def log_axis(axes: Axes) -> None:
    """Make x logarithmic, labelled with plain numbers at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def format_legend(axes: Axes, formats: Iterable[Format], *, below: float) -> None:
    """Draw the colours of ``formats`` in one line, ``below`` the axes by this share of their height."""
    from matplotlib.lines import Line2D

    present = set(formats)
    entries = [
        Line2D([], [], linestyle="none", marker="o", markersize=7, color=row.colour, label=format_.value)
        for format_, row in FORMATS.items()
        if format_ in present
    ]
    legend_below(axes, entries, below=below)


def legend_below(axes: Axes, entries: Sequence[Line2D], *, below: float) -> None:
    """Place the ``entries`` of a legend in one line, ``below`` the axes by this share of their height."""
    axes.legend(
        handles=entries,
        loc="upper left",
        bbox_to_anchor=(-0.005, -below),
        borderaxespad=0,
        ncols=len(entries),
        frameon=False,
        fontsize=FONT_SIZE - 1,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.4,
    )


def value_beside(axes: Axes, row: float, text: str) -> None:
    """Write the value of a row right of the axes, in a column of its own, so that no value lies on a line."""
    axes.annotate(
        text,
        (1.0, row),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT_SIZE - 1,
        color=INK,
    )
