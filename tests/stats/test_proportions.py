"""Paired correct and wrong answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

from harness.stats.proportions import (
    bits_to_correct,
    compare_correct,
    correct_to_bits,
    difference_interval,
    mcnemar_p,
    non_inferior,
    weighted_scores,
)


@pytest.mark.parametrize(
    ("lost", "won", "p"), [(0, 0, 1.0), (5, 0, 2 / 32), (6, 0, 2 / 64), (3, 1, 10 / 16), (2, 2, 1.0)]
)
def test_exact_mcnemar_by_counting_coins(lost: int, won: int, p: float) -> None:
    assert mcnemar_p(lost, won) == pytest.approx(p)
    assert mcnemar_p(won, lost) == pytest.approx(p)


def test_thousands_of_disagreements_do_not_underflow() -> None:
    assert 0 < mcnemar_p(1500, 1700) < 0.001


def test_only_inputs_that_disagree_count() -> None:
    a = [True] * 90 + [True] * 6 + [False] * 4
    b = [True] * 90 + [False] * 6 + [True] * 1 + [False] * 3
    found = compare_correct(a, b)
    assert (found.lost, found.won, found.count, found.difference) == (6, 1, 100, -0.05)
    assert found.low < -0.05 < found.high
    assert found.p_value == pytest.approx(16 / 128)


def test_no_disagreement_still_has_an_interval() -> None:
    low, high = difference_interval(0, 0, 100)
    assert low < 0 < high
    assert high == pytest.approx(-low)


@pytest.mark.parametrize(("count", "passes"), [(100, False), (1000, True)])
def test_being_no_worse_takes_enough_inputs(count: int, passes: bool) -> None:
    same = [True] * count
    assert non_inferior(compare_correct(same, same), 0.01) is passes


@pytest.mark.parametrize(("a", "b"), [([], []), ([True], [True, False])])
def test_answers_to_different_inputs_cannot_be_paired(a: list[bool], b: list[bool]) -> None:
    with pytest.raises(ValueError, match="same inputs"):
        compare_correct(a, b)


@pytest.mark.parametrize("right", [[True], [False, True], [True, False, False, True, True], [False] * 9, []])
def test_bits_survive_encoding(right: list[bool]) -> None:
    assert bits_to_correct(correct_to_bits(right), len(right)) == right


def test_too_few_bits_are_damaged() -> None:
    with pytest.raises(ValueError, match="damaged"):
        bits_to_correct("f", 5)


def score_by_optimiser(lost: int, won: int, count: int, difference: float) -> float:
    """Tango's statistic with the constrained likelihood maximised by scipy instead of by its quadratic."""

    def surprise(share: float) -> float:
        cells = ((won, share + difference), (lost, share), (count - won - lost, 1 - 2 * share - difference))
        return -sum(number * math.log(max(chance, 1e-300)) for number, chance in cells if number)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = scipy.optimize.minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    return float((won - lost - count * difference) / math.sqrt(count * (2 * share + difference * (1 - difference))))


@pytest.mark.parametrize(("lost", "won", "count"), [(1, 5, 30), (0, 0, 20), (3, 3, 50), (20, 5, 1000), (30, 2, 100)])
def test_the_score_test_just_accepts_both_ends(lost: int, won: int, count: int) -> None:
    ends = difference_interval(lost, won, count)
    assert [score_by_optimiser(lost, won, count, end) for end in ends] == pytest.approx([1.96, -1.96], abs=1e-3)


def test_a_loss_of_the_margin_itself_rarely_passes_as_no_worse() -> None:
    chance, passed = np.random.default_rng(5), 0
    for lost, won, _ in chance.multinomial(1000, [0.03, 0.02, 0.95], size=2000):
        a = [True] * int(lost) + [False] * int(won) + [True] * (1000 - int(lost) - int(won))
        b = [False] * int(lost) + [True] * int(won) + [True] * (1000 - int(lost) - int(won))
        passed += non_inferior(compare_correct(a, b), 0.01)
    assert passed / 2000 <= 0.06


def test_scores_of_inputs_average_to_the_share_of_all_answers() -> None:
    scores = weighted_scores([1, 0, 3], [2, 0, 4])
    assert sum(scores) / 3 == pytest.approx(4 / 6)
