"""What watching a phone costs, and that it is done less often where it costs much."""

from __future__ import annotations

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.watch import Watch, watch_condition, watch_share
from harness.records.conditions import ConditionId
from harness.wire import StateSample
from tests.vphone.ends import wait_for
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb

# Takes some hundredths of a second of processor time, as a real phone's dumpsys does with its services.
BURN = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done"


def samples(*costs: tuple[float, float]) -> tuple[StateSample, ...]:
    """Samples at these seconds of the phone's clock, when the watch had taken so many seconds of processor time."""
    return tuple(StateSample(at_ns=round(at * 1e9), watch_cpu_ns=round(cost * 1e9)) for at, cost in costs)


@pytest.mark.parametrize(
    ("taken", "share"),
    [
        (samples((10, 0.05), (12, 0.09)), 0.02),
        (samples((10, 0.5), (20, 0.5), (30, 2.5)), 0.1),
        (samples((10, 0.05)), None),
        ((StateSample(at_ns=1), StateSample(at_ns=2)), None),
        (samples((10, 0.1), (10, 0.2)), None),
    ],
)
def test_the_share_of_a_core_is_what_the_samples_after_the_first_took(
    taken: tuple[StateSample, ...], share: float | None
) -> None:
    assert watch_share(taken) == (share if share is None else pytest.approx(share))


@pytest.mark.parametrize(("cost", "conditions"), [(0.03, []), (0.041, [ConditionId.WATCH_LOAD])])
def test_a_share_that_shows_is_a_condition_with_its_size(cost: float, conditions: list[ConditionId]) -> None:
    condition = watch_condition(samples((10, 0.0), (11, cost)))
    assert [c.id for c in (condition,) if c is not None] == conditions
    assert condition is None or condition.detail == "4.1 % of one core, in 2 samples"


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_the_watch_pauses_so_long_that_it_takes_no_more_than_its_share(cable: Cable, phone: VirtualPhone) -> None:
    program = phone.jail.outer / "system/bin/dumpsys"
    first, rest = program.read_text().split("\n", 1)
    program.write_text(f"{first}\n{BURN}\n{rest}")
    with Watch(cable, 60) as watch:
        wait_for(lambda: len(watch.samples) >= 3, timeout_s=50)
    found = watch.samples
    costs_ns = [sample.watch_cpu_ns for sample in found]
    assert all(cost is not None and cost > 0 for cost in costs_ns)
    share = watch_share(found)
    assert share is not None
    # Without longer pauses it would be at least two ticks of the clock a second.
    assert share < 0.035
    assert found[-1].battery_percent == 87
