"""Quality targets of MLPerf Mobile, which a model card may name as ``target``.

A target relative to the float model is judged on the same inputs, pair by pair, as the report judges quality. On a few
hundred inputs "98 % of fp32" is often neither clearly met nor clearly missed; then the answer is ``undecided``.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.targets import PRESETS, Preset
from harness.records.measurement import Passed, TargetFacts, TaskScores
from harness.records.metrics import scores_reading
from harness.stats.losses import Loss, LossVerdict, loss_of_answers, loss_of_replicates, loss_of_scores

_PASSED = {LossVerdict.WITHIN: Passed.YES, LossVerdict.BEYOND: Passed.NO, LossVerdict.OPEN: Passed.UNDECIDED}


def judge_correct(preset: Preset, float_right: Sequence[bool], right: Sequence[bool]) -> TargetFacts:
    """Compare correct answers with the float model's on the same inputs. Raises ValueError when their counts differ."""
    base = sum(float_right) / len(float_right)
    return _target(preset, base, loss_of_answers(float_right, right, base - _required(preset, base)))


def judge_scores(preset: Preset, float_scores: Sequence[float], scores: Sequence[float]) -> TargetFacts:
    """Compare scores, one per input and higher is better, with the float model's.

    An absolute target needs no ``float_scores``. Raises ValueError when they are needed and their counts differ.
    """
    absolute = PRESETS[preset].absolute
    if absolute is not None:
        # Every input is compared with the target itself, of which nothing may be lost.
        return _target(preset, absolute, loss_of_scores([absolute] * len(scores), scores, 0.0))
    base = sum(float_scores) / len(float_scores) if float_scores else 0.0
    return _target(preset, base, loss_of_scores(float_scores, scores, base - _required(preset, base)))


def judge_corpus(preset: Preset, scores: TaskScores) -> TargetFacts | None:
    """Compare a score of all inputs together with the float model's, or with an absolute target.

    None for a relative target without a float model.
    """
    absolute = PRESETS[preset].absolute
    base = scores.float_value if absolute is None else absolute
    if base is None:
        return None
    floats = scores_reading(scores, floats=True).replicates if absolute is None else (base,) * len(scores.replicates)
    sides = floats, scores_reading(scores).replicates
    limit = base - _required(preset, base)
    return _target(preset, base, loss_of_replicates(scores.value - base, sides, scores.count, limit))


def _required(preset: Preset, base: float) -> float:
    facts = PRESETS[preset]
    return facts.absolute if facts.absolute is not None else (facts.relative or 1.0) * base


def _target(preset: Preset, base: float, loss: Loss) -> TargetFacts:
    """The verdict on ``loss``, in values of the metric instead of losses from ``base``."""
    return TargetFacts(
        preset=preset.value,
        metric=PRESETS[preset].metric,
        wanted=_required(preset, base),
        value=base - loss.loss,
        low=None if loss.high is None else base - loss.high,
        high=None if loss.low is None else base - loss.low,
        passed=_PASSED[loss.verdict],
    )
