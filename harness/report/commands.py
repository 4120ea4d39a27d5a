"""The commands that repeat a run, or a single cell of it.

They spell out every choice, defaults included, because a default may change with the version.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from harness.plan.cells import Cell
from harness.spec.goal import Goal
from harness.spec.spec import Spec


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


def cell_command(cell: Cell, spec: Spec) -> str:
    """Return the command that runs ``cell`` alone, with the settings of the run that it is from."""
    models = [given for given in spec.model if given == cell.model] or list(spec.model)
    # A model may be given as a path or a file, from which its name in the plan cannot be told when there are several.
    model = models[0] if len(models) == 1 else cell.model
    alone = replace(
        spec,
        model=(model,),
        device=(cell.device,),
        format=(cell.format,),
        variant=(cell.variant,) if cell.variant in spec.variant else spec.variant,
        delegate=(cell.delegate,),
        threads=(cell.threads,) if cell.threads is not None else spec.threads,
        profile=cell.profile,
        prompt=(cell.lengths.prompt_tokens,) if cell.lengths is not None else spec.prompt,
    )
    return command_line(alone)


def _words(spec: Spec, lists: tuple[str, ...]) -> list[str]:
    words = [*spec.model]
    for name in lists:
        values = getattr(spec, name)
        if values:
            words += [f"--{name}", ",".join(str(v) for v in values)]
    words += _lengths(spec)
    words += ["--profile", spec.profile.value]
    words += ["--launches", str(spec.launches)] if spec.launches is not None else []
    words += ["--operators"] if spec.operators else []
    words += ["--parts"] if spec.parts else []
    words += ["--random-weights"] if spec.random_weights else []
    for item in spec.input:
        words += ["--input", item]
    words += ["--data", spec.data] if spec.data is not None else []
    words += ["--seed", str(spec.seed)] if spec.seed else []
    return words


def _lengths(spec: Spec) -> list[str]:
    """The lengths for language models. Other models have none, and nobody knows here which kind a model is."""
    usual = Spec()
    if (spec.prompt, spec.new_tokens) == (usual.prompt, usual.new_tokens):
        return []
    return ["--prompt", ",".join(map(str, spec.prompt)), "--new-tokens", str(spec.new_tokens)]
