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
from harness.report.view import CellView, prompt_words, thread_words
from harness.spec.recipe import AS_IS

# Rows that the page has as elements, and those whose texts decide how wide a column is.
FIRST_ROWS, _MEASURED_ROWS = 50, 300
# The table's width on a page of 1,280 pixels with a scroll bar; the column of names wraps.
TABLE_PIXELS, NAME_PIXELS = 1195, 190
# Words longer than this wrap: one long name must not push the other columns off the page.
_LONG_CHARACTERS = 24

_LONG = "word long"

# Statuses of cells that have something to show in the table; the section on missing results lists the others.
_IN_TABLE = (CellStatus.OK, CellStatus.BROKEN, CellStatus.FAILED)

_ROWS = """\
{% macro letters(notes) %}
{%- if notes %}<span class="marks">
  {%- for note in notes -%}
  <a class="mark" href="#note-{{ note.letter }}" title="{{ note.id.value }}: {{ note.meaning }}">{{ note.letter }}</a>
  {%- endfor %}</span>{% endif -%}
{% endmacro %}
{% for row in rows %}
<tr class="{{ row.status.value }}" data-row="{{ row.number }}">
{%- for entry in row.entries -%}
  <td class="{{ entry.kind }}">
    {%- if entry.kind == "format" %}<span class="dot {{ entry.text }}"></span>{% endif -%}
    {{- letters(entry.marks) }}
    {%- if entry.kind == "name" -%}
    <button type="button" class="open" aria-expanded="false">{{ entry.text }}</button>
    {%- else %}{{ entry.text }}{% endif -%}
    {%- if entry.badge %}<span class="badge {{ entry.badge }}">{{ entry.badge }}</span>{% endif -%}
    {%- if entry.under %}<span class="under">{{ entry.under }}</span>{% endif -%}
  </td>
{%- endfor -%}
</tr>
{% endfor %}
"""

_PAGE = """\
<h2>All cells</h2>
{% if rows %}
{% macro letters(notes) %}
{%- if notes %}<span class="marks">
  {%- for note in notes -%}
  <a class="mark" href="#note-{{ note.letter }}" title="{{ note.id.value }}: {{ note.meaning }}">{{ note.letter }}</a>
  {%- endfor %}</span>{% endif -%}
{% endmacro %}
<div class="find" id="cells-find" role="search" aria-label="Find cells"></div>
<p class="said" id="cells-said" role="status"></p>
<div class="scroll" tabindex="0" role="region" aria-label="All cells">
<table id="cells" aria-describedby="cells-said">
<thead><tr>
{% for column in columns %}
  <th class="{{ column.kind }}" title="{{ column.hint }}" scope="col"{{ " hidden" if column.key in hidden }}>
    <button type="button">{{ column.title }}</button>
    <span class="unit">{{ letters(column.marks) }}{{ column.unit or "\u00a0" }}</span></th>
{% endfor %}
</tr></thead>
<tbody>
{{ rows }}
</tbody>
</table>
</div>
<div class="more" id="cells-more" hidden><button type="button">Show more</button></div>
{% if rest %}<noscript><p>{{ rest }} more cells are in <code>table.csv</code>.</p></noscript>{% endif %}
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
    """One column of the page's table. The columns with the lowest ``keep`` are hidden first where they do not fit."""

    title: str
    entry: Callable[[CellView], TableEntry]
    keep: int
    kind: str = "number"
    unit: str = ""
    hint: str = ""
    marks: tuple[Footnote, ...] = ()

    @property
    def key(self) -> str:
        """What a link to the page calls the column."""
        return self.title.replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PageRow:
    """One row of the page's table; ``number`` counts all cells of the report."""

    number: int
    status: CellStatus
    entries: tuple[TableEntry, ...]


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
    """Return the table, which its headings sort and its controls filter.

    A model or a device that is the same in every row has no column. Rows beyond the first `FIRST_ROWS` are embedded as
    text, which the page's script turns into rows when they are shown: so the first screen is quick.
    """
    from markupsafe import Markup

    from harness.report.details import details_json

    shown, views = _in_table(report), report.views
    if not shown:
        return Fragment(template=_PAGE, values={"rows": None})
    columns = _page_columns(shown, report)
    rows = [_page_row(number, view, columns) for number, view in enumerate(views)]
    hidden = _hidden([row for row in rows if row.status in _IN_TABLE][:_MEASURED_ROWS], columns)
    first = [row for row in rows if row.status in _IN_TABLE][:FIRST_ROWS]
    texts = _row_texts(rows)
    return Fragment(
        template=_PAGE,
        values={
            "columns": columns,
            "hidden": hidden,
            "rows": Markup("\n".join(texts[row.number] for row in first)),
            "rest": len(shown) - len(first),
        },
        embedded={
            "cells-data": _table_data(views, columns, rows, hidden) | {"html": _not_first(texts, first)},
            "cells-details": details_json(views, report.head, report.evidence),
        },
    )


