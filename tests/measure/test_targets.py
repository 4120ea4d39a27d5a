"""Quality targets, by hand."""

from __future__ import annotations

import math

import pytest

from harness.measure.targets import judge_corpus, judge_correct, judge_scores
from harness.model.targets import Preset
from harness.records.measurement import Passed, TaskScores


@pytest.mark.parametrize(
    ("count", "lost", "passed"),
    [(60, 0, Passed.UNDECIDED), (2000, 10, Passed.YES), (2000, 40, Passed.UNDECIDED), (2000, 100, Passed.NO)],
)
def test_98_percent_of_fp32_needs_enough_inputs(count: int, lost: int, passed: Passed) -> None:
    float_right = [True] * count
    found = judge_correct(Preset.CLASSIFICATION, float_right, [False] * lost + [True] * (count - lost))
    assert (found.passed, found.wanted) == (passed, 0.98)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_a_difference_must_be_certain_before_a_target_is_missed() -> None:
    """Four of twenty lost is 20 %, far below the target, but all by chance in one of eight cases (McNemar)."""
    judged = judge_correct(Preset.CLASSIFICATION, [True] * 20, [False] * 4 + [True] * 16)
    assert judged.passed is Passed.UNDECIDED
    assert judge_correct(Preset.CLASSIFICATION, [True] * 20, [False] * 6 + [True] * 14).passed is Passed.NO


def test_a_target_is_met_if_the_one_sided_bound_is() -> None:
    """1 of 400 lost: Tango's one-sided bound is 1.2 %, which is within the 2 % of the target."""
    right = [False] + [True] * 399
    assert judge_correct(Preset.CLASSIFICATION, [True] * 400, right).passed is Passed.YES


@pytest.mark.parametrize(("level", "passed"), [(34.0, Passed.YES), (33.0, Passed.UNDECIDED), (32.0, Passed.NO)])
def test_a_figure_by_itself_needs_no_float_model(level: float, passed: Passed) -> None:
    scores = [level + 0.1 * (-1) ** i for i in range(100)]
    assert judge_scores(Preset.SUPER_RESOLUTION, (), scores).passed is passed


def test_a_few_scores_decide_nothing() -> None:
    found = judge_scores(Preset.SUPER_RESOLUTION, (), [50.0] * 9)
    assert (found.passed, found.low, found.high) == (Passed.UNDECIDED, None, None)


def test_scores_are_judged_in_pairs() -> None:
    # The scores of inputs differ a lot, the two models differ little and always by as much.
    float_scores = [0.1 + 0.008 * i for i in range(100)]
    scores = [s * 0.97 for s in float_scores]
    found = judge_scores(Preset.SEGMENTATION, float_scores, scores)
    assert found.passed is Passed.YES
    assert found.wanted == pytest.approx(0.96 * sum(float_scores) / 100)


@pytest.mark.parametrize(("lost", "passed"), [(0.01, Passed.YES), (0.028, Passed.UNDECIDED), (0.06, Passed.NO)])
def test_a_score_of_all_inputs_is_judged_draw_by_draw(lost: float, passed: Passed) -> None:
    # The draws of the float model vary by 5 points, those of the difference by half a point.
    shared = [0.05 * math.sin(i) for i in range(300)]
    own = [one - lost + 0.005 * math.cos(3 * i) for i, one in enumerate(shared)]
    scores = TaskScores(
        metric="mIoU", value=0.7 - lost, low=None, high=None, count=200, scores=(), corpus=True, float_value=0.7,
        replicates=tuple(0.7 + one for one in own), float_replicates=tuple(0.7 + one for one in shared),
    )  # fmt: skip
    found = judge_corpus(Preset.SEGMENTATION, scores)
    assert found is not None
    assert found.passed is passed
    assert found.wanted == pytest.approx(0.96 * 0.7)
    assert found.value == pytest.approx(0.7 - lost)
