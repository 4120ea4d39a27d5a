"""Intervals from replicates, against the intervals that are known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.scoring.corpus import REPLICATES, Corpus, of_counts, of_rows, replicates
from harness.stats.losses import LossVerdict, loss_of_replicates, loss_of_scores
from harness.stats.means import mean_interval
from harness.stats.resampling import LEAST_FOR_BOOTSTRAP, difference_interval, replicate_interval

RNG = np.random.default_rng(0)
A = RNG.normal(0.5, 0.1, 200)
B = A - 0.02 + RNG.normal(0, 0.03, 200)


def mean_of(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Corpus:
    """The mean as a score of all inputs, whose interval is known."""
    return of_rows(len(values), lambda rows: float(values[rows].mean()))


def drawn(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    return replicates(mean_of(values), least_inputs=LEAST_FOR_BOOTSTRAP)


def test_the_interval_of_a_mean_is_students() -> None:
    expected = mean_interval(A.tolist())
    found = replicate_interval(float(A.mean()), drawn(A), len(A))
    assert expected is not None
    assert found is not None
    # 400 replicates know a standard error to 3.5 %.
    assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], rel=0.1)


def test_two_scores_are_drawn_from_the_same_inputs() -> None:
    difference = float(B.mean() - A.mean())
    found = difference_interval(difference, drawn(A), drawn(B), len(A))
    expected = mean_interval((B - A).tolist())
    assert found is not None
    assert expected is not None
    assert found == pytest.approx(expected, abs=0.0006)
    alone = replicate_interval(float(A.mean()), drawn(A), len(A))
    assert alone is not None
    assert (found[1] - found[0]) < (alone[1] - alone[0]) / 2, "what both share cancels"


@pytest.mark.parametrize(
    ("limit", "verdict"), [(0.03, LossVerdict.WITHIN), (0.021, LossVerdict.OPEN), (0.01, LossVerdict.BEYOND)]
)
def test_a_loss_has_the_verdict_that_scores_of_inputs_give(limit: float, verdict: LossVerdict) -> None:
    found = loss_of_replicates(float(B.mean() - A.mean()), (drawn(A), drawn(B)), len(A), limit)
    assert (found.verdict, loss_of_scores(A.tolist(), B.tolist(), limit).verdict) == (verdict, verdict)


@pytest.mark.parametrize(
    ("values", "count"),
    [([0.5] * 400, LEAST_FOR_BOOTSTRAP - 1), ([0.5] * 99, 200), ([0.5] * 370 + [math.nan] * 30, 200), ([], 200)],
    ids=["few inputs", "few replicates", "often undefined", "none"],
)
def test_without_enough_there_is_no_interval(values: list[float], count: int) -> None:
    assert replicate_interval(0.5, values, count) is None


def test_few_undefined_draws_are_left_out() -> None:
    assert replicate_interval(0.5, [*drawn(A), math.nan], 200) is not None


def test_equal_scores_lose_nothing_however_few_inputs_there_are() -> None:
    assert loss_of_replicates(0.0, ((), ()), 5, 0.01).verdict is LossVerdict.WITHIN
    assert loss_of_replicates(-0.1, ((), ()), 5, 0.01).verdict is LossVerdict.OPEN


def test_draws_depend_on_the_number_of_inputs_alone_and_end_in_time() -> None:
    counts = np.stack([np.arange(40), np.full(40, 50)], axis=1)
    corpus = of_counts(counts, lambda total: float(total[0] / total[1]))
    assert corpus.of_all() == pytest.approx(counts[:, 0].sum() / counts[:, 1].sum())
    every = replicates(corpus, least_inputs=30)
    assert (len(every), replicates(corpus, least_inputs=30)) == (REPLICATES, every)
    assert replicates(corpus, least_inputs=41) == ()
    assert replicates(corpus, least_inputs=30, seconds=0.0) == ()
