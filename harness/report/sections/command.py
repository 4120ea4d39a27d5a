"""The command that runs a spec again.

The one decision: every choice is spelled out, defaults included, because a default may change with the version.
"""

from __future__ import annotations

import shlex

from harness.spec.goal import Goal
from harness.spec.spec import Spec


def command_line(spec: Spec, goal: Goal | None = None) -> str:
    """Return the ``phonebench run`` command of ``spec``, or the ``phonebench search`` of ``goal``, for a shell."""
    if goal is None:
        return shlex.join(["phonebench", "run", *_words(spec, ("device", "format", "variant", "delegate", "threads"))])
    asked = ["--max-drop", f"{100 * goal.max_drop:g}pp", "--minimise", goal.minimise.value]
    asked += ["--budget", str(goal.budget), "--seconds", f"{goal.seconds:g}"]
    words = _words(spec, ("device", "format", "delegate", "threads"))
    return shlex.join(["phonebench", "search", *words, *asked])


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
