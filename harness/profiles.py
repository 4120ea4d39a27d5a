"""Run profiles: how long to warm up, how much to measure, how many launches, when to stop.

The numbers are the protocol's (``docs/measurement.md``): minima by count *and* time, launches until the interval on
the logarithm of the median is narrow enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SECOND_NS = 1_000_000_000


class ProfileName(StrEnum):
    """``quick`` for the developer's loop (indicative), ``standard`` for nights and gates."""

    QUICK = "quick"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one cell gets. ``checkpoints`` are the launch counts at which the stop rule is looked at.

    ``half_width`` is the wanted 95 % half-width on ln(latency) over launches; ``cool_down_ns`` applies to devices
    that are cooled by air alone; ``trim`` cuts what is not steady by change points; ``indicative`` forbids claims.
    """

    name: ProfileName
    checkpoints: tuple[int, ...]
    half_width: float
    warmup_calls: int
    warmup_ns: int
    measure_calls: int
    measure_ns: int
    cap_ns: int
    cool_down_ns: int
    memory_calls: int
    settle_ns: int
    trim: bool
    indicative: bool


PROFILES: dict[ProfileName, Profile] = {
    ProfileName.QUICK: Profile(
        name=ProfileName.QUICK,
        checkpoints=(1,),
        half_width=0.015,
        warmup_calls=3,
        warmup_ns=SECOND_NS // 2,
        measure_calls=50,
        measure_ns=3 * SECOND_NS,
        cap_ns=30 * SECOND_NS,
        cool_down_ns=10 * SECOND_NS,
        memory_calls=10,
        settle_ns=SECOND_NS // 5,
        trim=False,
        indicative=True,
    ),
    ProfileName.STANDARD: Profile(
        name=ProfileName.STANDARD,
        checkpoints=(5, 7, 10, 15, 20),
        half_width=0.015,
        warmup_calls=10,
        warmup_ns=SECOND_NS,
        measure_calls=100,
        measure_ns=5 * SECOND_NS,
        cap_ns=60 * SECOND_NS,
        cool_down_ns=10 * SECOND_NS,
        memory_calls=20,
        settle_ns=2 * SECOND_NS,
        trim=True,
        indicative=False,
    ),
}
