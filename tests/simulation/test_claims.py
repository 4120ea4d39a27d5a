"""The short form of the simulation: every claim with few worlds and fixed seeds."""

from __future__ import annotations

import pytest

from tests.simulation.claims import CLAIMS


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_holds_in_a_world_whose_truth_is_known(name: str) -> None:
    claim = CLAIMS[name]
    assert claim.low <= claim.figure(claim.short) <= claim.high, claim.what


@pytest.mark.parametrize("name", ["aa-called", "clean-nights"])
def test_the_same_seed_is_the_same_world(name: str) -> None:
    assert CLAIMS[name].figure(10) == CLAIMS[name].figure(10)
