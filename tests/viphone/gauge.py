"""The gauge of a virtual iPhone's battery: it counts what a test says that the phone draws, and is renewed rarely."""

from __future__ import annotations

import math
from collections.abc import Callable

from tests.viphone.state import IPhoneState

FULL_MAH = 3200
_TICK_S = 0.005
_MAH_TO_COULOMBS = 3.6


class Gauge:
    """Counts from its first reading on. The charge that is left changes at its own moments and in its own steps."""

    def __init__(self, state: IPhoneState, now_s: Callable[[], float]) -> None:
        self._state, self._now_s = state, now_s
        self._at_s: float | None = None
        self._joules = 0.0

    def charge_mah(self) -> int:
        """The charge that is left, as iOS shows it now: rounded down to a step, as of the last renewal."""
        state = self._state
        left = state.battery_percent / 100 * FULL_MAH
        if state.watts is not None:
            self._count(math.floor(self._now_s() / state.gauge_refresh_s) * state.gauge_refresh_s)
            left -= self._joules / (state.battery_voltage_mv / 1000) / _MAH_TO_COULOMBS
        return int(math.floor(left / state.gauge_step_mah) * state.gauge_step_mah)

    def _count(self, until_s: float) -> None:
        assert self._state.watts is not None
        self._at_s = until_s if self._at_s is None else self._at_s
        while self._at_s < until_s:
            self._joules += self._state.watts(self._at_s + _TICK_S / 2) * _TICK_S
            self._at_s += _TICK_S
