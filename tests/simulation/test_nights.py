"""The short form of the farms: few of them, with fixed seeds."""

from __future__ import annotations

import pytest

from tests.simulation.farm import Farm, Files, World
from tests.simulation.nights import CASES, NIGHT_CLAIMS, half_width, score


@pytest.mark.parametrize("name", NIGHT_CLAIMS)
def test_a_claim_about_the_job_holds(name: str) -> None:
    claim = NIGHT_CLAIMS[name]
    assert claim.low <= claim.figure(claim.short) <= claim.high, claim.what


def test_the_same_seed_is_the_same_farm() -> None:
    world = World(step=0.1, nights=75)
    assert Farm(world, 3).play().regressions == Farm(world, 3).play().regressions != []


def test_a_comparison_of_the_wrong_files_shows() -> None:
    """The simulation believes the files and not the nights: two slow files are equal, whatever happened between."""
    farm = Farm(World(step=0.1, files=Files.ONCE, nights=61, change=30), 1)
    played = farm.play()
    assert played.regressions == [(30, 0)]
    phone = farm.phones[0]
    assert phone.cost(phone.digest(29)) == 0
    assert phone.cost(phone.digest(30)) == phone.cost(phone.digest(60)) == 0.1


def test_a_half_width_is_not_zero_at_the_ends() -> None:
    # Agresti and Coull (1998): 0 of 100 give (0 + 1.92) / (100 + 3.84) = 0.0185 ± 0.0259.
    assert half_width(0, 100) == pytest.approx(0.0259, abs=2e-4)
    assert half_width(100, 100) == pytest.approx(half_width(0, 100))


def test_every_world_has_a_name_of_its_own() -> None:
    assert len({case.what for case in CASES.values()}) >= len(CASES) - 1
    assert score("null-same-file", 1).false_alarms == 0
