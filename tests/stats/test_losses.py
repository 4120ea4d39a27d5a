"""Losses of quality against a limit; right values from scipy, by counting, or from a published example."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from harness.stats.losses import (
    Loss,
    LossVerdict,
    least_inputs,
    loss_of_answers,
    loss_of_scores,
    loss_of_shares,
    share_bounds,
)


def answers(lost: int, won: int, count: int) -> Loss:
    """The loss of a file that loses ``lost`` right answers of ``count`` and wins ``won``, with a limit of one point."""
    a = [True] * (count - won) + [False] * won
    b = [False] * lost + [True] * (count - lost)
    return loss_of_answers(a, b, 0.01)


@pytest.mark.parametrize(
    ("lost", "won", "count", "verdict"),
    [
        # One photo, or two, of twenty is no evidence: P(2 of 2 by chance) = 1/2.
        (1, 0, 20, LossVerdict.OPEN),
        (2, 0, 20, LossVerdict.OPEN),
        # Five of five: P = 1/16, not below 5 %, although the score interval starts above one point.
        (5, 0, 20, LossVerdict.OPEN),
        # Six of six: P = 1/32.
        (6, 0, 20, LossVerdict.BEYOND),
        (0, 0, 267, LossVerdict.OPEN),
        (0, 0, 268, LossVerdict.WITHIN),
        (9, 8, 360, LossVerdict.OPEN),
        (20, 0, 360, LossVerdict.BEYOND),
        (700, 500, 50_000, LossVerdict.WITHIN),
        (1500, 500, 50_000, LossVerdict.BEYOND),
        (1000, 500, 50_000, LossVerdict.OPEN),
        (0, 20, 50_000, LossVerdict.WITHIN),
    ],
)
def test_a_verdict_on_answers_needs_evidence(lost: int, won: int, count: int, verdict: LossVerdict) -> None:
    assert answers(lost, won, count).verdict is verdict


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (3, 1), (6, 0), (1, 6), (12, 9)])
def test_the_exact_test_is_scipys_binomial_test(lost: int, won: int) -> None:
    loss = answers(lost, won, 400)
    expected = scipy.stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert loss.p_value == pytest.approx(expected)
    assert (loss.worse, loss.better) == (lost, won)
    assert loss.loss == pytest.approx((lost - won) / 400)


@pytest.mark.parametrize("limit", [0.002, 0.01, 0.02, 0.1])
def test_the_least_number_of_inputs_is_the_first_that_can_exclude_the_limit(limit: float) -> None:
    count = least_inputs(limit)
    # Without a changed answer the score statistic of a loss d is sqrt(n d / (1 - d)): solved for d by scipy.
    bounds = [
        scipy.optimize.brentq(lambda d, n=n: (n * d / (1 - d)) ** 0.5 - scipy.stats.norm.ppf(0.95), 0, 0.999)
        for n in (count - 1, count)
    ]
    assert bounds[1] < limit <= bounds[0]
    assert answers_alike(count, limit).verdict is LossVerdict.WITHIN
    assert answers_alike(count - 1, limit).verdict is LossVerdict.OPEN


def answers_alike(count: int, limit: float) -> Loss:
    return loss_of_answers([True] * count, [True] * count, limit)


def test_shares_alone_have_newcombes_interval() -> None:
    """Newcombe (1998), method 10, from Wilson's intervals by scipy."""
    loss = loss_of_shares((56, 48), 70, 0.01)
    low_a, high_a = scipy.stats.binomtest(56, 70).proportion_ci(method="wilson")
    low_b, high_b = scipy.stats.binomtest(48, 70).proportion_ci(method="wilson")
    a, b = 56 / 70, 48 / 70
    assert loss.low == pytest.approx(a - b - np.hypot(a - low_a, high_b - b))
    assert loss.high == pytest.approx(a - b + np.hypot(high_a - a, b - low_b))
    assert loss.verdict is LossVerdict.OPEN
    assert loss_of_shares((356, 300), 360, 0.01).verdict is LossVerdict.BEYOND


