"""Steps in words: what each did to the network, and how the network was fine-tuned.

One table words all the figures that steps report; a test fails if a new figure is missing from it.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.records import units
from harness.records.steps import Figure, StepReport, TrainingReport

# All figures except the two counts of channels, which are worded as a pair.
_WORDS: dict[Figure, Callable[[float], str]] = {
    Figure.FOLDED: lambda n: f"{n:.0f} batch norms folded",
    Figure.FOLLOWED_BY_ACTIVATION: lambda n: f"{n:.0f} of them followed by an activation",
    Figure.PAIRS_EQUALISED: lambda n: f"channels between {n:.0f} pairs of layers equalised",
    Figure.BIASES_CORRECTED: lambda n: f"biases of {n:.0f} layers corrected for the rounding of their weights",
    Figure.ROUNDINGS_LEARNT: lambda n: f"rounding of {n:.0f} layers learnt",
    Figure.SPARSITY: lambda share: f"{units.percent(share)} of the weights are zero",
    Figure.REVIVED: lambda n: f"{n:.0f} weights became non-zero again",
    Figure.LAYERS_SPLIT: lambda n: f"{n:.0f} layers split in two",
    Figure.DISTINCT_VALUES: lambda n: f"at most {n:.0f} values per layer",
    Figure.TIED_LAYERS: lambda n: f"{n:.0f} layers share one weight",
    Figure.PLAIN_SCORE: lambda s: f"the same student without a teacher {units.percent(s)}",
    Figure.TEACHER_SCORE: lambda s: f"teacher {units.percent(s)}",
}
_PAIRED = (Figure.CHANNELS_BEFORE, Figure.CHANNELS_AFTER)


def step_words(step: StepReport) -> str:
    """Return what ``step`` did in one line: its figures, the sizes that it changed, its fine-tuning."""
    parts = [*_channels(step), *(_WORDS[f](v) for f, v in step.figures.items() if f not in _PAIRED)]
    if step.parameters_after != step.parameters_before:
        parts.append(f"parameters {count(step.parameters_before)} → {count(step.parameters_after)}")
    if step.macs_before and step.macs_after and step.macs_after != step.macs_before:
        parts.append(f"MACs {count(step.macs_before)} → {count(step.macs_after)}")
    if step.training is not None:
        parts.append(training_words(step.training))
    return f"{step.step}: {', '.join(parts)}" if parts else step.step


def training_words(training: TrainingReport) -> str:
    """Return how fine-tuning went, with the scores on the calibration split if that has labels, else with the loss."""
    early = ", stopped early" if training.stopped_early else ""
    words = f"trained {training.epochs} epoch{'s' if training.epochs != 1 else ''} ({training.seconds:.0f} s{early})"
    if training.score_before is not None and training.score_after is not None:
        return f"{words}, {units.percent(training.score_before)} → {units.percent(training.score_after)}"
    return f"{words}, loss {units.significant(training.first_loss)} → {units.significant(training.last_loss)}"


def count(value: float | None) -> str:
    """Return a number of parameters or multiply-accumulates: ``940``, ``29.7 k``, ``4.65 M``, ``385 M``, ``1.2 G``."""
    if value is None:
        return units.NONE
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{units.significant(value / size)}{units.THIN_SPACE}{letter}"
    return f"{value:.0f}"


def _channels(step: StepReport) -> list[str]:
    before, after = (step.figures.get(figure) for figure in _PAIRED)
    return [] if before is None or after is None else [f"channels {before:.0f} → {after:.0f}"]
