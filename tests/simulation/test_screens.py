"""The short form of the screen in every world: few series, fixed seeds, and room for the error of so few."""

from __future__ import annotations

import math

import pytest

from tests.simulation.night_worlds import CHANGE_WORLDS, NULL_WORLDS, NightWorld, draw
from tests.simulation.screens import NIGHTS, SCREEN_CLAIMS, SHORT_CHANGE, SHORT_NULL, Watched, watch


@pytest.mark.parametrize("name", NULL_WORLDS)
def test_no_false_alarm_and_few_suspicions_where_no_file_changes(name: str) -> None:
    alarms, suspicions = SCREEN_CLAIMS[f"screen-alarms-{name}"], SCREEN_CLAIMS[f"screen-suspicions-{name}"]
    assert alarms.figure(alarms.short) == 0
    error = math.sqrt(suspicions.high / (SHORT_NULL * NIGHTS / 1000))
    assert suspicions.figure(suspicions.short) <= suspicions.high + 3 * error


@pytest.mark.parametrize("name", CHANGE_WORLDS)
def test_changes_are_found_in_time(name: str) -> None:
    claim = SCREEN_CLAIMS[f"screen-found-{name}"]
    error = math.sqrt(claim.low * (1 - claim.low) / SHORT_CHANGE)
    assert claim.figure(claim.short) >= claim.low - 3 * error


def watched(world: NightWorld, seed: int) -> list[Watched]:
    """Five series of a world."""
    return watch(draw(world, seed, series=5, nights=NIGHTS), seed)


def test_the_same_seed_is_watched_alike() -> None:
    world = NULL_WORLDS["ar-0.8"]
    assert watched(world, 3) == watched(world, 3)


def test_the_phone_cannot_be_blamed_on_a_file_that_never_changed() -> None:
    # Every night is 30 % slower from the middle on, with one and the same file: suspected, and never confirmed.
    one_file = NightWorld(phone_step=0.3, phone_at=60, once=True)
    assert all(one.suspected and not one.confirmed for one in watched(one_file, 1))


def test_a_change_within_the_tolerance_costs_no_session() -> None:
    assert not any(one.suspected for one in watched(NightWorld(own=0.0005, step=0.003), 2))
    assert all(one.confirmed for one in watched(NightWorld(own=0.0005, step=0.05), 2))
