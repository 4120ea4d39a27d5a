"""Run profiles: how long to warm up and measure, how many launches to make, and when to stop.

``docs/measurement.md`` gives the protocol behind the numbers. A launch runs until it has reached both a number of calls
and a time. Launches are added until the confidence interval of ln(median latency) is narrow enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SECOND_NS = 1_000_000_000


class ProfileName(StrEnum):
    """The profiles, from a first look to half an hour.

    ``quick``: a developer's first look, indicative only. ``standard``: nightly runs and decisions. ``mlperf``: the
    rules of MLPerf Mobile. ``sustained``: half an hour of load, to see a phone slow down. ``energy``: joules, from
    pairs of an idle and a load block. ``imported``: measured by another program under its own rules; it cannot be
    asked for.
    """

    QUICK = "quick"
    STANDARD = "standard"
    MLPERF = "mlperf"
    SUSTAINED = "sustained"
    ENERGY = "energy"
    IMPORTED = "imported"


class Headline(StrEnum):
    """The figure that a profile is about."""

    MEDIAN = "median"
    P90 = "p90"
    OVER_TIME = "over time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one cell is measured.

    ``checkpoints`` are the launch counts at which the stop rule is applied: stop once the 95 % half-width of
    ln(latency) over launches is at most ``half_width``, or None to make every launch. Within a launch, ``warmup_calls``
    and ``warmup_ns`` are minima, as are ``measure_calls`` and ``measure_ns``; ``cap_ns`` ends measuring at the latest.

    Before a launch, a device without a fan pauses for ``cool_down_ns``; with ``gate`` any device instead waits until it
    is cool and idle (`measure.gate`). ``retries``: how often a launch that throttled or did not settle is repeated.
    Memory is read during ``memory_calls`` untimed calls, and again ``settle_ns`` after the model is released. ``trim``
    finds the steady part of a launch by its change points and drops the rest. ``claims_from``: the fewest launches that
    support a claim, None if never. ``stride_ns`` keeps at most one sample per stride of a long launch; every call still
    runs. With ``idle_ns``, every launch begins with an idle block of this length, so that the energy of its calls can
    be told from that of the idle device (`harness.stats.energy_pairs`).
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
    idle_ns: int = 0

    @property
    def indicative(self) -> bool:
        """Whether its figures can never support a claim."""
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
    # 0.015 on ln(latency) is 1.5 %, half of the 3 % that comparisons treat as a change by default.
    ProfileName.STANDARD: Profile(
        name=ProfileName.STANDARD,
        # Few looks: stopping at the first narrow interval would make it narrower than it really is.
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
    # MLPerf Mobile, single stream: at least 1024 samples and 60 s, a pause of five minutes, and the 90th percentile.
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
    # One launch without warm-up: the way from a cold start to the hot, slow end is the result.
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
    # Six pairs in about ten minutes. The blocks are long because the charge counters of many phones are coarse.
    ProfileName.ENERGY: Profile(
        name=ProfileName.ENERGY,
        checkpoints=(6,),
        half_width=None,
        warmup_calls=3,
        warmup_ns=3 * SECOND_NS,
        measure_calls=10,
        measure_ns=40 * SECOND_NS,
        cap_ns=120 * SECOND_NS,
        cool_down_ns=0,
        gate=True,
        retries=1,
        memory_calls=10,
        settle_ns=SECOND_NS // 5,
        trim=False,
        headline=Headline.MEDIAN,
        claims_from=5,
        stride_ns=5_000_000,
        idle_ns=40 * SECOND_NS,
    ),
    # Nothing is measured with it. Launches of another program support a claim as ours do.
    ProfileName.IMPORTED: Profile(
        name=ProfileName.IMPORTED,
        checkpoints=(1,),
        half_width=None,
        warmup_calls=0,
        warmup_ns=0,
        measure_calls=1,
        measure_ns=0,
        cap_ns=SECOND_NS,
        cool_down_ns=0,
        gate=False,
        retries=0,
        memory_calls=0,
        settle_ns=0,
        trim=False,
        headline=Headline.MEDIAN,
        claims_from=2,
    ),
}
