"""The command that repeats the run.

It spells out every choice, defaults included, because a default may change with the version.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from harness.report.sections.section import Block, Fragment, Report
from harness.spec.goal import Goal
from harness.spec.spec import Spec

_PAGE = """\
<h2>Repeat this run</h2>
<pre>{{ command }}</pre>
<p class="muted">Beside this page: <code>run.json</code> (what was asked for), <code>measurements.jsonl</code> (one line
  per cell), <code>replies/</code> (every timed call), <code>table.csv</code>, <code>charts/</code>.</p>
"""


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: the reader of a terminal has typed the command."""
    return ()


def html(report: Report) -> Fragment:
    """Return the command, and the other files of the run."""
    files = dict.fromkeys(m.origin.file for m in report.run.measurements if m.origin)
    command = shlex.join(["phonebench", "import", *files]) if files else None
    values = {"command": command or command_line(report.head.spec, report.head.goal)}
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the run carries its spec."""
    return {}


def command_line(spec: Spec, goal: Goal | None = None) -> str:
    """Return the ``phonebench run`` command of ``spec``, or the ``phonebench search`` of ``goal``, for a shell."""
    if goal is None:
        return shlex.join(["phonebench", "run", *_words(spec, ("device", "format", "variant", "delegate", "threads"))])
    limits = ["--max-drop", f"{100 * goal.max_drop:g}pp", "--minimise", goal.minimise.value]
    if goal.max_group_drop is not None:
        limits += ["--max-group-drop", f"{100 * goal.max_group_drop:g}pp"]
    limits += ["--budget", str(goal.budget), "--seconds", f"{goal.seconds:g}"]
    words = _words(spec, ("device", "format", "delegate", "threads"))
    return shlex.join(["phonebench", "search", *words, *limits])


def _words(spec: Spec, lists: tuple[str, ...]) -> list[str]:
    words = [*spec.model]
    for name in lists:
        values = getattr(spec, name)
        if values:
            words += [f"--{name}", ",".join(str(v) for v in values)]
    words += ["--profile", spec.profile.value]
    words += ["--launches", str(spec.launches)] if spec.launches is not None else []
    words += ["--parts"] if spec.parts else []
    words += ["--random-weights"] if spec.random_weights else []
    for item in spec.input:
        words += ["--input", item]
    words += ["--data", spec.data] if spec.data is not None else []
    words += ["--seed", str(spec.seed)] if spec.seed else []
    return words