def test_scores_have_the_interval_and_the_p_value_of_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(30, 5, 80)
    b = a - 0.2 + rng.normal(0, 0.5, 80)
    loss = loss_of_scores(list(a), list(b), 0.15)
    test = scipy.stats.ttest_rel(a, b)
    low, high = test.confidence_interval(0.95)
    assert [loss.low, loss.high] == pytest.approx([low, high])
    assert loss.at_most == pytest.approx(test.confidence_interval(0.90)[1])
    assert loss.p_value == pytest.approx(test.pvalue)
    assert loss.verdict is LossVerdict.OPEN
    assert loss_of_scores(list(a), list(b), 0.5).verdict is LossVerdict.WITHIN
    assert loss_of_scores(list(a), list(b), 0.02).verdict is LossVerdict.BEYOND


def test_a_metric_that_is_better_low_turns_round() -> None:
    """Word error rates: B makes 3 points more errors on every input."""
    a = [0.05 + 0.001 * i for i in range(40)]
    b = [rate + 0.03 + 0.0005 * (-1) ** i for i, rate in enumerate(a)]
    loss = loss_of_scores(a, b, 0.01, higher_is_better=False)
    assert loss.verdict is LossVerdict.BEYOND
    assert loss.loss == pytest.approx(0.03)
    assert loss_of_scores(b, a, 0.01, higher_is_better=False).verdict is LossVerdict.WITHIN


def test_few_scores_have_no_interval_however_much_they_differ() -> None:
    loss = loss_of_scores([0.9] * 19, [0.1 + 0.01 * i for i in range(19)], 0.01)
    assert (loss.low, loss.high, loss.at_most, loss.verdict) == (None, None, None, LossVerdict.OPEN)


def test_scores_of_right_and_wrong_are_answers() -> None:
    a, b = [1.0] * 20, [1.0] * 18 + [0.0] * 2
    assert loss_of_scores(a, b, 0.01) == loss_of_answers([True] * 20, [True] * 18 + [False] * 2, 0.01)
    assert loss_of_scores(b, a, 0.01, higher_is_better=False) == loss_of_answers(
        [x == 0 for x in b], [x == 0 for x in a], 0.01
    )


def test_scores_that_hardly_ever_differ_do_not_prove_a_small_loss() -> None:
    """With 40 equal scores Student's interval has no width. A kind of input in 7 % of all cases may not be among them.

    1 - 0.05^(1/40) = 7.2 %, and such an input could cost as much as the scores spread, here 0.4.
    """
    scores = [0.5 + 0.01 * i for i in range(41)][:40]
    loss = loss_of_scores(scores, scores, 0.01)
    assert loss.at_most == pytest.approx(0.39 * (1 - 0.05 ** (1 / 40)))
    assert loss.verdict is LossVerdict.OPEN
    many = [0.5 + 0.4 * (i % 2) + 0.001 * (i % 3) for i in range(20_000)]
    assert loss_of_scores(many, many, 0.01).verdict is LossVerdict.WITHIN


def test_a_certain_loss_below_the_limit_is_real_and_within() -> None:
    loss = answers(200, 50, 50_000)
    assert (loss.is_real, loss.verdict) == (True, LossVerdict.WITHIN)
    assert not answers(2, 0, 20).is_real
    assert not answers(0, 50, 100).is_real


@pytest.mark.parametrize(("correct", "count"), [(20, 20), (18, 20), (0, 5), (9700, 10_000)])
def test_bounds_of_a_share_are_wilsons(correct: int, count: int) -> None:
    low, high = share_bounds(correct, count)
    test = scipy.stats.binomtest(correct, count)
    assert low == pytest.approx(test.proportion_ci(0.90, method="wilson").low, abs=1e-12)
    assert high == pytest.approx(test.proportion_ci(0.95, method="wilson").high)


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 0.5])])
def test_scores_of_different_inputs_cannot_be_paired(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="same inputs"):
        loss_of_scores(a, b, 0.01)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        loss_of_scores([0.5, float("nan")], [0.5, 0.5], 0.01)


def test_a_limit_that_is_just_lost_passes_in_one_case_of_twenty() -> None:
    """The error that the docstring promises: files that lose exactly the limit are called within it 5 % of the time."""
    rng = np.random.default_rng(11)
    cells = rng.multinomial(2000, [0.02, 0.01, 0.97], size=2000)
    passed = [answers(int(lost), int(won), 2000).verdict is LossVerdict.WITHIN for lost, won, _ in cells]
    assert 0.03 < np.mean(passed) < 0.065
