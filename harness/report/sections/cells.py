"""All cells side by side, with every figure and the conditions that touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.cell_json import cell_json
from harness.report.columns import FigureColumn, figure_columns
from harness.report.footnotes import Footnote, marks
from harness.report.sections.section import Block, Column, Fragment, Grid, Line, Report
from harness.report.type_words import FLOAT, is_quantised, type_words, value_words, weight_words
from harness.report.view import CellView, thread_words
from harness.spec.recipe import AS_IS

# Statuses of cells that have something to show in the table; the section on missing results lists the others.
_IN_TABLE = (CellStatus.OK, CellStatus.BROKEN, CellStatus.FAILED)

_PAGE = """\
<h2>All cells</h2>
{% if rows %}
<div class="scroll">
<table id="cells">
<thead><tr>
{% macro letters(notes) %}
{%- if notes %}<span class="marks">
  {%- for note in notes -%}
  <a class="mark" href="#note-{{ note.letter }}" title="{{ note.id.value }}: {{ note.meaning }}">{{ note.letter }}</a>
  {%- endfor %}</span>{% endif -%}
{% endmacro %}
{% for column in columns %}
  <th class="{{ rows[0][1][loop.index0].kind }}" title="{{ column.hint }}" scope="col">
    <button type="button">{{ column.title }}</button>
    <span class="unit">{{ letters(column.marks) }}{{ column.unit or "\u00a0" }}</span></th>
{% endfor %}
</tr></thead>
<tbody>
{% for status, entries in rows %}
<tr class="{{ status.value }}">
{% for entry in entries %}
  <td class="{{ entry.kind }}" data-sort="{{ entry.sort }}">
    {%- if entry.kind == "format" %}<span class="dot {{ entry.text }}"></span>{% endif -%}
    {{- letters(entry.marks) }}{{ entry.text }}
    {%- if entry.badge %}<span class="badge {{ entry.badge }}">{{ entry.badge }}</span>{% endif -%}
    {%- if entry.under %}<span class="under">{{ entry.under }}</span>{% endif -%}
  </td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% else %}
<p>No cell has run yet.</p>
{% endif %}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One entry of the page's table: its text, a smaller line under it, what to sort by, and its footnotes."""

    text: str
    under: str = ""
    sort: float | str = ""
    marks: tuple[Footnote, ...] = ()
    badge: str = ""
    kind: str = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PageColumn:
    title: str
    entry: Callable[[CellView], TableEntry]
    unit: str = ""
    hint: str = ""
    marks: tuple[Footnote, ...] = ()


def lines(report: Report) -> Iterator[Block]:
    """Yield the grid of the cells that ran."""
    views = _in_table(report)
    if not views:
        yield Line(text="No cell has run yet.")
        return
    yield Grid(
        columns=(*_name_columns(views), *_figure_columns(views), *_status_columns(views, report.footnotes)),
        dimmed=tuple(view.status is not CellStatus.OK for view in views),
    )


def html(report: Report) -> Fragment:
    """Return the table, whose headings sort it; a model or a device that is the same in every row has no column."""
    views = _in_table(report)
    figures = [_page_figures(c, views, report.footnotes) for c in figure_columns(views) if c.title]
    columns = [*_page_names(views, report), *figures]
    rows = [(view.status, [column.entry(view) for column in columns]) for view in views]
    return Fragment(template=_PAGE, values={"columns": columns, "rows": rows})


def json(report: Report) -> dict[str, Any]:
    """Return all cells, those without results included."""
    return {"cells": [cell_json(view) for view in report.views]}


def _in_table(report: Report) -> tuple[CellView, ...]:
    return tuple(view for view in report.views if view.status in _IN_TABLE)


def _name_columns(views: tuple[CellView, ...]) -> tuple[Column, ...]:
    # In a narrow terminal the names and the two headline figures stay longest, the load time goes first.
    def column(title: str, keep: int, value: Callable[[CellView], str], *, common: bool, text: bool = True) -> Column:
        return Column(title=title, values=tuple(map(value, views)), keep=keep, text=text, common=common)

    return (
        column("model", 95, lambda v: v.cell.model, common=True),
        column("device", 94, lambda v: v.cell.device, common=True),
        column("variant", 100, lambda v: v.cell.variant, common=False),
        column("format", 99, lambda v: v.cell.format.value, common=False),
        column("delegate", 60, _delegate, common=True),
        *_type_columns(views),
        # Right-aligned: a number.
        column(
            "threads",
            70,
            lambda v: units.NONE if v.cell.threads is None else str(v.cell.threads),
            common=True,
            text=False,
        ),
    )


