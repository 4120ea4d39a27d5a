"""Several looks at one question: what they may spend together, and what equal files make of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.looks import ALPHA, MOST_LOOKS, level_of, spent, sure_span


def test_all_looks_together_spend_less_than_the_whole() -> None:
    assert [spent(look) / ALPHA for look in (1, 2, 3)] == [0.5, 0.25, 0.125]
    assert sum(spent(look) for look in range(1, MOST_LOOKS + 1)) < ALPHA


@pytest.mark.parametrize("look", [0, -1])
def test_looks_are_counted_from_one(look: int) -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        spent(look)


@pytest.mark.parametrize(("pairs", "decides"), [(0, False), (15, False), (16, True), (40, True)])
def test_the_first_look_needs_sixteen_pairs(pairs: int, decides: bool) -> None:
    """The signed ranks of n pairs all have one sign by chance in 2 / 2^n: below 1 in 20,000 from n = 16 on."""
    assert (sure_span([0.1 + 0.001 * i for i in range(pairs)], 1) is not None) is decides
    assert (2 / 2**pairs <= spent(1)) is decides


@pytest.mark.parametrize("look", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_the_interval_excludes_zero_exactly_when_wilcoxons_test_rejects(look: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    pairs = chance.normal(loc=0.02, scale=0.02, size=30).tolist()
    span = sure_span(pairs, look)
    assert span is not None
    rejects = stats.wilcoxon(pairs, method="exact").pvalue <= spent(look)
    assert (span.low > 0 or span.high < 0) is bool(rejects)


def test_a_coarse_clock_widens_the_interval() -> None:
    pairs = [0.01 * (i % 3) for i in range(20)]
    without, widened = sure_span(pairs, 1), sure_span(pairs, 1, step=0.05)
    assert without is not None
    assert widened is not None
    assert widened.low == pytest.approx(without.low - 0.05)
    assert widened.high == pytest.approx(without.high + 0.05)


def test_the_level_is_the_upper_end_of_a_two_sided_interval() -> None:
    assert math.isclose(1 - level_of(1), ALPHA / 4)
