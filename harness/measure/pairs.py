"""An A/B session: pairs of blocks, in random order within each pair; each block is one process that waits at the gate.

The one decision: the unit is the pair. Drift over minutes affects both blocks of a pair alike, and with a random order
the drift within pairs has no direction. Any fixed order would turn drift into a difference.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.measure.cell import Launches
from harness.measure.deploy import deploy_artifact
from harness.measure.gate import Gate
from harness.measure.job import Job, Keeper, Seen
from harness.spec.profiles import PROFILES, SECOND_NS, Profile, ProfileName
from harness.stats.clock import clock_step
from harness.stats.pairs import Effect, hodges_lehmann_interval, paired_effect, pairs_for_half_width
from harness.stats.sessions import PairedSpan, is_lopsided, paired_span
from harness.stats.verdicts import Verdict, decide, log_margin, needs_more

MARGIN = 0.03

# A block is shorter than a launch of the profile: the number of pairs matters more than the length of each.
BLOCK = replace(
    PROFILES[ProfileName.STANDARD], warmup_ns=SECOND_NS // 2, measure_ns=SECOND_NS, cap_ns=20 * SECOND_NS, retries=1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """How many pairs to run, and the most to run while undecided. ``margin`` is the relative change that matters.

    ``spare``: how many pairs may be lost to throttling before the session gives up. ``sure``: a difference that the
    interval of the session shows must also be outside the interval at this upper quantile before the session ends
    early; None for no such demand.
    """

    pairs: int = 10
    most_pairs: int = 20
    margin: float = MARGIN
    seed: int = 0
    spare: int = 5
    sure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """One pair: its order (``AB`` or ``BA``), the medians in ns, ln(B / A), and why it was dropped, if it was.

    ``disturbed`` names the sides whose block was tainted: empty, ``A``, ``B`` or both.
    """

    order: str
    a_ns: float | None
    b_ns: float | None
    log_ratio: float | None
    dropped: str | None = None
    disturbed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSession:
    """The result of a session. ``ratio`` is B over A with its interval; None with fewer than seven good pairs.

    Verdict, ratio, interval and p-value come from one estimate, that of Hodges and Lehmann, at a level that allows for
    two looks (`harness.stats.sessions`). ``effect`` holds the mean and its t interval for comparison; its spread
    predicts how many pairs would decide. ``hodges_lehmann_ratio`` equals ``ratio``; stored sessions have both.
    ``pairs_to_decide``: how many pairs would decide, given the noise of this session; None if it is decided, or if
    nothing can be said.
    """

    verdict: Verdict
    margin: float
    seed: int
    pairs: tuple[PairResult, ...]
    effect: Effect | None
    ratio: float | None
    low: float | None
    high: float | None
    hodges_lehmann_ratio: float | None
    pairs_to_decide: int | None
    reason: str | None = None
    p_value: float | None = None


class PairObserver(Protocol):
    """Is called after each pair."""

    def __call__(self, pair: PairResult, number: int, most: int) -> None:
        """``number`` good pairs of at most ``most`` are done."""


@dataclass(slots=True, kw_only=True)
class Sides:
    """Both sides so far. The caller passes it in, so that it can store the launches of an interrupted session."""

    a: Seen = field(default_factory=Seen)
    b: Seen = field(default_factory=Seen)
    pairs: list[PairResult] = field(default_factory=list)
    observer: PairObserver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RanPairs:
    """What a session of pairs left, from which its result is computed.

    ``failed``: the side (``A`` or ``B``) whose block returned no latency, which ended the session; empty if none did.
    Times are ISO 8601.
    """

    started_at: str
    ended_at: str
    a: Seen
    b: Seen
    pairs: tuple[PairResult, ...]
    failed: str = ""

    @property
    def sides(self) -> Sides:
        """The same for whoever summarises it."""
        return Sides(a=self.a, b=self.b, pairs=list(self.pairs))


class SideFailedError(Exception):
    """A block of one side (``A`` or ``B``) returned no latency, so there is nothing to compare."""


def launch_pairs(jobs: tuple[Job, Job], gate: Gate, keeper: Keeper, now: Callable[[], str], plan: PairPlan) -> RanPairs:
    """Put both artifacts on the gate's device, run pairs of them, and return what they left. Raises `DeviceError`."""
    started_at, sides, failed = now(), Sides(), ""
    for job in jobs:
        deploy_artifact(gate.device, job.artifact)
    try:
        run_pairs(jobs, gate, keeper, plan, sides=sides)
    except SideFailedError as error:
        failed = str(error)
    return RanPairs(
        started_at=started_at, ended_at=now(), a=sides.a, b=sides.b, pairs=tuple(sides.pairs), failed=failed
    )


