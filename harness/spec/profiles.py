"""Run profiles: how long to warm up, how much to measure, how many launches, when to stop.

The numbers are the protocol's (``docs/measurement.md``): minima by count *and* time, launches until the interval on
the logarithm of the median is narrow enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SECOND_NS = 1_000_000_000


class ProfileName(StrEnum):
    """``quick``: a developer's loop, indicative. ``standard``: nights and gates. ``sustained``: half an hour."""

    QUICK = "quick"
    STANDARD = "standard"
    MLPERF = "mlperf"
    SUSTAINED = "sustained"


class Headline(StrEnum):
    """Which figure of the calls a profile is about."""

    MEDIAN = "median"
    P90 = "p90"
    OVER_TIME = "over time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one cell gets. ``checkpoints`` are the launch counts at which the stop rule is looked at.

    ``half_width`` is the wanted 95 % half-width on ln(latency) over launches, None where counts and times alone end it.
    ``cool_down_ns`` is the pause before a launch of a device that is cooled by air alone; ``gate`` asks instead whether
    it is cool and free (`measure.gate`). ``retries``: how often a launch that throttled or did not settle is tried
    again. ``trim`` cuts what is not steady by change points. ``claims_from``: the fewest launches from which a
    difference may be claimed, None for never. ``stride_ns`` thins what is kept of a long launch, not what is run.
    """

    name: ProfileName
    checkpoints: tuple[int, ...]
    half_width: float | None
    warmup_calls: int
    warmup_ns: int
    measure_calls: int
    measure_ns: int
    cap_ns: int
    cool_down_ns: int
    gate: bool
    retries: int
    memory_calls: int
    settle_ns: int
    trim: bool
    headline: Headline
    claims_from: int | None
    stride_ns: int = 0

    @property
    def indicative(self) -> bool:
        """Whether no claim may ever rest on it."""
        return self.claims_from is None


PROFILES: dict[ProfileName, Profile] = {
    ProfileName.QUICK: Profile(
        name=ProfileName.QUICK,
        checkpoints=(1,),
        half_width=None,
        warmup_calls=3,
        warmup_ns=SECOND_NS // 2,
        measure_calls=50,
        measure_ns=3 * SECOND_NS,
        cap_ns=30 * SECOND_NS,
        cool_down_ns=10 * SECOND_NS,
        gate=False,
        retries=0,
        memory_calls=10,
        settle_ns=SECOND_NS // 5,
        trim=False,
        headline=Headline.MEDIAN,
        claims_from=None,
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
        cool_down_ns=0,
        gate=True,
        retries=2,
        memory_calls=20,
        settle_ns=2 * SECOND_NS,
        trim=True,
        headline=Headline.MEDIAN,
        claims_from=2,
    ),
    ProfileName.MLPERF: Profile(
        name=ProfileName.MLPERF,
        checkpoints=(1,),
        half_width=None,
        warmup_calls=10,
        warmup_ns=SECOND_NS,
        measure_calls=1024,
        measure_ns=60 * SECOND_NS,
        cap_ns=600 * SECOND_NS,
        cool_down_ns=300 * SECOND_NS,
        gate=False,
        retries=2,
        memory_calls=20,
        settle_ns=2 * SECOND_NS,
        trim=False,
        headline=Headline.P90,
        claims_from=5,
    ),
    ProfileName.SUSTAINED: Profile(
        name=ProfileName.SUSTAINED,
        checkpoints=(1,),
        half_width=None,
        warmup_calls=0,
        warmup_ns=0,
        measure_calls=1,
        measure_ns=30 * 60 * SECOND_NS,
        cap_ns=40 * 60 * SECOND_NS,
        cool_down_ns=0,
        gate=True,
        retries=0,
        memory_calls=20,
        settle_ns=2 * SECOND_NS,
        trim=False,
        headline=Headline.OVER_TIME,
        claims_from=3,
        stride_ns=5_000_000,
    ),
}
