"""Farms of series with a known truth, run night after night through the code of the nightly job.

The simulation covers the whole job: the rule for measuring again with its tolerances, the history with its decisions,
the screen and the gate, the confirmation by pairs, and Benjamini and Hochberg over all confirmations of a night. Only
the phones are made up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from harness.history.records import Decided, Decision, Figures, HistoryEntry, Night, NightStatus, RunFacts
from harness.stats.screening import ARL0, MOST_MEASURED
from harness.stats.verdicts import Span, log_margin, needs_more
from harness.workflows.ab.session import PairPlan, PairResult, Sides, summarise_pairs
from harness.workflows.nightly.confirm import correct_for_many, judge, same_file
from harness.workflows.nightly.record import Confirmation, Suspect
from harness.workflows.nightly.screening import SeriesHistory, as_night, screen_series
from tests.history import nights as made
from tests.simulation.claims import PAIR_NOISE, Claim
from tests.simulation.world import night, pair_ratio

LEVEL_NS = 1e6
NIGHTS = 120
CHANGE_NIGHT = 60
# The phone itself gets slower this night, in worlds where it does.
OWN_SHIFT_NIGHT = 45
SERIES = 20
PLAN = PairPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The truth about a farm: outlying nights, and from ``CHANGE_NIGHT`` on a step, or another system with a step."""

    bad: float = 0.0
    step: float = 0.0
    swap: bool = False
    once: bool = False
    own_shift: float = 0.0
    nights: int = NIGHTS


@dataclass(slots=True, kw_only=True)
class Played:
    """The result of a farm: the nights on which a series was suspected, and on which a change was confirmed."""

    suspected: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)


