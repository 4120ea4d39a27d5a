"""What the memory of each cell was made of between calls, for the HTML report.

The one decision: absolute figures, unlike the chart of memory. They are what the phone's own tools show of a process,
so that a reader can hold the one against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.records import units
from harness.report.view import CellView, labels
from harness.wire import MemoryMoment, MemorySplit


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTable:
    """The unit of all figures, titles with their hints, and a row a cell: its name, then its figures."""

    unit: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]


_PARTS: tuple[tuple[str, str, Callable[[MemorySplit], int | None]], ...] = (
    ("anonymous", "memory of its own, in no file (RssAnon)", lambda s: s.anonymous_bytes),
    ("files", "pages mapped from files, which the system may drop (RssFile)", lambda s: s.file_bytes),
    ("shared", "shared memory (RssShmem)", lambda s: s.shared_bytes),
    ("swapped", "memory of its own that is swapped out (VmSwap)", lambda s: s.swap_bytes),
    ("PSS", "resident pages, each divided among the processes that have it", lambda s: s.pss_bytes),
)


def split_table(views: tuple[CellView, ...]) -> SplitTable:
    """Return the table of those of ``views`` whose runner told it; without rows when none did."""
    told = [(v, s) for v in views if v.memory and (s := v.memory.split_at(MemoryMoment.STEADY))]
    unit = units.size_unit(read(s) or None for _, s in told for _, _, read in _PARTS)
    names, several = labels(views), len({(v.cell.model, v.cell.device) for v in views}) > 1

    def name(view: CellView) -> str:
        short = names[view.cell.key]
        return f"{view.cell.model} {short} on {view.cell.device}" if several else short

    return SplitTable(
        unit=unit.name,
        columns=tuple((title, hint) for title, hint, _ in _PARTS),
        rows=tuple((name(v), *(unit.show(read(s)) for _, _, read in _PARTS)) for v, s in told),
    )
