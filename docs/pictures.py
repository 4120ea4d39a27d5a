"""Draws the charts that README.md shows from the run in ``docs/example``: ``make pictures``."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.report.charts.charts import charts
from harness.store.reader import read_folder

HERE = Path(__file__).parent
# The charts of the run that README.md shows.
SHOWN = ("latency", "quality")


def draw(folder: Path) -> tuple[Path, ...]:
    """Draw the pictures into ``folder`` and return their paths."""
    # The example has no replies: these charts need none.
    drawn = charts(read_folder(HERE / "example"), lambda _: [], png=True)
    written = []
    for chart in drawn:
        if chart.name in SHOWN and chart.png is not None:
            path = folder / f"{chart.name}.png"
            path.write_bytes(chart.png)
            written.append(path)
    return tuple(written)


if __name__ == "__main__":
    for path in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "images"):
        print(path)
