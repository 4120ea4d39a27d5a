"""A moment of the soak: several phones at once, cables pulled at random, every cell once and right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.soak.farm import farm, play_round
from tests.vphone.rootfs import missing

PHONES = 8


@pytest.mark.slow
def test_pulled_cables_lose_no_cell_and_run_none_twice(tmp_path: Path, built_cache: Path) -> None:
    if lacking := missing():
        pytest.skip(f"{MISSING}{lacking}; apt-get install {lacking}")
    with farm(tmp_path, built_cache, count=PHONES) as phones:
        found = play_round(phones, tmp_path / "results", seed=7)
    assert found.clean, found
    assert found.asked == found.stored == 2 * PHONES
    assert found.pulled > 1