class Phone:
    """One series and its history."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._chance = world, np.random.default_rng([11, seed])
        self.nights: list[Night] = []
        self.decisions: list[Decided] = []

    def play(self, index: int) -> Suspect | None:
        """Measure a night as often as the screen asks, add it to the history, and return the suspect."""
        known = SeriesHistory(nights=tuple(self.nights), decisions=tuple(self.decisions))
        measured = [self._measure(index)]
        found = screen_series(known, measured, facts(index), ARL0)
        while found.again and len(measured) < MOST_MEASURED:
            measured.append(self._measure(index))
            found = screen_series(known, measured, facts(index), ARL0)
        kept = next(entry for entry in found.entries if entry.status is NightStatus.OK)
        self.nights.append(as_night(kept, facts(index)))
        return found.night.suspect

    def confirm(self, suspect: Suspect) -> Confirmation:
        """Compare the two artifacts that the suspect names in pairs, by their true speeds, as the session does."""
        if suspect.good_sha256 == suspect.sha256:
            return same_file(suspect)
        good, tonight = (1 + self._cost_of(sha256) for sha256 in (suspect.good_sha256, suspect.sha256))
        effect = tonight / good - 1
        pairs: list[PairResult] = []
        for wanted in (PLAN.pairs, PLAN.most_pairs):
            while len(pairs) < wanted:
                pairs.append(one_pair(self._chance, len(pairs), effect))
            session = summarise_pairs(pairs, PLAN)
            assert session.ratio is not None
            assert session.low is not None
            assert session.high is not None
            span = Span(estimate=math.log(session.ratio), low=math.log(session.low), high=math.log(session.high))
            if not needs_more(span, log_margin(PLAN.margin)):
                break
        return judge(suspect, session, Sides())

    def _cost_of(self, sha256: str) -> float:
        """By how much the file of that digest is slower than the first one, whatever the phone does."""
        if self._world.swap:
            return 0.0
        slow = int(sha256, 16) >= (1 if self._world.once else CHANGE_NIGHT)
        return self._world.step if slow else 0.0

    def decide(self, suspect: Suspect, said: Confirmation, index: int) -> None:
        """Keep the outcome of the confirmation."""
        self.decisions.append(
            Decided(
                series=suspect.series,
                first_run=suspect.first_run,
                seen_run=facts(index).name,
                decision=said.decision,
                ratio=said.ratio,
                low=said.low,
                high=said.high,
            )
        )

    def _measure(self, index: int) -> HistoryEntry:
        late = index >= CHANGE_NIGHT
        level = LEVEL_NS * (1 + (self._world.step if late else 0.0))
        level *= 1 + (self._world.own_shift if index >= OWN_SHIFT_NIGHT else 0.0)
        value = night(self._chance, level, bad=self._world.bad)
        swapped = replace(made.PHONE, os_build="next") if late and self._world.swap else made.PHONE
        entry = replace(made.entry(value), figures=Figures(value=value), environment=swapped)
        # A new artifact every night, as for a model under development, or one that changes once.
        return replace(entry, artifact_sha256=f"{int(late) if self._world.once else index:064x}")


def play(world: World, farms: int, *, series: int = SERIES) -> Played:
    """Simulate ``farms`` farms of ``series`` series each, night by night."""
    played = Played()
    for farm in range(farms):
        phones = [Phone(world, farm * series + number) for number in range(series)]
        for index in range(world.nights):
            suspects = [(phone, suspect) for phone in phones if (suspect := phone.play(index)) is not None]
            played.suspected += [index] * len(suspects)
            said = correct_for_many([phone.confirm(suspect) for phone, suspect in suspects])
            for (phone, suspect), one in zip(suspects, said, strict=True):
                phone.decide(suspect, one, index)
                if one.decision is Decision.CONFIRMED:
                    played.confirmed.append(index)
    return played


def suspicions(farms: int, *, bad: float) -> float:
    """Suspicions per 1,000 series-nights on which nothing changed."""
    return 1000 * len(play(World(bad=bad), farms).suspected) / (farms * SERIES * NIGHTS)


def alarms(farms: int, *, bad: float) -> float:
    """Confirmed changes per 10,000 series-nights on which nothing changed."""
    return 10_000 * len(play(World(bad=bad), farms).confirmed) / (farms * SERIES * NIGHTS)


def nights_to_confirm(farms: int, *, step: float) -> float:
    """Median number of nights from a step to its confirmation; 1 is the first slow night, 99 means missed."""
    world = World(step=step, nights=CHANGE_NIGHT + 30)
    found = [play_one(world, seed) for seed in range(farms)]
    return float(np.median([nights[0] - CHANGE_NIGHT + 1 if nights else 99 for nights in found]))


def confirmed_same_night(farms: int, *, step: float) -> float:
    """Share of steps that are confirmed on their first night."""
    world = World(step=step, nights=CHANGE_NIGHT + 1)
    return sum(bool(play_one(world, seed)) for seed in range(farms)) / farms


def confirmed_share(farms: int, *, step: float, bad: float = 0.0, once: bool = False, own_shift: float = 0.0) -> float:
    """Share of steps that are confirmed within thirty nights."""
    world = World(step=step, bad=bad, once=once, own_shift=own_shift, nights=CHANGE_NIGHT + 30)
    return sum(bool(play_one(world, seed)) for seed in range(farms)) / farms


def times_confirmed(farms: int, *, step: float) -> float:
    """How often one step is reported in the thirty nights after it, on average."""
    world = World(step=step, nights=CHANGE_NIGHT + 30)
    return sum(len(play_one(world, seed)) for seed in range(farms)) / farms


def swaps_reported(farms: int) -> float:
    """Share of series that report a change in the thirty nights after a new system that is 10 % slower."""
    world = World(step=0.10, swap=True, nights=CHANGE_NIGHT + 30)
    return sum(bool(play_one(world, seed)) for seed in range(farms)) / farms


def play_one(world: World, seed: int) -> list[int]:
    """Simulate one series and return the nights, counted from the change, on which a change was confirmed."""
    phone, confirmed = Phone(world, 100_000 + seed), []
    for index in range(world.nights):
        suspect = phone.play(index)
        if suspect is None:
            continue
        said = correct_for_many([phone.confirm(suspect)])[0]
        phone.decide(suspect, said, index)
        if said.decision is Decision.CONFIRMED and index >= CHANGE_NIGHT:
            confirmed.append(index)
    return confirmed


def one_pair(chance: np.random.Generator, pair: int, effect: float) -> PairResult:
    """One pair of a session during which the device warms up."""
    ratio = pair_ratio(chance, pair, effect=effect, noise=PAIR_NOISE)
    return PairResult(order="AB", a_ns=LEVEL_NS, b_ns=LEVEL_NS * math.exp(ratio), log_ratio=ratio)


@lru_cache(maxsize=256)
def facts(index: int) -> RunFacts:
    """The run of a night."""
    return made.run_facts(index)


_Figure = Callable[[int], float]


def _claim(what: str, limits: tuple[float, float], figure: _Figure, worlds: tuple[int, int]) -> Claim:
    return Claim(what=what, low=limits[0], high=limits[1], figure=figure, short=worlds[0], long=worlds[1])


# A world is a farm of twenty series if alarms are counted, and a single series otherwise.
NIGHT_CLAIMS: dict[str, Claim] = {
    "job-clean": _claim(
        "job: suspicions in 1,000 series-nights of clean noise", (0, 1.5), lambda n: suspicions(n, bad=0.0), (3, 50)
    ),
    "job-bad": _claim("job: the same with 5 % outlying nights", (0, 2.0), lambda n: suspicions(n, bad=0.05), (3, 50)),
    "job-alarms": _claim(
        "job: false alarms in 10,000 series-nights, 5 % outlying", (0, 1.0), lambda n: alarms(n, bad=0.05), (4, 50)
    ),
    "job-step-10": _claim(
        "job: nights until a 10 % step is confirmed, median",
        (1, 7),
        lambda n: nights_to_confirm(n, step=0.10),
        (25, 300),
    ),
    "job-found": _claim(
        "job: 10 % steps that are confirmed within thirty nights",
        (0.97, 1.0),
        lambda n: confirmed_share(n, step=0.10),
        (40, 300),
    ),
    "job-found-once": _claim(
        "job: the same for a file that changes once",
        (0.97, 1.0),
        lambda n: confirmed_share(n, step=0.10, once=True),
        (40, 300),
    ),
    "job-found-bad": _claim(
        "job: the same with 5 % outlying nights",
        (0.97, 1.0),
        lambda n: confirmed_share(n, step=0.10, bad=0.05),
        (40, 300),
    ),
    "job-found-after-shift": _claim(
        "job: the same, fifteen nights after the phone itself became 8 % slower",
        (0.9, 1.0),
        lambda n: confirmed_share(n, step=0.10, own_shift=0.08),
        (40, 300),
    ),
    "job-step-20": _claim(
        "job: 20 % steps that are confirmed the same night",
        (0.9, 1.0),
        lambda n: confirmed_same_night(n, step=0.20),
        (40, 300),
    ),
    "job-called-once": _claim(
        "job: how often a 10 % step is reported in thirty nights",
        (0.9, 1.1),
        lambda n: times_confirmed(n, step=0.10),
        (25, 300),
    ),
    "job-swap": _claim(
        "job: new systems, 10 % slower, that are reported as a change", (0, 0.05), swaps_reported, (25, 200)
    ),
}
