"""Counts the energy of a launch on a phone, with its own tracer (Perfetto) or, without one, from what the watch saw.

Power rails come first: they are finer, and a cable does not disturb them. Otherwise it is the charge of the battery
times its voltage, which says something only while nothing charges it. Which of the two a phone has shows when it is
asked, so both are asked for. The trace stops by itself if the phone goes away meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace

from harness.devices.android.adb.cable import Cable
from harness.devices.android.energy.trace import PowerTrace, parse_trace
from harness.devices.android.hold.tether import Tether
from harness.errors import PhoneError
from harness.wire import EnergyCounter, EnergyReading, EnergySource, StateSample

log = logging.getLogger(__name__)

# Where the tracer may write on every version of Android.
_FOLDER = "/data/misc/perfetto-traces"
# 4 Hz is the most that the battery's driver is asked for, and what rails are sampled at.
_POLL_MS = 250
_BUFFER_KB = 8192
_STOP_S = 30.0
_LEAST_READINGS = 2

RAILS_DEFINITION = (
    "the sum of the power rails that the phone lists (Perfetto android.power), read four times a second; rails sit "
    "behind the battery and are not the whole phone, and their names are the maker's"
)
BATTERY_DEFINITION = (
    "the charge that left the battery times its voltage ({reader}); the whole phone, screen and radios included, "
    "with nothing charging it"
)
_BY_TRACE, _BY_WATCH = "Perfetto android.power, read four times a second", "dumpsys battery, read by the watch"


def trace_config(seconds: float) -> str:
    """Return the configuration of the trace in Perfetto's text form; it ends by itself after ``seconds``."""
    return f"""duration_ms: {round(seconds * 1000)}
buffers {{ size_kb: {_BUFFER_KB} fill_policy: DISCARD }}
data_sources {{ config {{
  name: "android.power"
  android_power_config {{
    battery_poll_ms: {_POLL_MS}
    battery_counters: BATTERY_COUNTER_CHARGE
    collect_power_rails: true
  }}
}} }}
"""


class EnergyMeter:
    """Traces a phone during a launch, as a context manager; with ``seconds`` of 0 it does nothing.

    A tracer that fails costs the finer counter and nothing else.
    """

    def __init__(self, tether: Tether, seconds: float) -> None:
        self._tether, self._cable, self._seconds = tether, tether.cable, seconds
        self._file = f"{_FOLDER}/phonebench-{secrets.token_hex(8)}"
        self._pid = ""
        self._complaint = ""
        self._trace = PowerTrace()

    def __enter__(self) -> EnergyMeter:
        if not self._seconds:
            return self
        try:
            command = f"perfetto --background --txt -c - -o {self._file}"
            started = self._cable.run(command, stdin=trace_config(self._seconds).encode())
        except PhoneError as error:
            self._complaint = str(error)
            return self
        words = started.text.split()
        self._pid = words[-1] if not started.exit_code and words and words[-1].isdecimal() else ""
        if not self._pid:
            self._complaint = started.complaint or started.text.strip() or "perfetto printed nothing"
        return self

    def __exit__(self, *failed: object) -> None:
        if not self._pid:
            return
        try:
            data = self._tether.again(lambda: _stopped(self._cable, self._pid, self._file))
            # Only once it is here: a connection that is lost on the way costs no trace.
            with contextlib.suppress(PhoneError):
                self._cable.run(f"rm -f {self._file}")
            self._trace = parse_trace(data)
        except (PhoneError, ValueError) as error:
            self._complaint = str(error)
            log.warning("the energy trace of %s is lost: %s", self._cable.serial, error)

    def counter(self, watch: Sequence[StateSample]) -> EnergyCounter:
        """Return the counter of the launch; ``watch`` are the states of the phone meanwhile."""
        volts = [sample.battery_volts for sample in watch if sample.battery_volts is not None]
        level = sum(volts) / len(volts) if volts else None
        if len(self._trace.rails) >= _LEAST_READINGS:
            return EnergyCounter(
                source=EnergySource.RAILS,
                definition=RAILS_DEFINITION,
                channels=self._trace.rail_names,
                readings=self._trace.rails,
                volts=level,
            )
        return _battery_counter(self._trace.battery, watch, level) if watch else self._none()

    def _none(self) -> EnergyCounter:
        reason = f"nothing of the phone's energy could be read: {self._complaint or 'it was not watched'}"
        return EnergyCounter(source=EnergySource.BATTERY, definition="", reason=reason)


def _battery_counter(
    traced: Sequence[EnergyReading], watch: Sequence[StateSample], volts: float | None
) -> EnergyCounter:
    watched = [sample for sample in watch if sample.charge_uah is not None]
    by_trace = len(traced) >= _LEAST_READINGS and len({reading.charge_uah for reading in traced}) > 1
    readings = (
        list(traced)
        if by_trace
        else [EnergyReading(at_ns=sample.at_ns, charge_uah=sample.charge_uah) for sample in watched]
    )
    charging = any(sample.charging for sample in watch)
    reason = "the phone reports neither power rails nor the charge of its battery" if not readings else ""
    if any(sample.battery_forced for sample in watch):
        reason = "the state of the battery was set by a command, so it says nothing: adb shell dumpsys battery reset"
    return EnergyCounter(
        source=EnergySource.BATTERY,
        definition=BATTERY_DEFINITION.format(reader=_BY_TRACE if by_trace else _BY_WATCH),
        readings=tuple(replace(reading, volts=volts, charging=charging) for reading in readings),
        volts=volts,
        reason=reason,
    )


def _stopped(cable: Cable, pid: str, file: str) -> bytes:
    """Stop the tracer, which then writes its file, and return the file. Raises `PhoneError`."""
    script = f"""kill -TERM {pid} 2> /dev/null
n=0; while [ -d /proc/{pid} ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
cat {file}"""
    return cable.run(script, seconds=_STOP_S).stdout