def _not_first(texts: list[str], first: list[_PageRow]) -> list[str]:
    """The rows, without those that the page has as elements."""
    numbers = {row.number for row in first}
    return ["" if number in numbers else text for number, text in enumerate(texts)]


def _row_texts(rows: list[_PageRow]) -> list[str]:
    import jinja2

    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_ROWS)
    # One call for all rows: calling the template row by row takes four times as long.
    text = template.render(rows=rows)
    return [f"{row}</tr>".strip() for row in text.split("</tr>")[:-1]]


def _page_columns(shown: tuple[CellView, ...], report: Report) -> list[_PageColumn]:
    figures = [_page_figures(c, shown, report.footnotes) for c in figure_columns(shown) if c.title]
    return [*_page_names(shown, report), *figures]


def _page_row(number: int, view: CellView, columns: list[_PageColumn]) -> _PageRow:
    return _PageRow(number=number, status=view.status, entries=tuple(c.entry(view) for c in columns))


def _hidden(rows: list[_PageRow], columns: list[_PageColumn]) -> frozenset[str]:
    """The keys of the columns that do not fit the page's width, the least needed first."""
    widths = {c.key: _pixels(c, [row.entries[i] for row in rows]) for i, c in enumerate(columns)}
    hidden: set[str] = set()
    for column in sorted(columns, key=lambda c: c.keep):
        if sum(width for key, width in widths.items() if key not in hidden) <= TABLE_PIXELS:
            break
        hidden.add(column.key)
    return frozenset(hidden)


def _pixels(column: _PageColumn, entries: list[TableEntry]) -> float:
    """About how wide a column is, padding included: 7.4 pixels per character at 13 pixels, 6.4 in small print."""
    if column.kind == "name":
        return NAME_PIXELS
    if column.kind == "word" and any(entry.kind == _LONG for entry in entries):
        return NAME_PIXELS
    lines = [7.4 * len(column.title) + 14, 6.8 * len(column.unit) + 16 * len(column.marks)]
    for entry in entries:
        lines += [7.4 * len(entry.text) + 17 * len(entry.marks) + (15 if entry.kind == "format" else 0)]
        # Types and places in the file are words, which wrap.
        lines += [6.4 * len(entry.under) if entry.kind != "format" else 0]
    return max(lines) + 17


def _facets(views: tuple[CellView, ...]) -> list[tuple[str, list[str]]]:
    """What the cells can be filtered and grouped by: the name of each facet, and its value for every cell."""
    return [
        ("model", [v.cell.model for v in views]),
        ("device", [v.cell.device for v in views]),
        ("variant", [v.cell.variant for v in views]),
        ("format", [v.cell.format.value for v in views]),
        ("delegate", [_delegate(v) for v in views]),
        ("threads", ["unknown" if v.cell.threads is None else str(v.cell.threads) for v in views]),
        *([("prompt", [prompt_words(v) for v in views])] if any(v.cell.lengths for v in views) else []),
        ("status", [v.status.value for v in views]),
    ]


def _table_data(
    views: tuple[CellView, ...], columns: list[_PageColumn], rows: list[_PageRow], hidden: frozenset[str]
) -> dict[str, Any]:
    """What the page's script needs to find and sort: the facets of each row, words to search, and values to sort by."""
    facets = [(name, values, list(dict.fromkeys(values))) for name, values in _facets(views)]
    places = [{value: place for place, value in enumerate(different)} for _, _, different in facets]
    # What cannot run is listed below the table, with its reasons, and is shown here on demand.
    statuses = [s.value for s in CellStatus if s in _IN_TABLE]
    return {
        "facets": [
            {
                "key": name,
                "title": name,
                "values": different,
                "preset": [v for v in different if v in statuses] if name == "status" else [],
            }
            for name, _, different in facets
        ],
        "columns": [{"key": c.key, "title": c.title, "unit": c.unit, "hidden": c.key in hidden} for c in columns],
        "fixed": next(i for i, c in enumerate(columns) if c.kind == "name"),
        "keys": [view.cell.key for view in views],
        "rows": [
            [
                *(place[values[row.number]] for place, (_, values, _) in zip(places, facets, strict=True)),
                " ".join(c.id.value for c in view.conditions) + f" {view.reason or ''}",
                *(entry.sort for entry in row.entries),
            ]
            for view, row in zip(views, rows, strict=True)
        ],
    }


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
        *(
            [column("prompt", 96, prompt_words, common=False, text=False)]
            if any(v.cell.lengths is not None for v in views)
            else []
        ),
    )


