"""Runs side by side as a page: a verdict for each cell and metric, the changes with intervals, and the figures."""

from __future__ import annotations

from collections.abc import Sequence

from harness.compare.runs import Comparison, compare_runs
from harness.compare.words import COLUMNS, comparison_rows
from harness.records import units
from harness.records.metrics import ACCURACY, LATENCY, METRICS, SIZE
from harness.report.charts.forest import ForestRow, forest
from harness.report.pages import PageChart, PageTable, page
from harness.report.view import CellView, cell_views
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord

_CAPTION = (
    "The change of the median latency from the first run to the other, with its 95 % interval. Only cells whose "
    "device, system, runtime and data are the same are compared."
)
# Metrics in the table of figures.
_SHOWN = (LATENCY.name, SIZE.name, ACCURACY.name)


def compared_page(runs: Sequence[RunRecord], comparisons: Sequence[Comparison] | None = None) -> str:
    """Return ``runs`` side by side as HTML. Each is compared with the first; at least two.

    ``comparisons`` are those of the first run with each of the others, made with the default margins if not given.
    """
    first, *others = runs
    made = comparisons or [compare_runs(first, other) for other in others]
    answer = [f"Run {c.run_b} against run {c.run_a}: {_words(c.verdict)}. {_counted(c)}" for c in made]
    notes = list(dict.fromkeys(note for comparison in made for note in comparison.notes))
    sessions = (
        "The runs are separate sessions, so a change includes what differs between sessions. To rule that out, use: "
        "phonebench ab"
    )
    return page(
        title=f"{len(runs)} runs side by side",
        lead=" · ".join(f"{r.head.id} ({units.stamp(r.head.created_at)})" for r in runs),
        answer=[*answer, *notes, sessions],
        charts=[_forest(c, number) for number, c in enumerate(made, 1)],
        tables=[_figures(runs), *(_verdicts(c) for c in made)],
    )


def _words(verdict: Verdict) -> str:
    return verdict.value.replace("-", " ")


def _counted(comparison: Comparison) -> str:
    """How many cells have each verdict, the worst first."""
    counts = {v: sum(c.verdict is v for c in comparison.cells) for v in Verdict}
    words = ", ".join(f"{count} {_words(verdict)}" for verdict, count in counts.items() if count)
    alone = len(comparison.only_a) + len(comparison.only_b)
    return f"{words or 'no cell in both'}{f', {alone} in one run only' if alone else ''}."


def _forest(comparison: Comparison, number: int) -> PageChart:
    rows = [
        ForestRow(
            name=cell.key, change=m.change, low=m.low, high=m.high, margin=m.margin or LATENCY.relative_tolerance,
            verdict=m.verdict,
        )
        for cell in comparison.cells
        for m in cell.metrics
        if m.metric == LATENCY.name
    ]  # fmt: skip
    return PageChart(
        name=f"latency-{number}",
        heading=f"Latency of {comparison.run_b} against {comparison.run_a}",
        caption=_CAPTION,
        draw=lambda: forest(rows, label="change of the latency"),
    )


def _figures(runs: Sequence[RunRecord]) -> PageTable:
    """The figures of each cell in every run, next to each other; cells in the order of the first run that has them."""
    views = [{v.cell.key: v for v in cell_views(run) if v.measurement is not None} for run in runs]
    keys = list(dict.fromkeys(key for of_run in views for key in of_run))
    metrics = [METRICS[name] for name in _SHOWN]
    column = {
        m.name: m.formatter.unit_for(_value(m.name, v) for of_run in views for v in of_run.values()) for m in metrics
    }
    titles = ["cell", *(f"{m.label}, {column[m.name].name}, {_letter(i)}" for m in metrics for i in range(len(runs)))]
    rows = [
        (key, *(column[m.name].show(_value(m.name, of_run.get(key))) for m in metrics for of_run in views))
        for key in keys
    ]
    named = "; ".join(f"{_letter(i)}: {run.head.id}" for i, run in enumerate(runs))
    return PageTable(heading="Figures side by side", titles=titles, rows=rows, texts=(0,), words=named)


def _value(metric: str, view: CellView | None) -> float | None:
    reading = METRICS[metric].shown(view.measurement) if view is not None else None
    return None if reading is None else reading.value


def _letter(number: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number] if number < 26 else str(number + 1)


def _verdicts(comparison: Comparison) -> PageTable:
    return PageTable(
        heading=f"Verdicts: {comparison.run_b} against {comparison.run_a}",
        titles=[title or "why" for title in COLUMNS],
        rows=comparison_rows(comparison),
        texts=(0, 1, 6, 7),
    )
