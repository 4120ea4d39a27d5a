"""Many tests in one night."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from harness.stats.multiplicity import benjamini_hochberg

# The example of Benjamini and Hochberg (1995): fifteen tests, of which four are rejected.
PAPER = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_the_example_of_the_paper() -> None:
    assert benjamini_hochberg(PAPER) == (True,) * 4 + (False,) * 11


def test_the_result_keeps_the_order_of_the_input() -> None:
    assert benjamini_hochberg([0.9, 0.001, 0.04]) == (False, True, False)


def test_a_p_value_is_rejected_together_with_larger_ones() -> None:
    assert benjamini_hochberg([0.04, 0.045]) == (True, True)
    assert benjamini_hochberg([0.04, 0.045], any_dependence=True) == (False, False)


@pytest.mark.parametrize(("p_values", "rejected"), [([], ()), ([0.05], (True,)), ([0.051], (False,))])
def test_a_single_test_is_not_corrected(p_values: list[float], rejected: tuple[bool, ...]) -> None:
    assert benjamini_hochberg(p_values) == rejected


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_impossible_p_values_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a p-value"):
        benjamini_hochberg([0.1, bad])


@pytest.mark.parametrize("any_dependence", [False, True])
def test_the_rejected_are_scipys_whatever_the_p_values(any_dependence: bool) -> None:
    chance = np.random.default_rng(8)
    for _ in range(200):
        p_values = chance.choice([0.0, 5e-324, 1e-9, 0.004, 0.03, 1.0], size=chance.integers(1, 30))
        p_values = np.where(chance.random(len(p_values)) < 0.5, chance.random(len(p_values)) ** 4, p_values)
        adjusted = scipy.stats.false_discovery_control(p_values, method="by" if any_dependence else "bh")
        assert benjamini_hochberg(p_values.tolist(), any_dependence=any_dependence) == tuple(adjusted <= 0.05)
