"""The state of a phone, for the gate and for the record of a launch."""

from __future__ import annotations

import pytest

from harness.devices.android.state import parse_state, state_conditions
from harness.records.conditions import ConditionId
from tests.devices.android.phone_texts import BATTERY, FOCUS, THERMAL

TEXT = f"""@@uptime
1234.50 8000.00
@@load
1.25 0.80 0.40 2/900 4711
@@memory
MemTotal:        8000 kB
MemAvailable:    4000 kB
@@clocks
1800000
2400000
@@governor
sched_pixel
@@battery
{BATTERY}@@thermal
{THERMAL}@@window
{FOCUS}@@power
  mWakefulness=Awake
low_power=0
"""


def test_readiness_has_everything_the_gate_checks() -> None:
    now = parse_state(TEXT).readiness()
    assert (now.thermal_status, now.battery_c, now.battery_percent, now.charging) == ("moderate", 29.7, 82.0, True)
    assert (now.power_save, now.hottest_c, now.governor) == (False, 44.123, "sched_pixel")
    assert (now.screen, now.foreground) == ("on", "com.android.launcher3")
    assert now.probe_ns is None


def test_a_sample_has_the_phones_own_clock_and_base_units() -> None:
    sample = parse_state(TEXT).sample
    assert (sample.at_ns, sample.load_1m, sample.available_bytes) == (1_234_500_000_000, 1.25, 4_096_000)
    assert sample.cpu_khz == (1_800_000, 2_400_000)
    assert sample.temperatures_c["battery"] == 29.7


def test_a_phone_that_tells_nothing_has_a_state_of_nothing() -> None:
    state = parse_state("")
    assert state.sample.thermal_status is None
    assert state.readiness().battery_c is None


@pytest.mark.parametrize(
    ("change", "ids"),
    [
        (("", ""), [ConditionId.THERMAL]),
        (("Thermal Status: 2", "Thermal Status: 0"), []),
        (("Status: 2", "Status: 0\nIsStatusOverride: true"), [ConditionId.THERMAL]),
        (("level: 41", "level: 6"), [ConditionId.THERMAL, ConditionId.LOW_BATTERY]),
    ],
)
def test_heat_and_a_low_battery_are_conditions(change: tuple[str, str], ids: list[ConditionId]) -> None:
    found = state_conditions(parse_state(TEXT.replace(*change)))
    assert [condition.id for condition in found if condition is not None] == ids
