"""What each operator of a cell took and what ran it, from the profile that ``--operators`` takes after measuring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records import units
from harness.records.operators import Operator, OperatorProfile
from harness.report.sections.section import Block, Column, Fragment, Grid, Line, Report, Tone
from harness.report.view import CellView, full_labels, plain
from harness.spec.profiles import ProfileName
from harness.stats.medians import median
from harness.wire import NodesLeft

# The terminal has a table per cell for so many cells, and otherwise a line per cell. The page folds more than these.
FEW = 2
# The page has a table for so many cells; those of every cell are behind its row of the main table.
MOST_TABLES = 24
# Names of cells of which the same is said, and lines for cells of which something else is said.
MOST_NAMES, MOST_LINES = 3, 8
# Operators in a table of the terminal and of the page, and types in a line.
IN_TERMINAL, ON_PAGE, IN_LINE = 8, 15, 3
# Operators below this are not much longer than a microsecond, which is the unit of most profilers.
COARSE_NS = 5000
# Names made by converters are paths of many levels; their end says most.
LONGEST_NAME = 48

_PAGE = """\
<h2>Operators</h2>
<p class="muted">
{% if imported %}As the imported files list them.
{% else %}From a launch of its own after measuring: no other figure of this page comes from it.
{% endif %}
A profiler slows calls down, most of all those of small operators. Shares are of the time of all operators.</p>
{% for cell in cells %}
<details{{ " open" if cells | length <= few }}><summary>{{ cell.name }}</summary>
<ul class="notes">{% for sentence in cell.sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
{% if cell.rows %}
<div class="scroll" tabindex="0" role="region" aria-label="Operators of {{ cell.name }}">
<table class="operators">
<thead><tr><th class="name" scope="col">operator</th><th class="word" scope="col">type</th>
  <th class="word" scope="col">ran on</th><th scope="col">share<span class="unit">%</span></th>
  <th scope="col" title="per call of the model">time<span class="unit">{{ cell.unit }}</span></th></tr></thead>
<tbody>
{% for row in cell.rows %}
<tr><td class="name" title="{{ row.full_name }}">{{ row.name }}</td><td class="word">{{ row.kind }}</td>
  <td class="word">{{ row.ran_on }}</td><td>{{ row.share }}</td><td>{{ row.time }}</td></tr>
{% endfor %}
</tbody>
</table>
</div>
{% if cell.more %}
<p class="muted">{{ cell.more }} more operators are in <code>phonebench show --json</code>.</p>
{% endif %}
{% endif %}
</details>
{% endfor %}
{% if folded %}
<p class="muted">The operators of {{ folded }} more cells are behind their rows of the table of all cells, and in
  <code>phonebench show --json</code>.</p>
{% endif %}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operator in words; ``full_name`` as the runtime has it."""

    share: str
    time: str
    name: str
    full_name: str
    kind: str
    ran_on: str


def lines(report: Report) -> Iterator[Block]:
    """Yield a table per profiled cell if they are few, else a line per cell."""
    views = _profiled(report.views)
    names = full_labels(report.views)
    if len(views) > FEW:
        yield from _short_lines(views, names)
        return
    for view, profile in views:
        yield Line(text=f"Operators of {names[view.cell.key]}", tone=Tone.STRONG)
        if profile.by_time:
            yield _grid(rows(profile, IN_TERMINAL), _unit(profile))
        yield from (Line(text=f"  {sentence}", tone=Tone.QUIET) for sentence in sentences(view, profile))


def _short_lines(views: Sequence[tuple[CellView, OperatorProfile]], names: dict[str, str]) -> Iterator[Line]:
    """Yield a line per cell, and one line for cells of which the same is to be said."""
    cells: dict[str, list[str]] = {}
    for view, profile in views:
        text = " ".join(sentences(view, profile, short=True))
        cells.setdefault(text, []).append(names[view.cell.key])
    # What is true of most cells first.
    common = sorted(cells.items(), key=lambda item: -len(item[1]))
    for text, labels in common[:MOST_LINES]:
        yield Line(text=f"Operators of {_counted(labels)}: {text}", tone=Tone.QUIET)
    more = sum(len(labels) for _, labels in common[MOST_LINES:])
    if more:
        yield Line(text=f"Operators of {more} more cells are in: phonebench show --json", tone=Tone.QUIET)


def _counted(labels: Sequence[str]) -> str:
    """The names of a few cells; of many the first and how many more there are."""
    if len(labels) <= MOST_NAMES:
        return ", ".join(labels)
    return f"{len(labels)} cells, such as {labels[0]}"


def html(report: Report) -> Fragment | None:
    """Return a table of the slowest operators per profiled cell."""
    names, profiled = full_labels(report.views), _profiled(report.views)
    # The cells to ship first, then in the order of the run.
    chosen = {view.cell.key for r in report.rankings for view in (r.best, r.smallest) if view is not None}
    alike: dict[str, list[tuple[CellView, OperatorProfile]]] = {}
    for view, profile in profiled:
        # Cells that nothing was timed of differ only in what is said of them.
        alike.setdefault(view.cell.key if profile.by_time else " ".join(sentences(view, profile)), []).append(
            (view, profile)
        )
    first = sorted(alike.values(), key=lambda pairs: pairs[0][0].cell.key not in chosen)[:MOST_TABLES]
    shown = first if len(alike) > MOST_TABLES else list(alike.values())
    cells = [
        {
            "name": _counted([names[view.cell.key] for view, _ in pairs]),
            "sentences": sentences(*pairs[0]),
            "rows": rows(pairs[0][1], ON_PAGE),
            "unit": _unit(pairs[0][1]).name,
            "more": max(0, len(pairs[0][1].by_time) - ON_PAGE),
        }
        for pairs in shown
    ]
    folded = len(profiled) - sum(map(len, shown))
    imported = all(view.cell.profile is ProfileName.IMPORTED for view, _ in profiled)
    values = {"cells": cells, "few": FEW, "folded": folded, "imported": imported}
    return Fragment(template=_PAGE, values=values) if cells else None


def json(report: Report) -> dict[str, Any]:
    """Return every operator of each profiled cell; nothing if no cell was profiled."""
    profiles = [_json(view, profile) for view, profile in _profiled(report.views)]
    return {"operators": profiles} if profiles else {}


def rows(profile: OperatorProfile, most: int) -> list[Row]:
    """Return the ``most`` operators that take the longest, in words."""
    unit = _unit(profile)
    return [
        Row(
            share=f"{100 * (profile.share(operator) or 0):.1f}",
            time=unit.show(_per_call(profile, operator)),
            name=short_name(operator.name),
            full_name=operator.name,
            kind=operator.kind,
            ran_on=operator.ran_on or units.NONE,
        )
        for operator in profile.by_time[:most]
    ]


def sentences(view: CellView, profile: OperatorProfile, *, short: bool = False) -> list[str]:
    """Return what the profile says beside its table; ``short``: in the place of the table."""
    found = (
        _types(profile) if short else _calls(view, profile),
        "" if short or len(profile.by_time) <= IN_LINE else f"By type: {_types(profile)}",
        _places(profile),
        _left(view, profile),
        _sentence(profile.reason),
    )
    return [sentence for sentence in found if sentence]


def short_name(name: str) -> str:
    """Return a name without the packages of its classes, and of a name that is still long the end."""
    # LiteRT's converter writes pkg.Net/torch.nn.modules.conv.Conv2d_0;1, and joins the names of what it fused.
    first = next(filter(None, name.split(";;")), name)
    if "/" in first:
        first = "/".join(level.rsplit(".", 1)[-1] for level in first.split("/"))
    return first if len(first) <= LONGEST_NAME else f"…{first[-LONGEST_NAME:]}"


def _profiled(views: Sequence[CellView]) -> list[tuple[CellView, OperatorProfile]]:
    measured = [(view, view.measurement.operators) for view in views if view.measurement]
    return [(view, profile) for view, profile in measured if profile is not None]


def _types(profile: OperatorProfile) -> str:
    """The types of operators that take the longest."""
    sums: dict[str, float] = {}
    for operator in profile.by_time:
        sums[operator.kind] = sums.get(operator.kind, 0) + (profile.share(operator) or 0)
    longest = sorted(sums.items(), key=lambda item: -item[1])[:IN_LINE]
    words = [f"{kind} {units.percent(share, 0)}" for kind, share in longest]
    return f"{', '.join(words)}." if words else ""


def _calls(view: CellView, profile: OperatorProfile) -> str:
    """How it was timed, and what the profiler itself costs."""
    if not profile.by_time:
        return ""
    by = f"Timed by {profile.source}"
    if profile.call_ns is not None:
        without = f", {units.time(view.latency.median_ns)} without" if view.latency else ""
        by += f" over {profile.calls} calls of {units.time(profile.call_ns)} each{without} a profiler"
    return (
        f"{by}, in whole microseconds, which is coarse for operators this short." if _is_coarse(profile) else f"{by}."
    )


def _is_coarse(profile: OperatorProfile) -> bool:
    """Whether times were counted in whole microseconds and most operators take few of them."""
    timed = profile.by_time
    means = [operator.mean_ns or 0.0 for operator in timed]
    return all((operator.total_ns or 0) % 1000 == 0 for operator in timed) and median(means) < COARSE_NS


def _places(profile: OperatorProfile) -> str:
    """The share of the time by what ran it, where there are several places; of the nodes where nothing was timed."""
    if not profile.by_time:
        return _nodes(profile)
    sums: dict[str, float] = {}
    for operator in profile.by_time:
        sums[operator.ran_on] = sums.get(operator.ran_on, 0) + (profile.share(operator) or 0)
    if len(sums) < 2:
        return ""
    parts = sorted(sums.items(), key=lambda item: -item[1])
    words = [f"{place or 'unknown'} {units.percent(share, 0)}" for place, share in parts]
    return f"Share of the time: {', '.join(words)}."


def _nodes(profile: OperatorProfile) -> str:
    counts: dict[str, int] = {}
    for operator in profile.operators:
        place = operator.ran_on or "unknown"
        counts[place] = counts.get(place, 0) + operator.nodes
    words = [f"{nodes} on {place}" for place, nodes in counts.items()]
    return f"Nodes: {', '.join(words)}." if words else ""


def _left(view: CellView, profile: OperatorProfile) -> str:
    """What the delegate did not take, and why."""
    left = view.runtime.nodes_left if view.runtime and view.runtime.nodes_left else _not_delegated(profile)
    if not left:
        return ""
    words = [f"{part.nodes} {part.kind}{f' ({_bare(part.reason)})' if part.reason else ''}" for part in left]
    return f"Not on {view.cell.delegate.value}: {', '.join(words)}."


def _not_delegated(profile: OperatorProfile) -> tuple[NodesLeft, ...]:
    counts: dict[tuple[str, str], int] = {}
    for operator in profile.not_delegated:
        key = (operator.kind, operator.reason)
        counts[key] = counts.get(key, 0) + operator.nodes
    parts = sorted(counts.items(), key=lambda item: -item[1])
    return tuple(NodesLeft(kind=kind, nodes=nodes, reason=reason) for (kind, reason), nodes in parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{_bare(text[1:])}." if text else ""


def _bare(text: str) -> str:
    return text.rstrip(". ")


def _per_call(profile: OperatorProfile, operator: Operator) -> float | None:
    """The time of ``operator`` in one call of the model; in one call of its own if the former are not counted."""
    calls = profile.calls or operator.calls
    return operator.total_ns / calls if operator.total_ns is not None and calls else None


def _unit(profile: OperatorProfile) -> units.Unit:
    return units.time_unit(_per_call(profile, operator) or None for operator in profile.by_time[:ON_PAGE])


def _grid(listed: list[Row], unit: units.Unit) -> Grid:
    columns = (
        Column(title="share\n%", values=tuple(row.share for row in listed), keep=5),
        Column(title=f"time\n{unit.name}", values=tuple(row.time for row in listed), keep=4),
        Column(title="operator", values=tuple(row.name for row in listed), keep=1, text=True),
        Column(title="type", values=tuple(row.kind for row in listed), keep=3, text=True),
        Column(title="ran on", values=tuple(row.ran_on for row in listed), keep=2, text=True),
    )
    return Grid(columns=columns, dimmed=(False,) * len(listed))


def _json(view: CellView, profile: OperatorProfile) -> dict[str, Any]:
    operators = [
        {**plain(operator), "mean_ns": operator.mean_ns, "share": profile.share(operator)}
        for operator in profile.operators
    ]
    return {"cell": view.cell.key, **plain(profile), "total_ns": profile.total_ns, "operators": operators}
