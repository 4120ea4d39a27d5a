"""The command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from harness.report.commands import command_line
from harness.report.sections.section import Block, Fragment, Report

_PAGE = """\
<h2>Repeat this run</h2>
<pre>{{ command }}</pre>
<p class="muted">Beside this page: <code>run.json</code> (what was asked for), <code>measurements.jsonl</code> (one line
  per cell), <code>replies/</code> (every timed call), <code>table.csv</code>
  {%- if charts %}, <code>charts/</code>{% endif %}.</p>
"""


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: the reader of a terminal has typed the command."""
    return ()


def html(report: Report) -> Fragment:
    """Return the command, and the other files of the run."""
    files = dict.fromkeys(m.origin.file for m in report.run.measurements if m.origin)
    command = shlex.join(["phonebench", "import", *files]) if files else None
    values = {"command": command or command_line(report.head.spec, report.head.goal), "charts": bool(report.charts)}
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the run carries its spec."""
    return {}
