"""Cells without results, and why. A reason that many cells share is given once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records.measurement import CellStatus
from harness.report.listing import listed
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.view import CellView, full_labels
from harness.store.reader import ticket_of
from harness.system.paths import DEFAULT_RESULTS

# Beyond this many names a line of the terminal says how many more there are; the page has all.
LISTED = 6
# Beyond this many cells the runner's own words are behind the rows of the table alone.
MOST_DETAILS = 12
# In the order of how much they need attention.
_WITHOUT_RESULTS = (CellStatus.FAILED, CellStatus.BROKEN, CellStatus.UNSUPPORTED)

_PAGE = """\
<h2>Cells without results</h2>
{% if pending %}
<p>{{ pending }} of {{ cell_count }} cells have not run yet. To resume: <code>{{ resume }}</code></p>
{% endif %}
<ul class="missing">
{% for group in groups %}
  {% set several = group.cells > 1 %}
  <li><span class="badge {{ group.status.value }}">{{ group.status.value }}</span>
    <strong>{{ group.cells ~ " cells" if several else group.names[0] }}</strong>: {{ group.reason }}
    {% if several %}
    <details><summary>{{ group.names | length }} file{{ "s" if group.names | length > 1 }}</summary>
      <p class="muted">{{ group.names | join(", ") }}</p></details>
    {% endif %}
    {% for name, detail in group.details[:most] %}
    <details><summary>details{{ " of " ~ name if several }}</summary><pre>{{ detail }}</pre></details>
    {% endfor %}
    {% if group.details | length > most %}
    <p class="muted">{{ group.details | length - most }} more have details; each is behind its row of the table.</p>
    {% endif %}
  </li>
{% endfor %}
</ul>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingGroup:
    """The cells that have no results for one reason.

    ``names`` are those of their files, each once, whatever the number of ``cells`` is. ``details`` are what is said of
    single cells, by name: the runner's words, and their own reasons if these are ``differing`` in figures or file
    names.
    """

    status: CellStatus
    reason: str
    names: tuple[str, ...]
    cells: int
    details: tuple[tuple[str, str], ...]
    differing: bool = False


def lines(report: Report) -> Iterator[Line]:
    """Yield a line per reason, with the names of its cells below it when they are several."""
    for group in missing_groups(report.views):
        if group.cells == 1:
            yield Line(text=f"{group.status.value}: {group.names[0]}: {group.reason}", tone=Tone.BAD)
            continue
        example = f"such as {group.names[0]}: " if group.differing else ""
        yield Line(text=f"{group.status.value}: {group.cells} cells: {example}{group.reason}", tone=Tone.BAD)
        yield Line(text=f"  {listed(group.names, LISTED)}", tone=Tone.QUIET)
    pending = _pending(report)
    if pending:
        yield Line(text=f"{pending} of {len(report.views)} cells have not run yet. To resume:", tone=Tone.WARNING)
        yield Line(text=f"  {_resume(report, results=report.run.directory.parent)}", tone=Tone.WARNING)


def html(report: Report) -> Fragment | None:
    """Return the reasons, with the runner's own words folded away."""
    groups, pending = missing_groups(report.views), _pending(report)
    if not groups and not pending:
        return None
    values = {
        "groups": groups,
        "pending": pending,
        "cell_count": len(report.views),
        "resume": _resume(report),
        "most": MOST_DETAILS,
    }
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its status and its reason."""
    return {}


def missing_groups(views: tuple[CellView, ...]) -> tuple[MissingGroup, ...]:
    """Return the cells without results by status and reason: failed ones first, then broken, then unsupported.

    Reasons that differ in figures or file names alone are one reason; the first stands for all.
    """
    members: dict[tuple[CellStatus, str], list[CellView]] = {}
    for status in _WITHOUT_RESULTS:
        for view in (v for v in views if v.status is status):
            members.setdefault((status, _without_figures(_reason(view))), []).append(view)
    cells, files = full_labels(views), full_labels(views, threads=False)
    return tuple(_group(group, cells, files) for group in members.values())


def _group(views: list[CellView], names: dict[str, str], files: dict[str, str]) -> MissingGroup:
    differing = len({_reason(view) for view in views}) > 1
    said = {view.cell.key: _detail(view) for view in views}
    if differing:
        said = {view.cell.key: f"{_reason(view)}\n{said[view.cell.key]}".rstrip() for view in views}
    return MissingGroup(
        status=views[0].status,
        reason=_reason(views[0]),
        names=tuple(dict.fromkeys(files[view.cell.key] for view in views)),
        cells=len(views),
        details=tuple((names[key], detail) for key, detail in said.items() if detail),
        differing=differing,
    )


def _reason(view: CellView) -> str:
    return view.reason or "no reason was recorded"


def _without_figures(reason: str) -> str:
    return re.sub(r"/\S+|\d[\d.,]*", "#", reason)


def _detail(view: CellView) -> str:
    failure = view.measurement.failure if view.measurement else None
    return failure.detail if failure else ""


def _pending(report: Report) -> int:
    return sum(1 for view in report.views if view.status is CellStatus.PENDING)


def _resume(report: Report, results: Path = DEFAULT_RESULTS) -> str:
    """The command; without ``results`` for the page, which may be read on another computer."""
    ticket = ticket_of(report.run.directory)
    command = ["phonebench", "search" if report.head.goal else "run", f"--resume={report.head.id}"]
    command = ["phonebench", "cloud", "fetch", ticket] if ticket else command
    return shlex.join(command if results == DEFAULT_RESULTS else [*command, "--results", str(results)])
