"""Who pays for a good average: the class or group that lost most against the float model, and the inputs that lost."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import StoreError
from harness.records import units
from harness.records.measurement import CellStatus, ChangedInput, GroupFacts, GroupScore
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.view import CellView, full_labels
from harness.store.reader import read_kept

# Cells in the terminal and inputs per cell; the page has more.
MOST_LINES, MOST_INPUTS = 4, 8
# A smaller group is not named as the worst: when five of five answers are lost, McNemar's exact p-value is 1/16, which
# shows nothing; when six of six are, it is 1/32.
LEAST_COUNT = 6
# A page stays below a megabyte: 48 pictures of at most a few kilobytes.
MOST_PICTURES = 48
# The cells that lost most; the others are in the CSV and the JSON.
MOST_ROWS = 100

_PAGE = """\
<h2>Classes and inputs that lost most</h2>
<p class="muted">Against the float model on the same inputs. A group of few inputs changes a lot by chance;
  one of fewer than {{ least }} is not named.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Classes and inputs that lost most">
<table id="groups">
<thead><tr><th class="name" scope="col">cell</th><th class="word" scope="col">worst group</th>
  <th scope="col">its score</th><th scope="col">float model</th><th scope="col">drop</th>
  <th scope="col" title="answers, or inputs for a metric of the model's own">of</th>
  <th scope="col" title="inputs whose score is lower than the float model's">lost</th>
  <th scope="col" title="inputs whose score is higher">won</th><th class="word" scope="col">inputs that lost</th>
</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for text in row %}<td class="{{ "name" if loop.first else "word" if loop.index0 in words else "" }}">{{ text }}
</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% if left_out %}<p class="muted">{{ left_out }} more cells are in <code>table.csv</code>.</p>{% endif %}
{% if pictures %}
<div class="pictures" style="margin-top:16px">
{% for picture in pictures %}
  <figure style="display:inline-block;margin:0 12px 12px 0;width:96px;vertical-align:top;font-size:11px">
    <img src="{{ picture.source }}" alt="{{ picture.title }}" width="64" style="image-rendering:pixelated">
    <figcaption>{{ picture.title }}<br><span class="muted">{{ picture.lost_by }}</span></figcaption>
  </figure>
{% endfor %}
</div>
{% endif %}
"""
_WORD_COLUMNS = (1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small picture of an input: its data as an address, what it is, and which cells lost it."""

    source: str
    title: str
    lost_by: str


def lines(report: Report) -> Iterator[Line]:
    """Yield a sentence per cell that lost inputs, those with the worst group first."""
    names = full_labels(report.views)
    lost = _lost(report.views)
    for view, facts in lost[:MOST_LINES]:
        yield Line(text=f"{names[view.cell.key]}: {_sentence(facts)}", tone=Tone.QUIET)
    more = len(lost) - MOST_LINES
    if more > 0:
        cells, them = ("cell", "it") if more == 1 else ("cells", "them")
        yield Line(text=f"{more} more {cells} lost inputs; the page lists {them}.", tone=Tone.QUIET)


def html(report: Report) -> Fragment | None:
    """Return the table of the cells that lost inputs, and the pictures of these inputs."""
    lost = _lost(report.views)
    if not lost:
        return None
    names = full_labels(report.views)
    rows = [(names[view.cell.key], *_row(facts)) for view, facts in lost[:MOST_ROWS]]
    pictures = list(_pictures(report, lost, names))
    values = {
        "left_out": len(lost[MOST_ROWS:]),
        "rows": rows,
        "words": _WORD_COLUMNS,
        "least": LEAST_COUNT,
        "pictures": pictures,
    }
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its groups."""
    return {}


def _lost(views: Iterable[CellView]) -> list[tuple[CellView, GroupFacts]]:
    judged = [
        (view, _of_enough(view.measurement.groups))
        for view in views
        if view.status is CellStatus.OK and view.measurement is not None and view.measurement.groups is not None
    ]
    # The same file usually gives the same answers on every thread count; only answers that differ are shown again.
    once: dict[tuple[object, ...], tuple[CellView, GroupFacts]] = {}
    for view, facts in judged:
        once.setdefault((view.cell.build, view.cell.device, facts), (view, facts))
    worse = [(view, facts) for view, facts in once.values() if facts.lost or (facts.worst_drop or 0.0) > 0]
    return sorted(worse, key=lambda pair: -(pair[1].worst_drop or 0.0))


def _of_enough(facts: GroupFacts) -> GroupFacts:
    """``facts`` with the groups that are large enough to be named."""
    return replace(facts, groups=tuple(group for group in facts.groups if group.count >= LEAST_COUNT))


def _sentence(facts: GroupFacts) -> str:
    parts = []
    worst = facts.worst
    if worst is not None and worst.drop > 0:
        of = "answers" if facts.metric == "top-1" else "inputs"
        parts.append(
            f"{facts.kind.value} {worst.name} lost most, {facts.metric} {_score(facts, worst.value)} against the float "
            f"model's {_score(facts, worst.float_value)} ({worst.count} {of})"
        )
    if facts.lost:
        parts.append(
            f"{facts.lost} input{'s' if facts.lost != 1 else ''} lost, {facts.won} won: {_inputs(facts, MOST_INPUTS)}"
        )
    return "; ".join(parts)


def _row(facts: GroupFacts) -> tuple[str, ...]:
    worst = facts.worst
    figures = ("", units.NONE, units.NONE, units.NONE, units.NONE)
    if worst is not None and worst.drop > 0:
        name = f"{facts.kind.value} {worst.name}"
        scores = _score(facts, worst.value), _score(facts, worst.float_value)
        figures = (name, *scores, _drop(facts, worst), str(worst.count))
    return (*figures, str(facts.lost), str(facts.won), _inputs(facts, len(facts.changed)))


def _score(facts: GroupFacts, value: float) -> str:
    return units.percent(value) if facts.metric == "top-1" else units.significant(value)


def _drop(facts: GroupFacts, worst: GroupScore) -> str:
    scale, unit = (100, " pp") if facts.share else (1, "")
    interval = ""
    if worst.low is not None and worst.high is not None:
        interval = f" ({scale * worst.low:.3g} to {scale * worst.high:.3g})"
    return f"{scale * worst.drop:.3g}{unit}{interval}"


def _inputs(facts: GroupFacts, most: int) -> str:
    shown = ", ".join(str(one.index) for one in facts.changed[:most])
    return f"{shown}, …" if facts.lost > min(most, len(facts.changed)) else shown


def _pictures(report: Report, lost: list[tuple[CellView, GroupFacts]], names: dict[str, str]) -> Iterator[Picture]:
    """The inputs that most cells lost come first; each input is shown once per model."""
    by_input: dict[tuple[str, int], list[tuple[str, ChangedInput]]] = {}
    for view, facts in lost:
        for one in facts.changed:
            if one.picture is not None:
                by_input.setdefault((view.cell.model, one.index), []).append((names[view.cell.key], one))
    for losses in sorted(by_input.values(), key=lambda losses: -len(losses))[:MOST_PICTURES]:
        one = losses[0][1]
        try:
            data = read_kept(report.run, one.picture or "")
        except StoreError:
            # The figures do not depend on the picture.
            continue
        source = f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"
        yield Picture(source=source, title=_title(one), lost_by=", ".join(_answered(name, c) for name, c in losses))


def _title(one: ChangedInput) -> str:
    return f"input {one.index}" if one.label is None else f"input {one.index}, class {one.label}"


def _answered(name: str, one: ChangedInput) -> str:
    return name if one.answer is None or one.answer < 0 else f"{name}: {one.answer}"
