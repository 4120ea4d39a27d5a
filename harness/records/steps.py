"""What the steps of a recipe did to a network; these records travel from the build to the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Figure(StrEnum):
    """The figures that steps report, with their meanings. Each step reports the ones that apply to it."""

    FOLDED = "folded"  # batch norms folded into the layer before them
    FOLLOWED_BY_ACTIVATION = (
        "followed-by-activation"  # folded layers followed by an activation, which a runtime can fuse as well
    )
    PAIRS_EQUALISED = "pairs-equalised"  # pairs of layers whose channels were scaled
    BIASES_CORRECTED = "biases-corrected"  # layers whose bias makes up for the rounding of their weights
    ROUNDINGS_LEARNT = "roundings-learnt"  # layers whose weights are rounded by what the calibration inputs say
    CHANNELS_BEFORE = "channels-before"
    CHANNELS_AFTER = "channels-after"
    SPARSITY = "sparsity"  # share (0…1) of zeros among the weights of the layers it changed
    REVIVED = "revived"  # weights that were zero before and are not any more
    LAYERS_SPLIT = "layers-split"
    DISTINCT_VALUES = "distinct-values"  # in the layer that has the most
    TIED_LAYERS = "tied-layers"  # layers that share one weight, stored once
    PLAIN_SCORE = "plain-score"  # of the same student trained without a teacher; calibration split, 0…1
    TEACHER_SCORE = "teacher-score"  # of the float model; calibration split, 0…1


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """What happened to one layer, in a few words: ``rank 12 of 48``, ``left alone: attention``."""

    layer: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """How retraining went. Scores (0…1) are top-1 on the calibration split; None if it has no labels."""

    epochs: int
    stopped_early: bool
    seconds: float
    first_loss: float
    last_loss: float
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step: its name in the recipe, sizes before and after, and what it reports.

    ``parameters`` counts trainable numbers. ``macs`` are the multiply-accumulates of one call, None if they cannot be
    counted. ``training`` is None if the step does not train, or training was turned off.
    """

    step: str
    parameters_before: int
    parameters_after: int
    macs_before: int | None = None
    macs_after: int | None = None
    figures: dict[Figure, float] = field(default_factory=dict)
    layers: tuple[LayerReport, ...] = ()
    training: TrainingReport | None = None
    notes: tuple[str, ...] = ()
