"""A run as rich renderables: the table of cells, what did not run and why, and a footnote for each condition.

The one decision: nothing is cut off. What is the same in every row goes to the line above the table, and what does not
fit the width is left out by column, the least needed first, and named below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.sections.advice import advise
from harness.report.sections.conditions import Footnote, footnotes, marks
from harness.report.sections.extras import extra_lines
from harness.report.sections.parts import parts_comparisons, told
from harness.report.sections.ranking import rankings
from harness.report.sections.search import findings_of, headline, notes
from harness.report.sections.variants import done_table
from harness.report.view import CellView, cell_views, labels, memory_growth
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. ``keep``: when it gets narrow the lowest goes first; ``text`` columns are left-aligned."""

    title: str
    values: tuple[str, ...]
    keep: int
    text: bool = False

    @property
    def width(self) -> int:
        """The width it needs, in characters."""
        return max(len(line) for line in (*self.title.split("\n"), *self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """The table of cells; rich asks it for rows once the width is known."""

    views: tuple[CellView, ...]
    notes: tuple[Footnote, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line of what is common, the table, and the names of columns left out."""
        from rich.text import Text

        columns, common = _split_common(_columns(self.views, self.notes))
        kept, dropped = fit(columns, options.max_width)
        if common:
            yield Text(f"In every row: {', '.join(common)}.", style="dim")
        yield _table(kept, [v.status is CellStatus.OK for v in self.views])
        if dropped:
            names = ", ".join(c.title.replace("\n", " ") for c in dropped)
            yield Text(f"Left out at this width: {names}.", style="dim")


def run_renderables(run: RunRecord) -> tuple[RenderableType, ...]:
    """Return what ``phonebench show`` prints, in order."""
    from rich.text import Text

    views = cell_views(run)
    ran = tuple(v for v in views if v.status in (CellStatus.OK, CellStatus.BROKEN, CellStatus.FAILED))
    notes = footnotes(views)
    parts: list[RenderableType] = [Text(_heading(run), style="bold")]
    parts += [RunTable(views=ran, notes=notes)] if ran else [Text("No cell has run yet.")]
    parts += [Text(line) for line in extra_lines(views)]
    parts += list(_reasons(views, run))
    parts += list(_done(views, run))
    parts += [Text(f"{n.letter}  {n.id.value}: {_footnote(n)}", style="yellow") for n in notes]
    parts += [Text(told(found)) for found in parts_comparisons(run.head.models, views)]
    parts += list(_found(run)) or list(_advice(run))
    return tuple(parts)


def fit(columns: list[Column], width: int) -> tuple[list[Column], list[Column]]:
    """Return the columns that fit ``width`` characters, in order, and those left out, the least needed first."""
    kept, dropped = list(columns), []
    while len(kept) > 1 and sum(c.width + 1 for c in kept) - 1 > width:
        least = min(kept, key=lambda c: c.keep)
        kept.remove(least)
        dropped.append(least)
    return kept, dropped


def _columns(views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> list[Column]:
    latency = units.time_unit(v.latency.median_ns for v in views if v.latency)
    load = units.time_unit(v.load.first_ns for v in views if v.load)
    peaks = [_peak(v) for v in views]
    interval = any(v.latency and v.latency.low_ns is not None for v in views)
    peak, size = units.size_unit(peaks), units.size_unit(v.artifact.bytes for v in views if v.artifact)

    def column(title: str, keep: int, value: Callable[[CellView], str], *, text: bool = False) -> Column:
        return Column(title=title, values=tuple(value(v) for v in views), keep=keep, text=text)

    return [
        column("model", 95, lambda v: v.cell.model, text=True),
        column("device", 94, lambda v: v.cell.device, text=True),
        column("variant", 100, lambda v: v.cell.variant, text=True),
        column("format", 99, lambda v: v.cell.format.value, text=True),
        column("delegate", 60, _delegate, text=True),
        column("threads", 70, lambda v: str(v.cell.threads)),
        column(f"latency\n{latency.name}", 98, lambda v: latency.show(v.latency.median_ns if v.latency else None)),
        column("95 %\ninterval" if interval else "calls\np5–p90", 80, lambda v: _spread(v, latency, interval)),
        column(f"load\n{load.name}", 30, lambda v: load.show(v.load.first_ns if v.load else None)),
        column(f"peak\n+{peak.name}", 75, lambda v: peak.show(_peak(v))),
        column(f"size\n{size.name}", 90, lambda v: size.show(v.artifact.bytes if v.artifact else None)),
        column("accuracy\n%", 92, _accuracy),
        column("SQNR\ndB", 50, lambda v: units.decibels(v.sqnr_db)),
        column("status", 96, lambda v: _status(v, notes), text=True),
    ]


def _split_common(columns: list[Column]) -> tuple[list[Column], list[str]]:
    """Take out the text columns that say the same in every row, but never variant and format."""
    movable = ("model", "device", "delegate", "threads")
    common = [c for c in columns if c.title in movable and len(set(c.values)) == 1]
    words = [f"{c.title} {c.values[0]}" for c in common if c.values[0]]
    return [c for c in columns if c not in common], words


def _table(columns: list[Column], bright: list[bool]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", collapse_padding=True)
    for column in columns:
        table.add_column(Text(column.title), justify="left" if column.text else "right", no_wrap=True)
    for row, is_bright in enumerate(bright):
        table.add_row(*(Text(c.values[row]) for c in columns), style="" if is_bright else "dim")
    return table


def _delegate(view: CellView) -> str:
    return view.runtime.delegate_used if view.runtime else view.cell.delegate.value


def _spread(view: CellView, unit: units.Unit, interval: bool) -> str:
    """The interval over launches, or p5 to p90 of the calls where no cell of the table has an interval."""
    latency = view.latency
    if latency is None:
        return units.NONE
    low, high = (latency.low_ns, latency.high_ns) if interval else (latency.p5_ns, latency.p90_ns)
    return units.NONE if low is None or high is None else f"{unit.show(low)}–{unit.show(high)}"


def _peak(view: CellView) -> int | None:
    growth = memory_growth(view.memory)
    return growth.peak_bytes if growth else None


def _accuracy(view: CellView) -> str:
    return units.NONE if view.accuracy is None else f"{100 * view.accuracy.value:.1f}"


def _status(view: CellView, notes: tuple[Footnote, ...]) -> str:
    return " ".join((view.status.value, "".join(n.letter for n in marks(view, notes)))).strip()


def _footnote(note: Footnote) -> str:
    return f"{'; '.join(note.summaries)}. {note.meaning}"


def _heading(run: RunRecord) -> str:
    head = run.head
    profiles = ", ".join(dict.fromkeys(c.profile.value for c in head.plan.cells))
    state = "" if head.finished_at else ", not finished"
    return f"Run {head.id}, {units.stamp(head.created_at)}, profile {profiles or head.spec.profile.value}{state}"


def _reasons(views: tuple[CellView, ...], run: RunRecord) -> Iterator[RenderableType]:
    """What gave no figures: one line a cell, and one line for all that have not run."""
    from rich.text import Text

    names = labels(views)
    for view in views:
        if view.status in (CellStatus.UNSUPPORTED, CellStatus.BROKEN, CellStatus.FAILED):
            where = f"{view.cell.model} {names[view.cell.key]} on {view.cell.device}"
            yield Text(f"{view.status.value}: {where}: {view.reason or 'no reason was recorded'}", style="red")
    pending = sum(1 for v in views if v.status is CellStatus.PENDING)
    if pending:
        command = f"phonebench {'search' if run.head.goal else 'run'} --resume={run.head.id}"
        words = f"{pending} of {len(views)} cells have not run yet; {command} goes on with them."
        yield Text(words, style="yellow")


def _done(views: tuple[CellView, ...], run: RunRecord) -> Iterator[RenderableType]:
    """What steps did and what mixed precisions kept; a variant that is a precision and no more needs no words."""
    from rich.text import Text

    for row in done_table(views, run.head.spec.recipes()).rows:
        steps = row.words[:-1]
        if steps or row.notes:
            yield Text(f"{row.variant}: {'; '.join((*steps, *row.notes))}", style="cyan")


def _found(run: RunRecord) -> Iterator[RenderableType]:
    """What a search found, in place of the advice of a run, whose tolerance is not what was asked for."""
    from rich.text import Text

    found = findings_of(run)
    if found is not None:
        yield Text(headline(found), style="bold green" if found.ship else "bold")
        for note in notes(found):
            yield Text(f"  {note}", style="dim")


def _advice(run: RunRecord) -> Iterator[RenderableType]:
    from rich.text import Text

    for ranking in rankings(run):
        advice = advise(ranking)
        yield Text(advice.headline, style="bold green" if ranking.best else "bold")
        for note in advice.notes:
            yield Text(f"  {note}", style="dim")
