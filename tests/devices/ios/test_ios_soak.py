"""iPhones side by side with cables pulled at random; ``make soak ARGS=ios`` is the long version."""

from __future__ import annotations

import random
from pathlib import Path

from tests.devices.ios.soak import made_fleet
from tests.devices.soaking import soak_once


def test_no_cell_is_lost_run_twice_or_from_another_iphone(tmp_path: Path) -> None:
    with made_fleet(tmp_path, 3) as fleet:
        tally = soak_once(fleet, tmp_path, random.Random(1))
    assert tally.ok, tally
    assert tally.cells == 9
