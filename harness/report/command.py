"""The command that runs a spec again.

The one decision: every choice is spelled out, defaults included, because a default may change with the version.
"""

from __future__ import annotations

import shlex

from harness.spec import Spec


def command_line(spec: Spec) -> str:
    """Return the ``phonebench run`` command of ``spec``, quoted for a shell."""
    words = ["phonebench", "run", *spec.model]
    for name in ("device", "format", "variant", "delegate", "threads"):
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
    return shlex.join(words)
