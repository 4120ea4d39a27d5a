"""What the steps of a recipe did to a network: records that travel from the build to the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Figure(StrEnum):
    """The figures that steps report, with their meanings; a step reports those that it has."""

    FOLDED = "folded"  # batch norms folded into the layer before them
    FOLLOWED_BY_ACTIVATION = "followed-by-activation"  # folded layers whose activation a runtime fuses as well
    CHANNELS_BEFORE = "channels-before"
    CHANNELS_AFTER = "channels-after"
    SPARSITY = "sparsity"  # share (0…1) of the weights of the layers it touched that are zero
    REVIVED = "revived"  # weights that had been zero and came back
    LAYERS_SPLIT = "layers-split"
    DISTINCT_VALUES = "distinct-values"  # the most in any one layer
    TIED_LAYERS = "tied-layers"  # layers that share one weight, stored once
    PLAIN_SCORE = "plain-score"  # of the same student trained without a teacher, on the calibration split (0…1)
    TEACHER_SCORE = "teacher-score"  # of the float model, on the calibration split (0…1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """What became of one layer, in a few words: ``rank 12 of 48``, ``left alone: attention``."""

    layer: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """How training again went. Scores (0…1) are top-1 on the calibration split, None where it has no labels."""

    epochs: int
    stopped_early: bool
    seconds: float
    first_loss: float
    last_loss: float
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step: its name in the recipe, sizes before and after, and what it found.

    Parameters count trainable numbers; ``macs`` are multiply-accumulates of one call, None where they cannot be
    counted. ``training`` is None when the step does not train, or was told not to.
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
