"""The constants and sums that stand in for the ``statistics`` module."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import scipy.stats

from harness.stats.normal import Z_ONE_SIDED, Z_TWO_SIDED, deviation, mean


def test_the_quantiles_are_scipys() -> None:
    assert scipy.stats.norm.ppf(0.975) == pytest.approx(Z_TWO_SIDED, rel=1e-15)
    assert scipy.stats.norm.ppf(0.95) == pytest.approx(Z_ONE_SIDED, rel=1e-15)


@pytest.mark.parametrize("values", [[1.0, 2.0], [1e9, 1e9 + 1, 1e9 + 2], [-3.0, 0.5, 0.5, 7.25], [4.0, 4.0]])
def test_mean_and_deviation_are_those_of_python(values: list[float]) -> None:
    assert mean(values) == pytest.approx(statistics.fmean(values), rel=1e-15)
    assert deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert deviation(values) == pytest.approx(float(np.std(values, ddof=1)), rel=1e-9)
