"""The short form of the farms: few of them, with fixed seeds."""

from __future__ import annotations

import pytest

from tests.simulation.nights import NIGHT_CLAIMS, World, play_one


@pytest.mark.parametrize("name", NIGHT_CLAIMS)
def test_a_claim_about_the_job_holds(name: str) -> None:
    claim = NIGHT_CLAIMS[name]
    assert claim.low <= claim.figure(claim.short) <= claim.high, claim.what


def test_the_same_seed_is_the_same_farm() -> None:
    world = World(step=0.1, nights=75)
    assert play_one(world, 3) == play_one(world, 3)
