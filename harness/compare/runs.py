"""Two runs, cell by cell: which cells are alike, what each says, and what the whole comes to.

The one decision: all cells of a comparison are one family of tests. With sixteen cells one difference in twenty by
chance would be nearly one in every comparison, so what is called at 5 % must also stand Benjamini and Hochberg's rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.compare.keys import KeyDifference, comparison_keys, differing_keys
from harness.compare.metrics import Margins, MetricComparison, compare_metrics
from harness.plan.cells import Cell
from harness.records.measurement import CellStatus, Measurement
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord

CALLED = (Verdict.REGRESSED, Verdict.IMPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """One cell of A with its like in B; ``differing`` is set for cells that are not comparable, ``metrics`` else."""

    key: str
    verdict: Verdict
    reason: str | None = None
    differing: tuple[KeyDifference, ...] = ()
    metrics: tuple[MetricComparison, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs; ``only_a`` and ``only_b`` are keys of cells whose like the other run has not."""

    run_a: str
    run_b: str
    cells: tuple[CellComparison, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What the runs come to as a whole: the worst of their cells; not-comparable when no cell could be compared."""
        return overall(cell.verdict for cell in self.cells)


def compare_runs(a: RunRecord, b: RunRecord, margins: Margins | None = None) -> Comparison:
    """Compare every cell of ``a`` with its like in ``b``. Works from what is stored; needs no raw replies."""
    pairs, only_a, only_b = _pair(a, b)
    cells = [_compare((a, cell_a), (b, cell_b), margins) for cell_a, cell_b in pairs]
    return Comparison(
        run_a=a.head.id, run_b=b.head.id, cells=_corrected(cells), only_a=tuple(only_a), only_b=tuple(only_b)
    )


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the one verdict of several: regressed before undecided before improved before equivalent."""
    found = set(verdicts)
    order = (Verdict.REGRESSED, Verdict.UNDECIDED, Verdict.IMPROVED, Verdict.EQUIVALENT)
    return next((verdict for verdict in order if verdict in found), Verdict.NOT_COMPARABLE)


def _pair(a: RunRecord, b: RunRecord) -> tuple[list[tuple[Cell, Cell]], list[str], list[str]]:
    """Pair cells by key; then those left over of one model, variant and format, which differ in a comparison key."""
    by_key = {cell.key: cell for cell in b.head.plan.cells}
    pairs = [(cell, by_key[cell.key]) for cell in a.head.plan.cells if cell.key in by_key]
    paired = {cell.key for cell, _ in pairs}
    rest_b = [cell for cell in b.head.plan.cells if cell.key not in paired]
    only_a: list[str] = []
    for cell in a.head.plan.cells:
        if cell.key in paired:
            continue
        like = next((c for c in rest_b if _what(c) == _what(cell)), None)
        if like is None:
            only_a.append(cell.key)
            continue
        rest_b.remove(like)
        pairs.append((cell, like))
    return pairs, only_a, [cell.key for cell in rest_b]


def _what(cell: Cell) -> tuple[str, str, str]:
    return cell.model, cell.variant, cell.format.value


def _compare(a: tuple[RunRecord, Cell], b: tuple[RunRecord, Cell], margins: Margins | None) -> CellComparison:
    cell = a[1]
    found = [_measured(run, c) for run, c in (a, b)]
    first, second = found
    if first is None or second is None or CellStatus.OK not in (first.status, second.status):
        return CellComparison(key=cell.key, verdict=Verdict.NOT_COMPARABLE, reason=_statuses(found))
    if first.status is not CellStatus.OK or second.status is not CellStatus.OK:
        # Outputs that were right and are garbage now are a regression; a device that failed is not.
        worse = first.status is CellStatus.OK and second.status is CellStatus.BROKEN
        verdict = Verdict.REGRESSED if worse else Verdict.NOT_COMPARABLE
        return CellComparison(key=cell.key, verdict=verdict, reason=_statuses(found))
    differing = differing_keys(comparison_keys(*a, first), comparison_keys(*b, second))
    if differing:
        return CellComparison(key=cell.key, verdict=Verdict.NOT_COMPARABLE, differing=differing)
    metrics = compare_metrics(cell, first, second, margins)
    return CellComparison(key=cell.key, verdict=overall(m.verdict for m in metrics), metrics=metrics)


def _measured(run: RunRecord, cell: Cell) -> Measurement | None:
    return next((m for m in run.measurements if m.cell == cell.key), None)


def _statuses(found: list[Measurement | None]) -> str:
    said = [f"{m.status.value}{f' ({m.reason})' if m.reason else ''}" if m else "not run" for m in found]
    return f"in A {said[0]}, in B {said[1]}"


def _corrected(cells: list[CellComparison]) -> tuple[CellComparison, ...]:
    """Take back the calls that do not stand when all tests of one metric in this comparison are one family."""
    families: dict[str, list[float]] = {}
    for found in (m for cell in cells for m in cell.metrics if m.p_value is not None):
        families.setdefault(found.metric, []).append(found.p_value or 0.0)
    stands = {metric: iter(benjamini_hochberg(tests)) for metric, tests in families.items()}
    corrected: list[CellComparison] = []
    for cell in cells:
        metrics = tuple(
            _held(m, next(stands[m.metric]), len(families[m.metric])) if m.p_value is not None else m
            for m in cell.metrics
        )
        verdict = overall(m.verdict for m in metrics) if metrics else cell.verdict
        corrected.append(replace(cell, metrics=metrics, verdict=verdict))
    return tuple(corrected)


def _held(found: MetricComparison, stands: bool, tests: int) -> MetricComparison:
    if stands or found.verdict not in CALLED:
        return found
    return replace(found, verdict=Verdict.UNDECIDED, reason=f"it does not stand among {tests} cells compared")
