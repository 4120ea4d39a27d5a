"""A chart's SVG, prepared to be placed inside a page.

Ink, grid and text take the colours and the font of the page, so one chart serves light, dark and print. The SVG names
no address, so anyone can see that the page is self-contained.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.report.charts.charts import Chart
from harness.report.charts.figure import GRID, INK, MUTED

if TYPE_CHECKING:
    from markupsafe import Markup

# Shows the 10 points of chart text at 13.8 pixels, close to the 13 of the tables.
PIXELS_PER_POINT = 1.38
# Pixels; below this the text of a chart could not be read.
NARROWEST = 640
_PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)"}


def inline_svg(chart: Chart) -> Markup:
    """Return ``chart`` as an ``svg`` element of a page: labelled, without prolog or namespaces, with unique ids."""
    from markupsafe import Markup, escape

    text = chart.svg[chart.svg.index("<svg") :]
    # The metadata name the vocabularies they use by address.
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _own_ids(text, chart.name)
    # A hundredth of a point cannot be seen, and six digits are a third of the file.
    text = re.sub(r"(?<=\d)(\.\d\d)\d+", r"\1", text)
    for colour, variable in _PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    box = re.search(r'viewBox="([^"]*)"', text)
    size = box.group(1) if box else "0 0 100 100"
    # One scale for all charts gives their text one size. On a narrow screen a chart scrolls before it shrinks.
    widest = round(float(size.split()[2]) * PIXELS_PER_POINT)
    width = f"max-width:{widest}px;min-width:{min(widest, NARROWEST)}px"
    label = escape(f"{chart.heading}: {chart.about}")
    # The first tag carries the size and the namespaces; the page needs neither.
    body = text[text.index(">") + 1 :]
    # Markup switches off escaping. That is safe: the label is escaped above, and matplotlib escapes all text in charts.
    return Markup(f'<svg viewBox="{size}" style="{width}" role="group" aria-label="{label}">{body}')


def _own_ids(svg: str, name: str) -> str:
    """Drop ids that nothing refers to, and prefix the others with ``name``: several charts share one page."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m.group(1)}"' if m.group(1) in used else "", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
