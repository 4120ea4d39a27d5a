"""Shifts that many series share, counted by hand, and what must not pass for one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.shifts import LEAST_SHIFT, Deviations, moved_along, shared_shift

RUNS = [f"r{i}" for i in range(20)]


def group(
    tonight: list[float], *, shared: dict[str, float] | None = None, noise: float = 0.02, seed: int = 0
) -> list[Deviations]:
    """Members with the given deviations tonight, and noise on the nights before, plus what those ``shared``."""
    chance = np.random.default_rng(seed)
    return [
        Deviations(
            tonight=value,
            before={run: float(chance.normal(scale=noise)) + (shared or {}).get(run, 0.0) for run in RUNS},
            spread=noise,
        )
        for value in tonight
    ]


def test_a_shift_of_all_members_is_their_median() -> None:
    shift = shared_shift(group([0.07, 0.08, 0.09, 0.08, 0.08, 0.10, 0.07, 0.08, 0.08]), RUNS)
    assert shift is not None
    assert shift.size == 0.08
    assert (shift.unusual, shift.lasting) == (True, False)


def test_a_few_that_regressed_do_not_move_it() -> None:
    shift = shared_shift(group([0.08] * 16 + [0.5] * 4), RUNS)
    assert shift is not None
    assert shift.size == pytest.approx(0.08)


@pytest.mark.parametrize(
    "tonight",
    [
        [0.0] * 20,
        # Some regressed, but most did not.
        [0.2] * 9 + [0.0] * 11,
        # Too few of them moved along.
        [0.08] * 12 + [0.0] * 8,
        # Too small to matter.
        [0.02] * 20,
        # Too few members.
        [0.5] * 4,
    ],
)
def test_no_shift(tonight: list[float]) -> None:
    assert shared_shift(group(tonight), RUNS) is None


def test_too_few_nights_show_no_shift() -> None:
    assert shared_shift(group([0.2] * 20), RUNS[:13]) is None
    assert shared_shift(group([0.2] * 20), RUNS[:14]) is not None


def test_a_phone_whose_nights_vary_needs_a_larger_shift() -> None:
    varying = {run: 0.04 * (1 if i % 2 else -1) for i, run in enumerate(RUNS)}
    assert shared_shift(group([0.10] * 20, shared=varying), RUNS) is None
    assert shared_shift(group([0.40] * 20, shared=varying), RUNS) is not None


def test_a_shift_that_passed_by_itself_before_is_not_unusual() -> None:
    once = shared_shift(group([0.10] * 20, shared={"r4": 0.12}), RUNS)
    other_way = shared_shift(group([0.10] * 20, shared={"r4": -0.12}), RUNS)
    assert once is not None
    assert not once.unusual
    assert other_way is not None
    assert other_way.unusual


@pytest.mark.parametrize(
    ("shared", "lasting"),
    [
        ({"r18": 0.1, "r19": 0.1}, True),
        ({"r19": 0.1}, False),
        ({"r18": 0.1, "r19": -0.1}, False),
        # Two nights in seven are slow, and tonight is the second one.
        ({run: 0.1 for i, run in enumerate(RUNS) if i % 7 in (5, 6)}, False),
    ],
)
def test_a_shift_lasts_from_its_third_night_on(shared: dict[str, float], lasting: bool) -> None:
    shift = shared_shift(group([0.1] * 20, shared=shared), RUNS)
    assert shift is not None
    assert shift.lasting is lasting


@pytest.mark.parametrize("seed", range(3))
def test_level_nights_of_correlated_phones_show_none(seed: int) -> None:
    """500 nights of a phone that varies by 3 % with a correlation of 0.8, and its twenty series by 3 % each."""
    chance = np.random.default_rng(seed)
    phone = np.zeros(200)
    for i in range(1, 200):
        phone[i] = 0.8 * phone[i - 1] + 0.6 * chance.normal(scale=0.03)
    values = phone + chance.normal(scale=0.03, size=(20, 200))
    hits = 0
    for night in range(30, 200):
        before = values[:, night - 30 : night]
        level = np.median(before, axis=1)
        members = [
            Deviations(
                tonight=float(values[i, night] - level[i]),
                before={str(j): float(before[i, j] - level[i]) for j in range(30)},
                spread=0.03,
            )
            for i in range(20)
        ]
        shift = shared_shift(members, [str(j) for j in range(30)])
        hits += shift is not None and (shift.unusual or shift.lasting)
    assert hits <= 1


def test_moved_along_counts_the_same_way_only() -> None:
    members = group([0.1, 0.05, 0.04, -0.1])
    assert moved_along(members, 0.1) == 0.5
    assert math.isclose(LEAST_SHIFT, math.log(1.03))
