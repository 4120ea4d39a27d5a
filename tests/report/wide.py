"""A made-up run of the whole matrix: fourteen variants in four formats, some with steps, mixed or data-free."""

from __future__ import annotations

from dataclasses import replace

from harness.plan.cells import Cell, make_cell
from harness.records.artifact import ArtifactFacts
from harness.records.measurement import Measurement
from harness.records.steps import Figure, LayerReport, StepReport, TrainingReport
from harness.spec.profiles import ProfileName
from harness.spec.recipe import Prune, Recipe
from harness.spec.shorthand import parse_recipe
from harness.spec.spec import Spec
from harness.store.records import RunRecord
from tests.report.builders import DELEGATE, Samples, make_run, measurement, sample_launches, with_head

UNTRAINED = Recipe(name="untrained", steps=(Prune(ratio=0.5, fine_tune=False),))
SHORT = (
    "fp32", "fp16", "int8", "int8-dynamic", "int8-mixed", "int8-datafree", "int8-histogram", "fuse", "prune50",
    "prune50+int8", "sparse80", "cluster16", "distill+int8",
)  # fmt: skip
RECIPES = (*(parse_recipe(name) for name in SHORT), UNTRAINED)
TRAINED = TrainingReport(
    epochs=12,
    stopped_early=True,
    seconds=6.4,
    first_loss=1.31,
    last_loss=0.02,
    score_before=0.41,
    score_after=0.992,
)
PRUNE = StepReport(
    step="prune",
    parameters_before=29_700,
    parameters_after=8_200,
    macs_before=700_000,
    macs_after=190_000,
    figures={Figure.CHANNELS_BEFORE: 376, Figure.CHANNELS_AFTER: 192},
    layers=tuple(LayerReport(layer=f"features.{i}", outcome="24 of 48 channels") for i in range(8)),
    training=TRAINED,
)
STEPS: dict[str, StepReport] = {
    "fuse": replace(
        PRUNE, step="fuse", figures={Figure.FOLDED: 9, Figure.FOLLOWED_BY_ACTIVATION: 9}, training=None, layers=()
    ),
    "prune50": PRUNE,
    "prune50+int8": PRUNE,
    "sparse80": replace(
        PRUNE, step="sparse", parameters_after=29_700, macs_after=700_000, figures={Figure.SPARSITY: 0.8}, layers=()
    ),
    "cluster16": replace(
        PRUNE, step="cluster", parameters_after=29_700, macs_after=700_000, figures={Figure.DISTINCT_VALUES: 16}
    ),
    "distill+int8": replace(
        PRUNE,
        step="distill",
        figures={Figure.TEACHER_SCORE: 0.992, Figure.PLAIN_SCORE: 0.978},
        notes=("the student is the model pruned by 0.5",),
    ),
    "untrained": replace(PRUNE, training=None),
}


def wide_run(*, recipes: tuple[Recipe, ...] = RECIPES) -> RunRecord:
    """Return the run; every cell is ok."""
    planned = tuple(
        make_cell("digits", recipe.name, format_, delegate, 1, "host", ProfileName.QUICK)
        for format_, delegate in DELEGATE.items()
        for recipe in recipes
    )
    run = make_run(planned, tuple(_measured(cell) for cell in planned))
    spec = Spec(model=("digits",), variant=tuple(r.name for r in recipes), recipe=recipes)
    return with_head(run, spec=spec)


def like_samples(run: RunRecord) -> Samples:
    """The callable that gives charts the times of single calls."""
    by_key = {c.key: c for c in run.head.plan.cells}
    return lambda m: sample_launches(like(by_key[m.cell]), launches=len(m.launches))


def like(cell: Cell) -> Cell:
    """The cell with the plain precision that the builders have figures for."""
    precisions = ("int8-dynamic", "int8", "fp16")
    return replace(cell, variant=next((v for v in precisions if v in cell.variant), "fp32"))


def _measured(cell: Cell) -> Measurement:
    measured = measurement(like(cell))
    assert measured.artifact is not None
    return replace(measured, cell=cell.key, artifact=_facts(measured.artifact, cell.variant))


def _facts(plain: ArtifactFacts, variant: str) -> ArtifactFacts:
    step = STEPS.get(variant)
    return replace(
        plain,
        parameters=step.parameters_after if step else 29_700,
        macs=step.macs_after if step else 700_000,
        steps=(step,) if step else (),
        own_sqnr_db=31.0 if step else None,
        kept_float=("features.1.0.0",) if variant == "int8-mixed" else (),
        calibration="batch-norm" if "datafree" in variant else "data" if variant.startswith("int8-") else "",
    )
