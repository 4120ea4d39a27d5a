"""Every p-value function on extreme, tied, constant and tiny inputs; right values come from scipy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats

from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.pairs import group_effect, mann_whitney_p, paired_effect, signed_rank_p
from harness.stats.proportions import mcnemar_p
from harness.stats.student import two_sided_p

VALUES = (0.0, 1e-9, 1e-3, 0.1, 0.5, 1.0, 1.7, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 1e3, 1e6)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 19, 30, 199, 1000])
def test_the_tail_of_t_is_scipys(degrees: int) -> None:
    ours = [two_sided_p(value, degrees) for value in VALUES]
    assert ours == pytest.approx([2 * scipy.stats.t.sf(value, degrees) for value in VALUES], rel=1e-8, abs=1e-290)
    assert ours == [two_sided_p(-value, degrees) for value in VALUES]


@pytest.mark.parametrize("value", [1e20, 1e160, math.inf])
def test_a_huge_t_has_a_tail_of_next_to_nothing(value: float) -> None:
    assert 0 <= two_sided_p(value, 9) < 1e-100


@pytest.mark.parametrize(("value", "degrees"), [(math.nan, 5), (1.0, 0)])
def test_an_invalid_t_or_degrees_is_refused(value: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no p-value"):
        two_sided_p(value, degrees)


# Samples that a farm meets: constant clocks, ticks, one outlier, next to no noise, factors of a thousand.
SAMPLES: tuple[Callable[[np.random.Generator, int], Sequence[float]], ...] = (
    lambda chance, n: chance.normal(0, 0.03, n).tolist(),
    lambda _, n: [0.0] * n,
    lambda _, n: [0.02] * n,
    lambda chance, n: (0.01 * chance.integers(-1, 2, n)).tolist(),
    lambda chance, n: (1e-15 * chance.normal(size=n)).tolist(),
    lambda chance, n: (5e-324 * chance.integers(0, 2, n)).tolist(),
    lambda chance, n: (chance.standard_cauchy(n) * 10).tolist(),
    lambda _, n: [*[0.01] * (n - 1), 7.0],
    lambda chance, n: (0.5 + 1e-12 * chance.normal(size=n)).tolist(),
)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_p_value_is_a_probability_whatever_the_data(sample: Callable[..., Sequence[float]]) -> None:
    p_values: list[float] = []
    for seed in range(50):
        chance = np.random.default_rng(seed)
        count = int(chance.integers(2, 25))
        a, b = sample(chance, count), sample(chance, count + 3)
        paired, groups = paired_effect(a), group_effect(a, b)
        assert paired is not None
        assert groups is not None
        p_values += [
            paired.p_value,
            paired.rank_p,
            groups.p_value,
            groups.rank_p,
            signed_rank_p(b),
            mann_whitney_p(a, b),
        ]
    assert all(0 <= p <= 1 for p in p_values)
    assert len(benjamini_hochberg(p_values)) == len(p_values)


def test_mcnemar_is_a_probability_from_nothing_to_many_disagreements() -> None:
    pairs = [(0, 0), (1, 0), (0, 1), (3, 3), (0, 5000), (2500, 2500), (1, 4999)]
    expected = [1.0 if not lost + won else scipy.stats.binomtest(lost, lost + won).pvalue for lost, won in pairs]
    assert [mcnemar_p(lost, won) for lost, won in pairs] == pytest.approx(expected, rel=1e-9, abs=1e-300)
