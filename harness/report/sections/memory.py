"""What the memory of each cell consists of between calls.

These figures are absolute, unlike those in the chart of memory, so that a reader can compare them with what the
phone's own tools show of a process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from harness.records import units
from harness.report.sections.section import Block, Fragment, Report
from harness.report.view import CellView, full_labels
from harness.wire import MemoryMoment, MemorySplit

_PAGE = """\
<h2>Memory breakdown</h2>
<details{{ " open" if rows | length <= few }}><summary>{{ rows | length }} file
  {{- "s" if rows | length > 1 }}
  {%- if left_out %}; {{ left_out }} more are in <code>table.csv</code>{% endif %}</summary>
<p class="muted">The whole process between calls, including the runtime and, in an app, the Java heap. A page of a file
  that several processes map counts in full in each one's <em>files</em>, but only by its share in <em>PSS</em>.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Memory breakdown">
<table id="splits">
<thead><tr><th class="name" scope="col">cell</th>
{% for title, hint in columns %}
  <th title="{{ hint }}" scope="col">{{ title }}<span class="unit">{{ unit }}</span></th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for text in row %}<td class="{{ "name" if loop.first else "" }}">{{ text }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
</details>
"""
# More rows are folded, and a page has at most so many.
FEW_ROWS, MOST_ROWS = 16, 200


_PARTS: tuple[tuple[str, str, Callable[[MemorySplit], int | None]], ...] = (
    ("anonymous", "private memory that no file backs (RssAnon)", lambda s: s.anonymous_bytes),
    ("files", "pages mapped from files, which the system may drop (RssFile)", lambda s: s.file_bytes),
    ("shared", "shared memory (RssShmem)", lambda s: s.shared_bytes),
    ("swapped", "private memory that is swapped out (VmSwap)", lambda s: s.swap_bytes),
    ("PSS", "resident pages, each divided among the processes that map it", lambda s: s.pss_bytes),
)


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: the breakdown is for the page, which has room for a second table."""
    return ()


def html(report: Report) -> Fragment | None:
    """Return the table, where a runner reported the breakdown."""
    unit, rows = split_rows(report.views)
    if not rows:
        return None
    columns = [(title, hint) for title, hint, _ in _PARTS]
    values = {"unit": unit.name, "columns": columns, "rows": rows[:MOST_ROWS], "few": FEW_ROWS}
    return Fragment(template=_PAGE, values=values | {"left_out": len(rows[MOST_ROWS:])})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its memory."""
    return {}


def split_rows(views: tuple[CellView, ...]) -> tuple[units.Unit, list[tuple[str, ...]]]:
    """Return the unit of all figures, and a row for each file among ``views`` whose runner reported the breakdown.

    Of a file that ran on several thread counts the first stands. A row is the name of the file and its figures in the
    order of the columns; there may be no rows.
    """
    files = {(v.cell.build, v.cell.delegate, v.cell.device): v for v in reversed(views) if v.memory}
    first = reversed(files.values())
    splits = [(v, split) for v in first if v.memory and (split := v.memory.split_at(MemoryMoment.STEADY))]
    # Shared and swapped memory are mostly zero and would pull the median, and with it the unit, down.
    unit = units.size_unit(read(split) or None for _, split in splits for _, _, read in _PARTS)
    names = full_labels(views, threads=False)
    return unit, [(names[v.cell.key], *(unit.show(read(split)) for _, _, read in _PARTS)) for v, split in splits]
