"""Intervals over launches, by hand."""

from __future__ import annotations

import math

import pytest

from harness.stats.launches import launch_interval, log_half_width, typical


def test_interval_of_two_launches_by_hand() -> None:
    # ln 100 and ln 121 lie ln 1.21 apart: s = ln 1.21 / √2, so t·s/√2 = 12.706 · ln 1.1; the centre of logs is ln 110.
    interval = launch_interval([100.0, 121.0])
    assert interval is not None
    assert typical([100.0, 121.0]) == pytest.approx(110)
    assert interval.high_ns == pytest.approx(110 * 1.1**12.7062, rel=1e-4)
    assert interval.low_ns == pytest.approx(110 / 1.1**12.7062, rel=1e-4)


def test_the_interval_of_ten_launches_is_from_the_pairwise_geometric_means() -> None:
    launches = [100.0, 103, 99, 101, 108, 97, 102, 100.5, 98, 104]
    # The signed-rank sum is 6 or less in 14 of 1,024 sign patterns (1.4 %) and 7 or less in 19 (1.9 %), so six of the
    # 55 means are left out at either end for a level of 97 %.
    means = sorted(math.sqrt(x * y) for i, x in enumerate(launches) for y in launches[i:])
    interval = launch_interval(launches)
    assert interval is not None
    assert (interval.low_ns, typical(launches), interval.high_ns) == pytest.approx((means[6], means[27], means[-7]))


def test_the_interval_of_five_launches_reaches_from_the_fastest_to_the_slowest() -> None:
    launches = [100.0, 100.1, 100.2, 100.3, 150.0]
    interval = launch_interval(launches)
    assert interval is not None
    assert interval.low_ns <= 100.0
    assert interval.high_ns >= 149.999


@pytest.mark.parametrize("medians", [[], [100.0], [0.0, 100.0, 100.0]])
def test_no_interval_without_spread_between_launches(medians: list[float]) -> None:
    assert launch_interval(medians) is None
    assert log_half_width(medians) is None


def test_equal_launches_have_an_interval_of_zero_width_on_a_fine_clock_and_of_two_steps_on_a_coarse_one() -> None:
    fine, coarse = launch_interval([250.0] * 5), launch_interval([250.0] * 5, clock_step=0.02)
    assert fine is not None
    assert coarse is not None
    assert [fine.low_ns, fine.high_ns] == pytest.approx([250.0, 250.0])
    assert [coarse.low_ns, coarse.high_ns] == pytest.approx([250.0 / 1.02, 250.0 * 1.02])


@pytest.mark.parametrize("medians", [[120.0, 100.0], [100.0] * 15 + [200.0] * 5, [1.0, 5.0, 2.0, 80.0, 3.0]])
def test_the_interval_always_contains_the_typical_launch(medians: list[float]) -> None:
    interval = launch_interval(medians)
    assert interval is not None
    assert interval.low_ns <= typical(medians) <= interval.high_ns


def test_one_slow_launch_of_ten_hardly_moves_the_typical_one() -> None:
    launches = [100.0, 100.4, 99.6, 100.2, 99.8, 100.1, 99.9, 100.3, 99.7]
    assert typical([*launches, 150.0]) == pytest.approx(typical(launches), rel=0.001)


@pytest.mark.parametrize(("medians", "expected"), [([70.0], 70.0), ([100.0, 121.0], 110.0), ([0.0, 90.0, 100.0], 90.0)])
def test_the_typical_of_few_launches(medians: list[float], expected: float) -> None:
    assert typical(medians) == pytest.approx(expected)


@pytest.mark.parametrize(("sd", "launches", "half"), [(0.02, 5, 0.0248), (0.02, 10, 0.0143), (0.02, 20, 0.0094)])
def test_half_width_shrinks_with_launches(sd: float, launches: int, half: float) -> None:
    # As many launches above the mean as below (and one at it for an odd count), scaled to the given deviation.
    signs = [1.0] * (launches // 2) + [-1.0] * (launches // 2) + [0.0] * (launches % 2)
    scale = sd * math.sqrt((launches - 1) / (launches // 2 * 2))
    assert log_half_width([1e6 * math.exp(scale * s) for s in signs]) == pytest.approx(half, abs=1e-4)