def run_pairs(
    jobs: tuple[Job, Job], gate: Gate, keeper: Keeper, plan: PairPlan, *, sides: Sides | None = None
) -> PairSession:
    """Run pairs of ``jobs`` (A, B) on the gate's device until they decide, or ``plan.most_pairs`` have run.

    The artifacts must be on the device already. Raises `SideFailedError` if a block fails, `DeviceError` if the device
    is lost.
    """
    seen = sides or Sides()
    # The seed is stored with the session, so the order of every pair can be reproduced.
    chance = random.Random(plan.seed)
    launches = [Launches(replace(job, profile=block_of(job.profile)), gate.device, keeper, gate) for job in jobs]
    # The interval is checked at two fixed counts only: stopping at the first narrow one would make it too narrow.
    for count in dict.fromkeys((plan.pairs, plan.most_pairs)):
        while _good(seen) < count and len(seen.pairs) < count + plan.spare:
            seen.pairs.append(_pair(seen, launches, chance))
            if seen.observer is not None:
                seen.observer(seen.pairs[-1], _good(seen), plan.most_pairs)
        if not is_open(seen.pairs, plan):
            break
    return summarise_pairs(seen.pairs, plan)


def block_of(profile: Profile) -> Profile:
    """Return how a block of a pair is measured: briefly, unless it is about energy, whose blocks cannot be shorter."""
    return profile if profile.idle_ns else BLOCK


def is_open(pairs: Sequence[PairResult], plan: PairPlan) -> bool:
    """Return whether more pairs may change the answer."""
    span, margin = _paired(pairs), log_margin(plan.margin)
    if needs_more(span, margin) or span is None:
        return True
    if plan.sure is None or decide(span, margin) is Verdict.EQUIVALENT:
        return False
    low, high = hodges_lehmann_interval([p.log_ratio for p in pairs if p.log_ratio is not None], level=plan.sure)
    return low is None or high is None or low <= 0 <= high


def summarise_pairs(pairs: list[PairResult], plan: PairPlan) -> PairSession:
    """Return the result of ``pairs``. A stored session therefore always has the same verdict."""
    effect = paired_effect([pair.log_ratio for pair in pairs if pair.log_ratio is not None])
    paired, margin = _paired(pairs), log_margin(plan.margin)
    lopsided = why_lopsided(pairs)
    verdict = Verdict.UNDECIDED if paired is None or lopsided else decide(paired, margin)
    dropped = [pair.dropped for pair in pairs if pair.dropped]
    reason = f"{len(dropped)} of {len(pairs)} pairs were dropped: {dropped[-1]}" if dropped else None
    return PairSession(
        verdict=verdict,
        margin=plan.margin,
        seed=plan.seed,
        pairs=tuple(pairs),
        effect=effect,
        ratio=math.exp(paired.estimate) if paired else None,
        low=math.exp(paired.low) if paired else None,
        high=math.exp(paired.high) if paired else None,
        hodges_lehmann_ratio=math.exp(paired.estimate) if paired else None,
        pairs_to_decide=_to_decide(effect, margin) if verdict is Verdict.UNDECIDED else None,
        reason=lopsided or reason,
        p_value=paired.p_value if paired else None,
    )


def _pair(seen: Sides, launches: list[Launches], chance: random.Random) -> PairResult:
    order = "AB" if chance.random() < 0.5 else "BA"
    medians: dict[str, float] = {}
    dropped: dict[str, str] = {}
    run: dict[str, Callable[[], bool]] = {
        "A": lambda: launches[0].one(seen.a),
        "B": lambda: launches[1].one(seen.b),
    }
    for side in order:
        # A block that throttled is kept with its reason; the pair is dropped below.
        if not run[side]():
            raise SideFailedError(side)
        last = (seen.a if side == "A" else seen.b).launched[-1]
        medians[side] = last.summary.median_ns
        if last.tainted:
            dropped[side] = last.tainted[0]
    lost = "; ".join(f"{side}: {reason}" for side, reason in dropped.items())
    good = not lost and min(medians.values()) > 0
    return PairResult(
        order=order,
        a_ns=medians["A"],
        b_ns=medians["B"],
        log_ratio=math.log(medians["B"] / medians["A"]) if good else None,
        dropped=lost or (None if good else "a median of 0 ns: the clock is too coarse"),
        disturbed="".join(sorted(dropped)),
    )


def _good(seen: Sides) -> int:
    return sum(pair.log_ratio is not None for pair in seen.pairs)


def _paired(pairs: Sequence[PairResult]) -> PairedSpan | None:
    good = [pair for pair in pairs if pair.log_ratio is not None]
    step = clock_step([ns for pair in good for ns in (pair.a_ns, pair.b_ns) if ns is not None])
    return paired_span([pair.log_ratio for pair in good if pair.log_ratio is not None], clock_step=step)


def why_lopsided(pairs: Sequence[PairResult]) -> str | None:
    """Return why the good pairs are not a fair sample of both sides, or None if they are."""
    lost = {side: sum(side in pair.disturbed for pair in pairs) for side in "AB"}
    if not is_lopsided(lost["A"], lost["B"]):
        return None
    side, other = sorted(lost, key=lambda name: -lost[name])
    return (
        f"{side} was disturbed in {lost[side]} of {len(pairs)} blocks and {other} in {lost[other]}: the pairs that are "
        f"left show {side} only where it was not, so look at why it throttles or does not settle"
    )


def _to_decide(effect: Effect | None, margin: float) -> int | None:
    """The number of pairs at which the interval would exclude 0 or lie within the margin, whichever comes first."""
    if effect is None:
        return None
    # The interval excludes 0 when its half-width is below the estimate, and lies within the margin when it is below
    # the distance to the margin.
    gap = max(abs(effect.estimate), margin - abs(effect.estimate))
    return pairs_for_half_width(effect.spread, gap)
