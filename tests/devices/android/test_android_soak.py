"""Phones side by side with cables pulled at random; ``make soak`` is the long version."""

from __future__ import annotations

import random
from pathlib import Path

from tests.devices.android.apks import TinyApk
from tests.devices.android.soak import fleet_on
from tests.devices.soaking import soak_once
from tests.vphone.server import AdbServer


def test_no_cell_is_lost_run_twice_or_from_another_phone(
    adb_server: AdbServer, onnx_apk: TinyApk, tmp_path: Path
) -> None:
    with fleet_on(adb_server, onnx_apk, tmp_path, 3) as fleet:
        tally = soak_once(fleet, tmp_path, random.Random(1))
    assert tally.ok, tally
    assert tally.cells == 9
