"""The state of a phone: everything before and after a launch, and a few values during it (see `watch`).

The speed of a core is not probed from the shell. Android schedules shell processes on other cores than the foreground
app, so the result would say nothing about the app. Phones report their thermal status instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.devices.android.adb.cable import SHELL_S, Cable
from harness.devices.android.texts import (
    Battery,
    Power,
    Thermal,
    Window,
    parse_battery,
    parse_memory_bytes,
    parse_numbers,
    parse_power,
    parse_thermal,
    parse_window,
    sections,
)
from harness.records.conditions import Condition, ConditionId
from harness.records.device import Readiness
from harness.system.text import finite_number, whole_number
from harness.wire import StateSample

_CPUS = "/sys/devices/system/cpu"
_LIGHT = f"""echo @@uptime; cat /proc/uptime
echo @@load; cat /proc/loadavg
echo @@memory; cat /proc/meminfo
echo @@clocks; cat {_CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq
echo @@governor; cat {_CPUS}/cpu0/cpufreq/scaling_governor
echo @@battery; dumpsys battery
echo @@thermal; dumpsys thermalservice
"""
# `dumpsys window` prints thousands of lines. The lock screen has another name in almost every version.
_FRONT = "mCurrentFocus|Lockscreen|KeyguardServiceDelegate|showing=|isStatusBarKeyguard|KeyguardShowing"
# Errors are dropped: a file or service that a phone lacks leaves its section empty.
LIGHT_SCRIPT = f"{{ {_LIGHT} }} 2>/dev/null"
FULL_SCRIPT = f"""{{ {_LIGHT}
echo @@window; dumpsys window | grep -E '{_FRONT}'
echo @@power; dumpsys power | grep -E 'mWakefulness=|mLowPowerModeEnabled=|mBatterySaverEnabled='
echo low_power=$(settings get global low_power)
}} 2>/dev/null"""
LOW_BATTERY_PERCENT = 30.0
# Android counts processor time in hundredths of a second (USER_HZ).
_TICK_NS = 10_000_000
COOL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """What a phone reports at one moment."""

    sample: StateSample
    battery: Battery
    thermal: Thermal
    window: Window
    power: Power

    def readiness(self) -> Readiness:
        """Return the part that the gate checks before a launch."""
        return Readiness(
            thermal_status=self.thermal.status,
            battery_c=self.battery.temperature_c,
            battery_percent=self.battery.percent,
            charging=self.battery.powered,
            power_save=self.power.saving,
            hottest_c=max((self.thermal.temperatures_c or {}).values(), default=None),
            governor=self.sample.governor,
            screen=self.power.screen,
            foreground=self.window.foreground,
        )


def read_state(cable: Cable, *, seconds: float = SHELL_S) -> PhoneState:
    """Read the whole state of a phone. Raises `PhoneError`."""
    return parse_state(cable.run(FULL_SCRIPT, seconds=seconds).text)


def parse_state(text: str) -> PhoneState:
    """Return the state in the output of one of the scripts."""
    texts = sections(text)
    battery, thermal = parse_battery(texts.get("battery", "")), parse_thermal(texts.get("thermal", ""))
    return PhoneState(
        sample=_sample(texts, battery, thermal),
        battery=battery,
        thermal=thermal,
        window=parse_window(texts.get("window", "")),
        power=parse_power(texts.get("power", "")),
    )


def _sample(texts: dict[str, str], battery: Battery, thermal: Thermal) -> StateSample:
    temperatures = dict(thermal.temperatures_c or {})
    if battery.temperature_c is not None:
        temperatures.setdefault("battery", battery.temperature_c)
    uptime, load = texts.get("uptime", "").split(), texts.get("load", "").split()
    cost = whole_number(texts.get("cost", ""))
    return StateSample(
        at_ns=round((finite_number(uptime[0]) or 0.0) * 1e9) if uptime else 0,
        thermal_status=thermal.status,
        temperatures_c=temperatures,
        cpu_khz=parse_numbers(texts.get("clocks", "")),
        governor=texts.get("governor", "").strip() or None,
        load_1m=finite_number(load[0]) if load else None,
        available_bytes=parse_memory_bytes(texts.get("memory", ""), "MemAvailable"),
        battery_percent=battery.percent,
        charging=battery.powered,
        charge_uah=battery.charge_uah,
        battery_volts=battery.volts,
        battery_forced=battery.forced,
        watch_cpu_ns=None if cost is None else cost * _TICK_NS,
    )


def state_conditions(state: PhoneState) -> tuple[Condition | None, ...]:
    """Return the conditions that this state implies for measurements."""
    # A status that was set by a command must not be reported as heat.
    return _overridden(state) or _hot(state), _low(state)


def _overridden(state: PhoneState) -> Condition | None:
    if not state.thermal.overridden:
        return None
    return Condition(
        id=ConditionId.THERMAL,
        summary="the thermal status was set by a command and says nothing about the phone",
        detail="reset it with: adb shell cmd thermalservice reset",
    )


def _hot(state: PhoneState) -> Condition | None:
    status = state.thermal.status
    if status in (None, COOL):
        return None
    return Condition(
        id=ConditionId.THERMAL,
        summary="the phone is hot and has slowed down",
        detail=f"thermal status {status}, battery at {state.battery.temperature_c} °C",
    )


def _low(state: PhoneState) -> Condition | None:
    percent = state.battery.percent
    if percent is None or percent >= LOW_BATTERY_PERCENT:
        return None
    return Condition(
        id=ConditionId.LOW_BATTERY,
        summary=f"battery at {percent:g} %",
        detail="phones save power when the battery is low",
    )
