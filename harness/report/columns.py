"""The columns of figures in the table of cells, for the page and for the terminal.

Every metric that asks for a column gets one. The others show figures that no metric stands for, because nothing
compares them. A column has one unit, chosen from the values in it, and every figure is worded here, where tests see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.records import units
from harness.records.conditions import FigureGroup
from harness.records.metric import Metric, TableColumn
from harness.records.metrics import METRICS
from harness.report.view import CellView


def _nothing(_: CellView) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureColumn:
    """A column of figures: ``value`` is what it sorts by, ``text`` is what it shows.

    The page adds ``under`` as a smaller line, ``absent`` where there is no value, and marks the conditions that touch
    ``group``. A column without a ``title`` is not on the page. A narrow terminal drops the columns with the lowest
    ``keep`` first; a column without one, or ``page_only``, is not in the terminal.
    """

    text: Callable[[CellView], str]
    unit: str = ""
    title: str = ""
    hint: str = ""
    value: Callable[[CellView], float | None] = lambda _: None
    under: Callable[[CellView], str] = _nothing
    absent: Callable[[CellView], str] = _nothing
    group: FigureGroup | None = None
    heading: str = ""
    keep: int | None = None
    page_only: bool = False


def figure_columns(views: tuple[CellView, ...]) -> Iterator[FigureColumn]:
    """Yield the columns in order, in the units that suit ``views``."""
    for metric in METRICS.values():
        table = metric.table
        if table is None:
            continue
        has_values = any(metric.shown(v.measurement) for v in views)
        if table.optional and not has_values and not any(_why_absent(table, v) for v in views):
            continue
        column = _metric_column(metric, table, views)
        # A terminal has no room for the reasons, so there a column without values would only puzzle.
        yield replace(column, page_only=table.optional and not has_values)
        if table.calls_beside:
            yield from _call_columns(views)
    yield from _fidelity_columns()


def _why_absent(table: TableColumn, view: CellView) -> str:
    return table.absent(view.measurement) if table.absent and view.measurement else ""


def _metric_column(metric: Metric, table: TableColumn, views: tuple[CellView, ...]) -> FigureColumn:
    def value(view: CellView) -> float | None:
        reading = metric.shown(view.measurement)
        return None if reading is None else reading.value

    unit = metric.formatter.unit_for(map(value, views))
    measured = [v.measurement for v in views if v.measurement and value(v) is not None]
    names = {table.named(m) for m in measured} if table.named else set()
    # Where all cells have the same metric, the heading names it; else each cell does.
    (name,) = names if len(names) == 1 else ("",)

    def text(view: CellView) -> str:
        shown = unit.show(value(view))
        own = table.named(view.measurement) if table.named and view.measurement and len(names) > 1 else ""
        return f"{shown} {own}" if own and value(view) is not None else shown

    def under(view: CellView) -> str:
        if table.ratio_to_fp32:
            return f"{units.ratio(view.size_ratio)} fp32" if view.size_ratio and view.size_ratio != 1 else ""
        return table.under(view.measurement, unit) if table.under and view.measurement else ""

    shown_unit = f"{metric.formatter.sign}{unit.name}"
    return FigureColumn(
        text=text,
        unit=shown_unit or name,
        title=table.title,
        hint=table.hint,
        value=value,
        under=under,
        absent=lambda view: _why_absent(table, view),
        group=metric.group,
        heading=f"{table.heading}\n{shown_unit or name}",
        keep=table.keep,
    )


def _call_columns(views: tuple[CellView, ...]) -> tuple[FigureColumn, FigureColumn]:
    """The interval or the spread for the terminal, where the page has a smaller line, and p90 for the page."""
    unit = units.time_unit(v.latency.median_ns for v in views if v.latency)
    # One column, one meaning: the spread of the calls is shown only where no cell has an interval over launches.
    interval = any(v.latency and v.latency.low_ns is not None for v in views)

    def spread(view: CellView) -> str:
        latency = view.latency
        if latency is None:
            return units.NONE
        low, high = (latency.low_ns, latency.high_ns) if interval else (latency.p5_ns, latency.p90_ns)
        return units.NONE if low is None or high is None else f"{unit.show(low)}–{unit.show(high)}"

    def p90_ns(view: CellView) -> float | None:
        return view.latency.p90_ns if view.latency else None

    return (
        FigureColumn(text=spread, heading="95 %\ninterval" if interval else "calls\np5–p90", keep=80),
        FigureColumn(
            text=lambda view: unit.show(p90_ns(view)),
            unit=unit.name,
            title="p90",
            hint="90 % of the calls took at most this long; needs 64 calls",
            value=p90_ns,
            group=FigureGroup.LATENCY,
        ),
    )


def _worst_input(view: CellView) -> str:
    """The input with the smallest SQNR, and how many differ by more than the precision explains."""
    fidelity = view.fidelity
    if fidelity is None:
        return ""
    if fidelity.sqnr_min_db is None:
        return f"worst {units.decibels(fidelity.sqnr_worst_db)}"
    differ = f"; {fidelity.differing} of {fidelity.count} inputs differ" if fidelity.differing else ""
    return f"worst {units.decibels(fidelity.sqnr_min_db)} (input {fidelity.worst_input}){differ}"


def _fidelity_columns() -> tuple[FigureColumn, ...]:
    return (
        FigureColumn(
            text=lambda view: units.decibels(view.sqnr_db),
            unit="dB",
            title="SQNR",
            hint="outputs compared with the float model's: median over inputs, and the worst input",
            value=lambda view: view.sqnr_db,
            under=_worst_input,
            group=FigureGroup.FIDELITY,
            heading="SQNR\ndB",
            keep=50,
        ),
        # The page has this as a smaller line under the median.
        FigureColumn(
            text=lambda view: units.decibels(view.fidelity.sqnr_min_db if view.fidelity else None),
            heading="worst\ninput",
            keep=45,
        ),
        FigureColumn(
            text=lambda view: units.PERCENT.show(view.agreement),
            unit=units.PERCENT.name,
            title="agreement",
            hint="same top-1 answer as the float model",
            value=lambda view: view.agreement,
            group=FigureGroup.FIDELITY,
        ),
    )
