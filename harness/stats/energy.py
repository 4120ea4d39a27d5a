"""The energy of one call from readings of a power sensor. Pure numbers; needs no arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.means import half_width
from harness.stats.normal import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnergy:
    """Joules per call, its 95 % interval, the mean power in watts, and the number of readings it rests on."""

    joules: float
    low_joules: float
    high_joules: float
    mean_watts: float
    readings: int


def call_energy(watts: Sequence[float], call_ns: float) -> CallEnergy:
    """Return the mean of ``watts`` times the mean time of a call.

    The calls run back to back, so a call takes its share of the whole. The interval is Student's for the mean of the
    readings, taken as independent; the error of the sensor itself is not in it. Raises ValueError for fewer than two
    readings.
    """
    if len(watts) < 2:
        msg = f"{len(watts)} readings of the power say nothing about its spread"
        raise ValueError(msg)
    mean_watts, half = mean(watts), half_width(watts)
    seconds = call_ns / 1e9
    return CallEnergy(
        joules=mean_watts * seconds,
        low_joules=max(0.0, mean_watts - half) * seconds,
        high_joules=(mean_watts + half) * seconds,
        mean_watts=mean_watts,
        readings=len(watts),
    )
