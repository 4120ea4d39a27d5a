"""What the phone has drawn: the true energy, as rails and battery count it, and as the tracer writes it down."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.vphone.state import PhoneState

# The energy is added up from this moment on, long before any launch.
_TICK_S = 0.01


def boot_s() -> float:
    """The seconds since the phone, which is this computer, was switched on."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e9


class Energy:
    """The joules that have been drawn since ``began_s``, added up in ticks."""

    def __init__(self, state: PhoneState, began_s: float) -> None:
        self._state, self._at_s, self._joules = state, began_s, 0.0

    def until(self, at_s: float) -> float:
        """Return the joules until ``at_s``, which must not lie before the last moment asked for."""
        assert self._state.watts is not None
        while self._at_s + _TICK_S <= at_s:
            self._joules += self._state.watts(self._at_s + _TICK_S / 2) * _TICK_S
            self._at_s += _TICK_S
        return self._joules


def charge_left_uah(state: PhoneState, at_s: float) -> int:
    """The charge counter: what the percentage says, less what was drawn since the last whole minute, in its steps."""
    charge = state.battery_percent * 40_000
    if state.watts is None:
        return charge
    began_s = at_s // 600 * 600
    return charge - _uah(state, Energy(state, began_s).until(at_s))


def _uah(state: PhoneState, joules: float) -> int:
    used = joules / (state.battery_millivolts / 1000) / 3.6e-3
    sign = -1 if state.charging and state.plugged else 1
    return sign * (int(used) // state.charge_step_uah * state.charge_step_uah)


def trace(state: PhoneState, began_s: float, ended_s: float, poll_s: float) -> bytes:
    """A Perfetto trace of the data source android.power between two moments."""
    return b"".join(_field(1, packet) for packet in _packets(state, began_s, ended_s, poll_s))


def _packets(state: PhoneState, began_s: float, ended_s: float, poll_s: float) -> Iterator[bytes]:
    # A packet without counters, as every trace has some.
    yield _number(8, round(began_s * 1e9)) + _field(6, b"")
    if state.watts is None:
        return
    energy, at_s = Energy(state, began_s), began_s
    names = list(state.rails)
    if names:
        told = (_number(1, index) + _field(2, name.encode()) for index, name in enumerate(names, 1))
        yield _number(8, round(at_s * 1e9)) + _field(40, b"".join(_field(1, one) for one in told))
    while at_s < ended_s:
        joules = energy.until(at_s)
        moment = _number(8, round(at_s * 1e9))
        if names:
            data = (
                _number(1, index) + _number(2, round(at_s * 1e3)) + _number(3, round(share * joules * 1e6))
                for index, share in enumerate(state.rails.values(), 1)
            )
            yield moment + _field(40, b"".join(_field(2, one) for one in data))
        charge = state.battery_percent * 40_000 - _uah(state, joules)
        yield moment + _field(38, _number(1, charge))
        at_s += poll_s


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data
