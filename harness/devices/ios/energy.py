"""The battery gauge of an iPhone as a counter of energy: the charge that has left the battery, times its voltage.

Coarse: it counts in whole mAh, and iOS brings the number up to date only every few seconds to a minute. A cable feeds
the iPhone, and the charge then says nothing, so there is a counter only over Wi-Fi.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.devices.energy import BLOCK_S, COUNTER, NO_COUNTER
from harness.wire import EnergyCounter, EnergyFacts, EnergyReading, EnergySource, StateSample

STEP_UAH = 1000
# Four renewals of a gauge that iOS brings up to date once a minute.
LEAST_BLOCK_S = 240
DEFINITION = (
    "the charge that left the battery times its voltage (AppleRawCurrentCapacity of AppleSmartBattery in the I/O "
    "registry, in steps of 1 mAh, which iOS renews every few seconds to a minute; read once a second); the whole "
    "iPhone, screen and radios included, with nothing charging it"
)
ON_A_CABLE = (
    "this iPhone is on a cable or charger, which feeds it: unplug it, and reach it over Wi-Fi as ios:UDID "
    "(docs/energy.md#iphones)"
)


def counter_details(battery: Mapping[str, Any]) -> dict[str, str]:
    """Return the details of an iPhone about its counter, from what it says about its battery."""
    if battery.get("charge_uah") is None or battery.get("volts") is None:
        return {NO_COUNTER: "this iPhone reports neither the charge of its battery in mAh nor its voltage"}
    if battery.get("powered") is not False:
        return {NO_COUNTER: ON_A_CABLE}
    return {COUNTER: EnergySource.BATTERY.value, BLOCK_S: str(LEAST_BLOCK_S)}


def read_counter(watch: Sequence[StateSample], clock: Mapping[str, Any], energy: EnergyFacts) -> EnergyCounter:
    """Return the counter of a launch on the clock that ``energy`` has it on.

    ``watch``: readings at moments of this computer's clock. ``clock``: the iPhone's time of day at one such moment.
    """
    reason, offset_ns = "", 0
    if energy.wall_offset_ns is None:
        reason = "the runner app does not report its clock: install the app of this version"
    elif clock.get("wall_ns") is None:
        reason = "the iPhone does not report its time of day"
    else:
        offset_ns = clock["wall_ns"] - clock["at_ns"] - energy.wall_offset_ns + (energy.boot_offset_ns or 0)
    readings = tuple(
        EnergyReading(
            at_ns=sample.at_ns + offset_ns,
            charge_uah=sample.charge_uah,
            volts=sample.battery_volts,
            charging=sample.charging,
        )
        for sample in watch
        if sample.charge_uah is not None
    )
    return EnergyCounter(
        source=EnergySource.BATTERY,
        definition=DEFINITION,
        readings=() if reason else readings,
        reason=reason or ("" if readings else "the charge of the battery was not read during the launch"),
        step_uah=STEP_UAH,
    )
