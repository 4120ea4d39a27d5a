"""Compares two runs: pairs their cells, compares each pair, and sums up the verdicts.

All cells of a comparison are one family of tests. At a level of 5 %, sixteen equal cells would show a difference by
chance in nearly every comparison. So a difference must also pass Benjamini and Hochberg's procedure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from harness.compare.keys import UNIT, KeyDifference, comparison_keys, differing_keys, key_notes, one_unit
from harness.compare.metrics import Margins, MetricComparison, compare_metrics
from harness.plan.cells import Cell
from harness.records.measurement import CellStatus, Measurement
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord

# Verdicts that claim a difference.
CALLED = (Verdict.REGRESSED, Verdict.IMPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """One cell of A and its counterpart in B. Without ``metrics``, ``differing`` or ``reason`` says why.

    ``notes`` say what a reader must know of the pair all the same: two units of one model, or a key that a run lacks.
    """

    key: str
    verdict: Verdict
    reason: str | None = None
    differing: tuple[KeyDifference, ...] = ()
    metrics: tuple[MetricComparison, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs; ``only_a`` and ``only_b`` are the keys of cells without a counterpart in the other run."""

    run_a: str
    run_b: str
    cells: tuple[CellComparison, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on the runs as a whole: the worst of their cells; not-comparable if no cell could be compared."""
        return overall(cell.verdict for cell in self.cells)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all cells, each once."""
        return tuple(dict.fromkeys(note for cell in self.cells for note in cell.notes))


def compare_runs(
    a: RunRecord, b: RunRecord, margins: Margins | None = None, *, across_units: bool = False
) -> Comparison:
    """Compare every cell of ``a`` with its counterpart in ``b``, from stored measurements; needs no raw replies.

    With ``across_units``, cells of two units of one device model are compared too, with a note.
    """
    pairs, only_a, only_b = _pair(a, b)
    cells = [_compare((a, cell_a), (b, cell_b), margins, across_units=across_units) for cell_a, cell_b in pairs]
    return Comparison(
        run_a=a.head.id, run_b=b.head.id, cells=_corrected(cells), only_a=tuple(only_a), only_b=tuple(only_b)
    )


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Return one verdict for several: regressed before undecided before improved before equivalent."""
    present = set(verdicts)
    order = (Verdict.REGRESSED, Verdict.UNDECIDED, Verdict.IMPROVED, Verdict.EQUIVALENT)
    return next((verdict for verdict in order if verdict in present), Verdict.NOT_COMPARABLE)


def _pair(a: RunRecord, b: RunRecord) -> tuple[list[tuple[Cell, Cell]], list[str], list[str]]:
    """Pair cells by key, and the rest by model, variant and format so that the key that differs can be named."""
    by_key = {cell.key: cell for cell in b.head.plan.cells}
    pairs = [(cell, by_key[cell.key]) for cell in a.head.plan.cells if cell.key in by_key]
    paired = {cell.key for cell, _ in pairs}
    rest_b = [cell for cell in b.head.plan.cells if cell.key not in paired]
    only_a: list[str] = []
    for cell in a.head.plan.cells:
        if cell.key in paired:
            continue
        candidates = [c for c in rest_b if _identity(c) == _identity(cell)]
        if not candidates:
            only_a.append(cell.key)
            continue
        counterpart = max(candidates, key=partial(_likeness, cell))
        rest_b.remove(counterpart)
        pairs.append((cell, counterpart))
    return pairs, only_a, [cell.key for cell in rest_b]


def _identity(cell: Cell) -> tuple[str, str, str]:
    return cell.model, cell.variant, cell.format.value


def _likeness(cell: Cell, other: Cell) -> int:
    """How many of the settings of two cells agree."""
    return sum(
        getattr(cell, name) == getattr(other, name)
        for name in ("backend", "delegate", "threads", "device", "profile", "lengths")
    )


def _compare(
    a: tuple[RunRecord, Cell], b: tuple[RunRecord, Cell], margins: Margins | None, *, across_units: bool
) -> CellComparison:
    cell = a[1]
    measurements = [_measured(run, c) for run, c in (a, b)]
    first, second = measurements
    if first is None or second is None or CellStatus.OK not in (first.status, second.status):
        return CellComparison(key=cell.key, verdict=Verdict.NOT_COMPARABLE, reason=_statuses(measurements))
    if first.status is not CellStatus.OK or second.status is not CellStatus.OK:
        # Outputs that were right and are garbage now are a regression. A failure of the device is not.
        worse = first.status is CellStatus.OK and second.status is CellStatus.BROKEN
        verdict = Verdict.REGRESSED if worse else Verdict.NOT_COMPARABLE
        return CellComparison(key=cell.key, verdict=verdict, reason=_statuses(measurements))
    # Keys are checked before any number is computed, so a ratio between unlike cells never exists.
    keys = comparison_keys(*a, first), comparison_keys(*b, second)
    differing = differing_keys(*keys, across_units=across_units)
    if differing:
        units = {difference.key for difference in differing} == {UNIT}
        reason = "two units of one model: --across-units compares them" if units else None
        return CellComparison(key=cell.key, verdict=Verdict.NOT_COMPARABLE, reason=reason, differing=differing)
    metrics = compare_metrics(
        cell, first, second, margins, one_unit=one_unit(*keys, one_key=cell.device == b[1].device)
    )
    verdict = overall(m.verdict for m in metrics)
    return CellComparison(key=cell.key, verdict=verdict, metrics=metrics, notes=key_notes(*keys))


def _measured(run: RunRecord, cell: Cell) -> Measurement | None:
    return next((m for m in run.measurements if m.cell == cell.key), None)


def _statuses(measurements: list[Measurement | None]) -> str:
    a, b = (f"{m.status.value}{f' ({m.reason})' if m.reason else ''}" if m else "not run" for m in measurements)
    return f"A: {a}; B: {b}"


def _corrected(cells: list[CellComparison]) -> tuple[CellComparison, ...]:
    """Withdraw verdicts that do not hold once all tests of one metric in this comparison are one family."""
    families: dict[str, list[float]] = {}
    for comparison in (m for cell in cells for m in cell.metrics if m.p_value is not None):
        families.setdefault(comparison.metric, []).append(comparison.p_value or 0.0)
    rejected = {metric: iter(benjamini_hochberg(tests)) for metric, tests in families.items()}
    corrected: list[CellComparison] = []
    for cell in cells:
        # Each iterator yields one decision per test, in the order in which the tests were collected above.
        metrics = tuple(
            _corrected_one(m, next(rejected[m.metric]), len(families[m.metric])) if m.p_value is not None else m
            for m in cell.metrics
        )
        verdict = overall(m.verdict for m in metrics) if metrics else cell.verdict
        corrected.append(replace(cell, metrics=metrics, verdict=verdict))
    return tuple(corrected)


def _corrected_one(comparison: MetricComparison, rejected: bool, tests: int) -> MetricComparison:
    if rejected or comparison.verdict not in CALLED:
        return comparison
    reason = f"with {tests} cells compared, a difference like this one is likely to be chance"
    return replace(comparison, verdict=Verdict.UNDECIDED, reason=reason)