def _type_columns(views: tuple[CellView, ...]) -> Iterator[Column]:
    """The types of the weights of ready-made files, and those of the inputs where a file takes other than float32."""
    types = [view.artifact.types if view.artifact else None for view in views]
    if any(view.cell.variant == AS_IS for view in views):
        weights = tuple(weight_words(of_file) or units.NONE for of_file in types)
        yield Column(title="weights", values=weights, keep=55, text=True, common=True)
    inputs = tuple((value_words(of_file.inputs) if of_file else "") or units.NONE for of_file in types)
    # Those of a language model are tokens.
    if any(words not in (FLOAT, units.NONE) for words, v in zip(inputs, views, strict=True) if v.cell.lengths is None):
        yield Column(title="input", values=inputs, keep=56, text=True, common=True)


def _figure_columns(views: tuple[CellView, ...]) -> Iterator[Column]:
    """The figures that a terminal has room for."""
    for column in figure_columns(views):
        if column.keep is not None and not column.page_only:
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
        keep=100,
        kind="name",
    )
    format_ = _PageColumn(
        title="format",
        hint="the file that the runtime loads, and the types in it",
        entry=_format,
        keep=99,
        kind="format",
    )
    ran_on = _PageColumn(
        title="ran on",
        hint="the delegate used, its share of the nodes, and the threads",
        entry=_ran_on,
        keep=91,
        kind="word",
    )
    model = _PageColumn(title="model", entry=_word(lambda v: v.cell.model), keep=97, kind="word")
    device = _PageColumn(title="device", entry=_word(lambda v: v.cell.device), keep=96, kind="word")
    models = [model] if len({v.cell.model for v in views}) > 1 else []
    devices = [device] if len({v.cell.device for v in views}) > 1 else []
    prompt = _PageColumn(
        title="prompt", hint="tokens of the prompt, and new tokens", entry=_prompt, keep=98, kind="word"
    )
    prompts = [prompt] if any(v.cell.lengths is not None for v in views) else []
    return [*models, variant, format_, *prompts, ran_on, *devices]


def _prompt(view: CellView) -> TableEntry:
    lengths = view.cell.lengths
    if lengths is None:
        return TableEntry(text=units.NONE)
    return TableEntry(
        text=str(lengths.prompt_tokens), under=f"+ {lengths.new_tokens}", sort=lengths.prompt_tokens, kind="word"
    )


def _word(value: Callable[[CellView], str]) -> Callable[[CellView], TableEntry]:
    return lambda view: TableEntry(text=value(view), sort=value(view), kind=_kind(value(view)))


def _kind(text: str) -> str:
    return _LONG if len(text) > _LONG_CHARACTERS else "word"


def _format(view: CellView) -> TableEntry:
    """The format. Under it, what a ready-made file holds, or that a file takes integers that stand for real numbers."""
    types, name = view.artifact.types if view.artifact else None, view.cell.format.value
    shown = types is not None and (view.cell.variant == AS_IS or is_quantised(types))
    return TableEntry(text=name, under=type_words(types) if shown else "", sort=name, kind="format")


def _ran_on(view: CellView) -> TableEntry:
    runtime, used = view.runtime, _delegate(view)
    threads = thread_words(view.cell.threads)
    if runtime is None or runtime.nodes_total is None or runtime.nodes_delegated is None:
        return TableEntry(text=used, under=threads, sort=used, kind=_kind(used))
    nodes = f"{runtime.nodes_delegated} of {runtime.nodes_total} nodes, {threads}"
    return TableEntry(text=used, under=nodes, sort=used, kind=_kind(used))


def _page_figures(column: FigureColumn, views: tuple[CellView, ...], notes: tuple[Footnote, ...]) -> _PageColumn:
    """A column of figures. A condition that touches all of them is marked in the heading, once."""

    def marks_of(view: CellView) -> tuple[Footnote, ...]:
        return marks(view, notes, column.group) if column.group else ()

    touched = [marks_of(view) for view in views if column.value(view) is not None]
    common = tuple(note for note in notes if touched and all(note in those for those in touched))

    def entry(view: CellView) -> TableEntry:
        value = column.value(view)
        if value is None:
            return TableEntry(text=units.NONE, under=column.absent(view))
        own = tuple(note for note in marks_of(view) if note not in common)
        return TableEntry(text=column.text(view), under=column.under(view), sort=value, marks=own)

    return _PageColumn(
        title=column.title,
        unit=column.unit,
        hint=column.hint,
        entry=entry,
        marks=common,
        # A column that a terminal never shows is needed least.
        keep=column.keep if column.keep is not None else 20,
    )
