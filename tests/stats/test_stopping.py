"""The rule that ends a cell's launches."""

from __future__ import annotations

import pytest

from harness.stats.stopping import enough_launches

CHECKPOINTS = (5, 7, 10)
STEADY = [1000.0, 1001.0, 999.0, 1000.0, 1000.0, 1001.0, 999.0, 1000.0, 1000.0, 1000.0]
NOISY = [1000.0, 1100.0, 900.0, 1050.0, 950.0, 1100.0, 900.0, 1000.0, 1070.0, 930.0]


@pytest.mark.parametrize("count", [0, 1, 4, 6, 8, 9])
def test_narrow_intervals_count_at_checkpoints_only(count: int) -> None:
    assert not enough_launches(STEADY[:count], 0.015, CHECKPOINTS)


@pytest.mark.parametrize("count", [5, 7, 10])
def test_a_narrow_interval_at_a_checkpoint_is_enough(count: int) -> None:
    assert enough_launches(STEADY[:count], 0.015, CHECKPOINTS)


@pytest.mark.parametrize("count", [5, 7])
def test_a_wide_interval_asks_for_more(count: int) -> None:
    assert not enough_launches(NOISY[:count], 0.015, CHECKPOINTS)


@pytest.mark.parametrize("count", [10])
def test_the_last_checkpoint_ends_it_whatever_the_noise(count: int) -> None:
    assert enough_launches(NOISY[:count], 0.015, CHECKPOINTS)


def test_one_launch_is_enough_for_a_profile_of_one() -> None:
    assert not enough_launches([], 0.015, (1,))
    assert enough_launches([1000.0], 0.015, (1,))


def test_no_checkpoints_is_an_error() -> None:
    with pytest.raises(ValueError, match="no checkpoints"):
        enough_launches([1000.0], 0.015, ())
