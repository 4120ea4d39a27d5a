"""Answers in class scores, and shares of right ones where one input asks for several; right values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.answers import agreement, clustered_share, in_top, top_answers
from harness.stats.intervals import wilson

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("scores", "axis", "answers"),
    [
        ([[3, 1, 2]], 0, [[0]]),
        ([[[3, 1], [2, 4]]], 1, [[0, 1]]),
        ([[[3, 1], [2, 4]]], 0, [[0, 1]]),
        ([[[3, 5], [2, 4]]], 0, [[0, 0]]),
        ([[[3, 5], [2, 4]]], -1, [[1, 1]]),
        ([[1, -INF, 0]], 0, [[0]]),
        ([[1, NAN, 0]], 0, [[-1]]),
        ([[1, INF, 0]], 0, [[-1]]),
        ([[-INF, -INF]], 0, [[-1]]),
    ],
    ids=[
        "one row",
        "last axis",
        "first axis",
        "first wins",
        "negative axis",
        "ruled out",
        "nan",
        "overflow",
        "none left",
    ],
)
def test_an_answer_is_the_highest_score_along_the_class_axis(
    scores: list[object], axis: int, answers: list[object]
) -> None:
    assert top_answers(np.array(scores, dtype=np.float32), axis).tolist() == answers


def test_pixels_with_their_classes_first_are_answered_one_by_one() -> None:
    # torch: logits [1, classes, height, width], prediction logits.argmax(1).
    logits = np.random.default_rng(0).standard_normal((3, 1, 5, 4, 6))
    assert top_answers(logits, 1).tolist() == logits.argmax(2).reshape(3, 24).tolist()


def test_agreement_counts_rows_and_not_inputs() -> None:
    reference = np.array([[[1, 0], [0, 1], [1, 0], [0, 1]]], dtype=np.float32)
    outputs = np.array([[[1, 0], [0, 1], [0, 1], [NAN, 1]]], dtype=np.float32)
    assert agreement(reference, outputs, -1) == 0.5
    assert agreement(reference[..., :1], outputs[..., :1], -1) is None


def test_agreement_is_about_the_rows_that_the_reference_answers() -> None:
    reference = np.array([[[1, 0], [NAN, 1]], [[0, 1], [INF, 0]]], dtype=np.float32)
    outputs = np.array([[[1, 0], [0, 1]], [[1, 0], [INF, 0]]], dtype=np.float32)
    assert agreement(reference, outputs, -1) == 0.5
    assert agreement(reference[:, 1:], outputs[:, 1:], -1) is None


def test_top_k_takes_equal_scores_in_the_order_of_the_classes() -> None:
    scores = np.array([[5, 4, 3, 3, 1], [0, 0, 0, 0, 0]])
    labels = np.array([[3], [4]])
    assert [in_top(scores, 0, labels, top=k).ravel().tolist() for k in (3, 4, 5)] == [
        [False, False], [True, False], [True, True],
    ]  # fmt: skip


def test_without_a_spread_each_input_counts_once() -> None:
    assert clustered_share([100] * 20, [100] * 20) == wilson(20, 20)
    assert clustered_share([40, 60], [100, 100]) == wilson(1, 2)
    with pytest.raises(ValueError, match="no answers"):
        clustered_share([0], [0])


def test_inputs_that_are_right_or_wrong_as_a_whole_count_as_one_answer_each() -> None:
    # 40 inputs of 50 answers; the variance of the share over inputs is p (1 - p) / 39: hardly more than 39 answers.
    low, high = clustered_share([50] * 30 + [0] * 10, [50] * 40)
    expected = wilson(30, 40)
    assert (low, high) == pytest.approx(expected, abs=0.005)


def test_independent_answers_count_in_full() -> None:
    rng = np.random.default_rng(1)
    right = rng.binomial(50, 0.8, 400)
    low, high = clustered_share(right.tolist(), [50] * 400)
    expected = wilson(int(right.sum()), 20_000)
    assert high - low == pytest.approx(expected[1] - expected[0], rel=0.15)


def test_the_interval_covers_where_wilsons_on_all_answers_does_not() -> None:
    # Each input has its own share of right answers (beta 8, 2); the true share is 0.8.
    rng = np.random.default_rng(2)
    covered = naive = 0
    for _ in range(400):
        right = rng.binomial(100, rng.beta(8, 2, 40)).tolist()
        low, high = clustered_share(right, [100] * 40)
        covered += low <= 0.8 <= high
        low, high = wilson(sum(right), 4000)
        naive += low <= 0.8 <= high
    assert covered / 400 > 0.92
    assert naive / 400 < 0.6
