"""The state of a phone, asked for in one call each: all of it before and after a launch, a little once a second.

The one decision: a launch is watched by one command that goes on by itself, not by a new one a second, because each
new one is a process and a good deal of work for the phone's adb daemon beside the model that is measured. What the
window manager knows is asked outside of launches alone.

The speed of a core is not probed from the shell: a shell process is put on other cores than an app in front, so that
its time would say nothing of the app's. Phones tell their thermal status instead.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from harness.devices.android.adb.cable import SHELL_S, Cable, printed
from harness.devices.android.adb.link import Link
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
from harness.errors import PhoneError
from harness.records.conditions import Condition, ConditionId
from harness.records.device import Readiness
from harness.wire import StateSample

log = logging.getLogger(__name__)

_CPUS = "/sys/devices/system/cpu"
_LIGHT = f"""echo @@uptime; cat /proc/uptime
echo @@load; cat /proc/loadavg
echo @@memory; cat /proc/meminfo
echo @@clocks; cat {_CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq
echo @@governor; cat {_CPUS}/cpu0/cpufreq/scaling_governor
echo @@battery; dumpsys battery
echo @@thermal; dumpsys thermalservice
"""
_FRONT = "mCurrentFocus|Lockscreen|KeyguardServiceDelegate|showing=|isStatusBarKeyguard|KeyguardShowing"
LIGHT_SCRIPT = f"{{ {_LIGHT} }} 2>/dev/null"
FULL_SCRIPT = f"""{{ {_LIGHT}
echo @@window; dumpsys window | grep -E '{_FRONT}'
echo @@power; dumpsys power | grep -E 'mWakefulness=|mLowPowerModeEnabled=|mBatterySaverEnabled='
echo low_power=$(settings get global low_power)
}} 2>/dev/null"""
_END = "@@end"
WATCH_SCRIPT = f"while :; do {LIGHT_SCRIPT}; echo {_END}; sleep 1; done"
WATCH_IDLE_S = 15.0
LOW_BATTERY_PERCENT = 30.0
COOL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """What a phone tells of itself at one moment."""

    sample: StateSample
    battery: Battery
    thermal: Thermal
    window: Window
    power: Power

    def readiness(self) -> Readiness:
        """Return the part that the gate before a launch asks for."""
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
    """Ask a phone for all of its state. Raises `PhoneError`."""
    return parse_state(cable.run(FULL_SCRIPT, seconds=seconds).text)


def parse_state(text: str) -> PhoneState:
    """Return the state that the answer to one of the scripts tells of."""
    told = sections(text)
    battery, thermal = parse_battery(told.get("battery", "")), parse_thermal(told.get("thermal", ""))
    return PhoneState(
        sample=_sample(told, battery, thermal),
        battery=battery,
        thermal=thermal,
        window=parse_window(told.get("window", "")),
        power=parse_power(told.get("power", "")),
    )


def _sample(told: dict[str, str], battery: Battery, thermal: Thermal) -> StateSample:
    temperatures = dict(thermal.temperatures_c or {})
    if battery.temperature_c is not None:
        temperatures.setdefault("battery", battery.temperature_c)
    uptime, load = told.get("uptime", "").split(), told.get("load", "").split()
    return StateSample(
        at_ns=round(float(uptime[0]) * 1e9) if uptime else 0,
        thermal_status=thermal.status,
        temperatures_c=temperatures,
        cpu_khz=parse_numbers(told.get("clocks", "")),
        governor=told.get("governor", "").strip() or None,
        load_1m=float(load[0]) if load else None,
        available_bytes=parse_memory_bytes(told.get("memory", ""), "MemAvailable"),
        battery_percent=battery.percent,
        charging=battery.powered,
    )


def state_conditions(state: PhoneState) -> tuple[Condition | None, ...]:
    """Return what of the state makes figures taken now less trustworthy."""
    return _overridden(state) or _hot(state), _low(state)


def _overridden(state: PhoneState) -> Condition | None:
    if not state.thermal.overridden:
        return None
    return Condition(
        id=ConditionId.THERMAL,
        summary="the thermal status was set by a command and says nothing of the phone",
        detail="put it back with: adb shell cmd thermalservice reset",
    )


def _hot(state: PhoneState) -> Condition | None:
    status = state.thermal.status
    if status in (None, COOL):
        return None
    return Condition(
        id=ConditionId.THERMAL,
        summary="the phone is hot and slows down",
        detail=f"thermal status {status}, battery at {state.battery.temperature_c} °C",
    )


def _low(state: PhoneState) -> Condition | None:
    percent = state.battery.percent
    if percent is None or percent >= LOW_BATTERY_PERCENT:
        return None
    return Condition(
        id=ConditionId.LOW_BATTERY, summary=f"battery at {percent:g} %", detail="phones save power when low"
    )


class Watch:
    """The state once a second from a connection of its own, while it is entered; ``samples`` are in order.

    A watch that fails is only shorter: it is no reason to lose a launch.
    """

    def __init__(self, cable: Cable, seconds: float) -> None:
        self._cable, self._seconds = cable, seconds
        self._link: Link | None = None
        self._thread: threading.Thread | None = None
        self._found: list[StateSample] = []

    @property
    def samples(self) -> tuple[StateSample, ...]:
        """The state so far."""
        return tuple(self._found)

    def __enter__(self) -> Watch:
        try:
            self._link = self._cable.start(WATCH_SCRIPT, seconds=self._seconds, idle_s=WATCH_IDLE_S)
        except PhoneError as error:
            log.info("%s is not watched: %s", self._cable.serial, error)
            return self
        self._thread = threading.Thread(target=self._run, args=(self._link,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._link is not None:
            self._link.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self, link: Link) -> None:
        text = ""
        try:
            for data in printed(link):
                text += data.decode("utf-8", errors="replace")
                *whole, text = text.split(f"{_END}\n")
                self._found += [parse_state(part).sample for part in whole]
        except PhoneError as error:
            # So it ends when the launch is over, too: the link is closed under it.
            log.debug("the watch of %s ended: %s", self._cable.serial, error)