def _type_columns(views: tuple[CellView, ...]) -> Iterator[Column]:
    """The types of the weights of ready-made files, and those of the inputs where a file takes other than float32."""
    types = [view.artifact.types if view.artifact else None for view in views]
    if any(view.cell.variant == AS_IS for view in views):
        weights = tuple(weight_words(of_file) or units.NONE for of_file in types)
        yield Column(title="weights", values=weights, keep=55, text=True, common=True)
    inputs = tuple((value_words(of_file.inputs) if of_file else "") or units.NONE for of_file in types)
    if any(words not in (FLOAT, units.NONE) for words in inputs):
        yield Column(title="input", values=inputs, keep=56, text=True, common=True)


def _figure_columns(views: tuple[CellView, ...]) -> Iterator[Column]:
    """The figures that a terminal has room for."""
    for column in figure_columns(views):
        if column.keep is not None:
            yield Column(title=column.heading, values=tuple(map(column.text, views)), keep=column.keep)


def _status_columns(views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> tuple[Column, Column]:
    """The conditions that every row has, which move above the grid, and the status of each row with its others."""
    marked = [marks(view, notes) for view in views]
    common = tuple(note for note in notes if all(note in row for row in marked))
    others = ("".join(note.letter for note in row if note not in common) for row in marked)
    statuses = tuple(f"{view.status.value} {letters}".strip() for view, letters in zip(views, others, strict=True))
    shared = "".join(note.letter for note in common)
    return (
        Column(title="conditions", values=(shared,) * len(views), keep=0, common=True),
        Column(title="status", values=statuses, keep=96, text=True),
    )


def _delegate(view: CellView) -> str:
    """The delegate that was used, or the one asked for where the runtime reported nothing."""
    return view.runtime.delegate_used if view.runtime else view.cell.delegate.value


def _page_names(views: tuple[CellView, ...], report: Report) -> list[_PageColumn]:
    best = {r.best.cell.key for r in report.rankings if r.best}
    front = {key for r in report.rankings if r.latency_ranked for key in r.front}

    def badge(view: CellView) -> str:
        if view.status is not CellStatus.OK:
            return view.status.value
        return "ship" if view.cell.key in best else "front" if view.cell.key in front else ""

    variant = _PageColumn(
        title="variant",
        hint="what was done to the model; ship: the recommendation; front: no cell is both faster and better",
        entry=lambda v: TableEntry(text=v.cell.variant, sort=v.cell.variant, badge=badge(v), kind="name"),
    )
    format_ = _PageColumn(title="format", hint="the file that the runtime loads, and the types in it", entry=_format)
    ran_on = _PageColumn(
        title="ran on", hint="the delegate used, its share of the nodes, and the threads", entry=_ran_on
    )
    model = _PageColumn(title="model", entry=_word(lambda v: v.cell.model))
    device = _PageColumn(title="device", entry=_word(lambda v: v.cell.device))
    models = [model] if len({v.cell.model for v in views}) > 1 else []
    devices = [device] if len({v.cell.device for v in views}) > 1 else []
    return [*models, variant, format_, ran_on, *devices]


def _word(value: Callable[[CellView], str], kind: str = "word") -> Callable[[CellView], TableEntry]:
    return lambda view: TableEntry(text=value(view), sort=value(view), kind=kind)


def _format(view: CellView) -> TableEntry:
    """The format. Under it, what a ready-made file holds, or that a file takes integers that stand for real numbers."""
    types, name = view.artifact.types if view.artifact else None, view.cell.format.value
    shown = types is not None and (view.cell.variant == AS_IS or is_quantised(types))
    return TableEntry(text=name, under=type_words(types) if shown else "", sort=name, kind="format")


def _ran_on(view: CellView) -> TableEntry:
    runtime, used = view.runtime, _delegate(view)
    threads = thread_words(view.cell.threads)
    if runtime is None or runtime.nodes_total is None or runtime.nodes_delegated is None:
        return TableEntry(text=used, under=threads, sort=used, kind="word")
    nodes = f"{runtime.nodes_delegated} of {runtime.nodes_total} nodes, {threads}"
    return TableEntry(text=used, under=nodes, sort=used, kind="word")


def _page_figures(column: FigureColumn, views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> _PageColumn:
    """A column of figures. A condition that touches all of them is marked in the heading, once."""
    figures = [view for view in views if column.value(view) is not None]
    touching = {view.cell.key: marks(view, notes, column.group) if column.group else () for view in figures}
    common = tuple(note for note in notes if touching and all(note in touched for touched in touching.values()))

    def entry(view: CellView) -> TableEntry:
        value = column.value(view)
        if value is None:
            return TableEntry(text=units.NONE)
        own = tuple(note for note in touching[view.cell.key] if note not in common)
        return TableEntry(text=column.text(view), under=column.under(view), sort=value, marks=own)

    return _PageColumn(title=column.title, unit=column.unit, hint=column.hint, entry=entry, marks=common)
