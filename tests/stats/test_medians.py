"""The median, compared with the standard library's."""

from __future__ import annotations

import statistics

import pytest

from harness.stats.medians import median


@pytest.mark.parametrize("values", [[3], [3, 1], [5, 1, 3], [4.0, 1.5, 2.5, 9.0], [-1, -1, 7], [1e9, 1, 2]])
def test_it_is_that_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == statistics.median(values)
    assert median(iter(values)) == statistics.median(values)


def test_no_values_have_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])
