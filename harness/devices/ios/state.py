"""The state of an iPhone: the battery from outside, heat and low power mode from the app, as far as they are fresh.

Only an app can ask iOS how hot it is. So before the first launch, and some time after the last one, all that is known
is the temperature of the battery.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from harness.records.conditions import Condition, ConditionId
from harness.records.device import Readiness
from harness.wire import RunReply, StateSample

COOL = "none"
# The thermal states of iOS, from cool to hot. A word that is not among them counts as the hottest.
_HEAT: dict[str | None, int] = {None: 0, COOL: 0, "light": 1, "severe": 2, "critical": 3}
LOW_BATTERY_PERCENT = 30.0
# After so long an iPhone is cooler, or was switched to another mode, and nobody has asked it.
FRESH_S = 60.0


class AppState:
    """What the app said last about heat and low power mode."""

    def __init__(self) -> None:
        self._sample: StateSample | None = None
        self._at = 0.0

    def note(self, reply: RunReply) -> None:
        """Keep the state in a reply of the app."""
        if reply.state is not None:
            self._sample, self._at = reply.state.after, time.monotonic()

    def fresh(self) -> StateSample:
        """Return the last state, empty if it is old."""
        if self._sample is None or time.monotonic() - self._at > FRESH_S:
            return StateSample(at_ns=0)
        return self._sample


def readiness_of(battery: Mapping[str, Any], app: StateSample) -> Readiness:
    """Return the state that the gate checks."""
    return Readiness(
        thermal_status=app.thermal_status,
        battery_c=battery.get("temperature_c"),
        battery_percent=battery.get("percent"),
        charging=battery.get("powered"),
        power_save=app.low_power_mode,
    )


def samples_of(readings: list[dict[str, Any]]) -> tuple[StateSample, ...]:
    """Return the readings of the battery during a launch."""
    return tuple(
        StateSample(
            at_ns=reading["at_ns"],
            temperatures_c={} if reading["temperature_c"] is None else {"battery": reading["temperature_c"]},
            battery_percent=reading["percent"],
            charging=reading["powered"],
            charge_uah=reading["charge_uah"],
            battery_volts=reading["volts"],
        )
        for reading in readings
    )


def state_conditions(battery: Mapping[str, Any], app: StateSample) -> tuple[Condition, ...]:
    """Return the conditions that this state implies for measurements."""
    candidates = (_hot(app, battery), _low(battery))
    return tuple(condition for condition in candidates if condition is not None)


def launch_conditions(reply: RunReply) -> tuple[Condition, ...]:
    """Return the conditions of one launch that its reply shows."""
    if reply.state is None:
        return ()
    states = (reply.state.before, *reply.state.series, reply.state.after)
    saving = any(state.low_power_mode for state in states)
    hot = _hot(max(states, key=lambda state: _HEAT.get(state.thermal_status, len(_HEAT))), {})
    candidates = (_saving() if saving else None, hot)
    return tuple(condition for condition in candidates if condition is not None)


def _saving() -> Condition:
    return Condition(
        id=ConditionId.LOW_POWER_MODE,
        summary="low power mode was on, which makes the processor slower",
        detail="switch it off in Settings > Battery",
    )


def _hot(app: StateSample, battery: Mapping[str, Any]) -> Condition | None:
    status = app.thermal_status
    if status in (None, COOL):
        return None
    degrees = battery.get("temperature_c")
    beside = "" if degrees is None else f", battery at {degrees:g} °C"
    return Condition(
        id=ConditionId.THERMAL,
        summary="the iPhone is hot and slows down",
        detail=f"thermal status {status}{beside}",
    )


def _low(battery: Mapping[str, Any]) -> Condition | None:
    percent = battery.get("percent")
    if percent is None or percent >= LOW_BATTERY_PERCENT:
        return None
    return Condition(
        id=ConditionId.LOW_BATTERY,
        summary=f"battery at {percent:g} %",
        detail="phones save power when the battery is low",
    )
