"""The energy of one call from readings of a power sensor. Pure numbers; needs no arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.student import t_quantile


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
    mean = math.fsum(watts) / len(watts)
    variance = math.fsum((value - mean) ** 2 for value in watts) / (len(watts) - 1)
    half = t_quantile(0.975, len(watts) - 1) * math.sqrt(variance / len(watts))
    seconds = call_ns / 1e9
    return CallEnergy(
        joules=mean * seconds,
        low_joules=max(0.0, mean - half) * seconds,
        high_joules=(mean + half) * seconds,
        mean_watts=mean,
        readings=len(watts),
    )
