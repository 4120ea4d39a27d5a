"""Which cells a chart shows first: all of few, otherwise the best of each variant."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from harness.compare.quality import GOOD
from harness.report.ranking import Ranking, median_ns
from harness.report.view import CellView

# Rows that can be read at a glance; and what a chart on demand holds.
MOST_FIRST, MOST_REST = 24, 120


def first_and_rest(ranking: Ranking) -> tuple[tuple[CellView, ...], tuple[CellView, ...]]:
    """Return the cells to show first, fastest first, and all cells if these are not all; else nothing.

    Of many cells the best of each variant and format come first, or of each variant where those are too many.
    """
    ok = tuple(sorted(ranking.ok, key=median_ns))
    if len(ok) <= MOST_FIRST:
        return ok, ()
    by_file = best(ranking, ok, lambda v: (v.cell.variant, v.cell.format))
    first = by_file if len(by_file) <= MOST_FIRST else best(ranking, ok, lambda v: v.cell.variant)
    return first[: 2 * MOST_FIRST], ok[:MOST_REST]


def best(ranking: Ranking, views: Iterable[CellView], key: Callable[[CellView], Hashable]) -> tuple[CellView, ...]:
    """Return the fastest of each group of ``views``, preferring those whose quality is good enough."""
    chosen: dict[Hashable, CellView] = {}
    ordered = sorted(views, key=lambda v: (not _is_good(ranking, v), median_ns(v)))
    for view in ordered:
        chosen.setdefault(key(view), view)
    # What is recommended must be in sight, whatever it was chosen by.
    shown = {v.cell.key: v for v in (*chosen.values(), *((ranking.best,) if ranking.best else ()))}
    return tuple(sorted(shown.values(), key=median_ns))


def _is_good(ranking: Ranking, view: CellView) -> bool:
    facts = ranking.quality.get(view.cell.key)
    return facts is not None and facts.quality in GOOD
