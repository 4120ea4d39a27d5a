"""Quality targets of MLPerf Mobile, which a model card may name as ``target``.

A target relative to the float model is judged on the same inputs, pair by pair, with an interval. On a few hundred
inputs "98 % of fp32" is often neither clearly met nor clearly missed; then the answer is ``undecided``.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.targets import PRESETS, Preset, PresetFacts
from harness.records.measurement import Passed, TargetFacts
from harness.stats.means import mean_interval
from harness.stats.proportions import compare_correct


def judge_correct(preset: Preset, float_right: Sequence[bool], right: Sequence[bool]) -> TargetFacts:
    """Compare correct answers with the float model's on the same inputs. Raises ValueError when their counts differ."""
    facts = PRESETS[preset]
    paired = compare_correct(float_right, right)
    base = sum(float_right) / len(float_right)
    required = _required(facts, base)
    return _target(preset, required, base + paired.difference, (base + paired.low, base + paired.high))


def judge_scores(preset: Preset, float_scores: Sequence[float], scores: Sequence[float]) -> TargetFacts:
    """Compare scores, one per input, with the float model's: the t interval over inputs, pair by pair.

    An absolute target needs no ``float_scores``. Raises ValueError when one is needed and their counts differ.
    """
    facts, value = PRESETS[preset], sum(scores) / len(scores)
    if facts.absolute is not None:
        return _target(preset, facts.absolute, value, mean_interval(scores))
    base = sum(float_scores) / len(float_scores) if float_scores else 0.0
    interval = mean_interval([b - a for a, b in zip(float_scores, scores, strict=True)])
    shifted = interval and (base + interval[0], base + interval[1])
    return _target(preset, _required(facts, base), value, shifted)


def _required(facts: PresetFacts, base: float) -> float:
    return facts.absolute if facts.absolute is not None else (facts.relative or 1.0) * base


def _target(preset: Preset, required: float, value: float, interval: tuple[float, float] | None) -> TargetFacts:
    """Judge ``value`` by its interval; without one, there are too few inputs to decide."""
    low, high = interval or (None, None)
    passed = Passed.UNDECIDED
    if low is not None and high is not None:
        passed = Passed.YES if low >= required else Passed.NO if high < required else Passed.UNDECIDED
    return TargetFacts(
        preset=preset.value,
        metric=PRESETS[preset].metric,
        wanted=required,
        value=value,
        low=low,
        high=high,
        passed=passed,
    )
