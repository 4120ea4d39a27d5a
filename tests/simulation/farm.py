"""Farms of series with a known truth, run night after night through the code of the nightly job.

The simulation covers the whole job: common shifts, the rule for measuring again with its tolerances, the history with
its decisions, the screen and the gate, the list of comparisons with its budget, the confirmation by pairs, Benjamini
and Hochberg over all confirmations of a night, and what stays open. Only the phones are made up.

A comparison sees the true speeds of the two files that it was handed, and nothing else. So a wrong choice of the good
file, or a confirmation that believes the nights, shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np

from harness.history.figures import make_series
from harness.history.records import (
    Decided,
    Decision,
    Environment,
    Figures,
    HistoryEntry,
    Night,
    NightStatus,
    RunFacts,
    Series,
)
from harness.measure.pairs import PairPlan, PairResult, Sides, is_open, summarise_pairs
from harness.plan.cells import make_cell
from harness.records.metrics import LATENCY
from harness.spec.profiles import ProfileName
from harness.stats.looks import level_of
from harness.stats.screening import ARL0, MOST_MEASURED
from harness.wire import Delegate, Format
from harness.workflows.nightly.agenda import Before, SeriesTonight, offsets_of, plan_night
from harness.workflows.nightly.common import find_causes
from harness.workflows.nightly.confirm import correct_for_many, judge, same_file, unconfirmed
from harness.workflows.nightly.outcomes import settle_night
from harness.workflows.nightly.record import Baseline, BaselineCell, Carried, Confirmation, State, Suspect, Trigger
from harness.workflows.nightly.screening import SeriesHistory, as_night, screen_series
from tests.history import nights as made
from tests.simulation.world import (
    BAD_FROM,
    BAD_TO,
    CHANGE_NIGHT,
    Floats,
    ar1,
    session_drift,
    slower,
    weekends,
)

LEVEL_NS = 1e6
NIGHTS = 120
# In worlds where the phone itself changes, it does so this night.
OWN_SHIFT_NIGHT = 45
# A session of ten pairs takes five minutes, so this is an hour a night.
MOST_PAIRS_A_NIGHT = 120
PLAN = PairPlan(sure=level_of(1))


class Files(StrEnum):
    """How often a file changes: every night (a model in training), with the change under test, or never."""

    NEW = "new every night"
    ONCE = "changes once"
    NEVER = "never changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The truth about a farm of one phone.

    ``own`` and ``measuring`` are the standard deviations of a series' night and of one measurement in it; ``shared``
    that of the phone's night, which all its series share. Nights correlate by ``correlation``; ``tails`` takes them
    from a t distribution with two degrees of freedom. ``bad`` is the share of measurements that are 10 to 20 % slow,
    ``bad_own`` that of the nights of a series, and ``bad_nights`` that of the nights of the phone. ``weekend`` is the
    slowdown of two nights in seven, ``missing`` the share of values that are missing.

    From night ``change`` on (until ``until``) the files of the first ``slow`` series cost ``step`` more. ``creep`` is
    what a night adds to their files, ``own_creep`` to the phone, from night 0. On night 45 all series become slower by
    ``common`` and the first ``slow`` ones by ``own_shift``, both of the phone itself; with ``build`` its system changes
    that night. ``pinned``: the files of the first night are the baseline.
    """

    series: int = 1
    slow: int = 1
    files: Files = Files.NEW
    own: float = 0.02
    measuring: float = 0.022
    shared: float = 0.0
    correlation: float = 0.0
    tails: bool = False
    bad: float = 0.0
    bad_nights: float = 0.0
    bad_own: float = 0.0
    weekend: float = 0.0
    missing: float = 0.0
    step: float = 0.0
    until: int | None = None
    creep: float = 0.0
    own_creep: float = 0.0
    common: float = 0.0
    own_shift: float = 0.0
    build: bool = False
    pair_noise: float = 0.02
    pair_tails: bool = False
    pinned: bool = False
    nights: int = NIGHTS
    change: int = CHANGE_NIGHT


@dataclass(slots=True, kw_only=True)
class Played:
    """What a farm reported: (night, series) of each confirmed change, and the nights of suspicions and sessions."""

    regressions: list[tuple[int, int]] = field(default_factory=list)
    improvements: list[tuple[int, int]] = field(default_factory=list)
    suspected: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    causes: list[tuple[int, str]] = field(default_factory=list)
    drifts: list[int] = field(default_factory=list)
    values: int = 0


class Phone:
    """One series and its history."""

    def __init__(self, world: World, number: int, chance: np.random.Generator) -> None:
        self.world, self.number, self._chance = world, number, chance
        self.series = series_of(number)
        self.nights: list[Night] = []
        self.decisions: list[Decided] = []
        self._own = _noise(chance, world, world.own) + _bad(chance, world.nights, world.bad_own)
        self._missing = chance.random(world.nights) < world.missing

    @property
    def history(self) -> SeriesHistory:
        return SeriesHistory(nights=tuple(self.nights), decisions=tuple(self.decisions))

    def is_missing(self, index: int) -> bool:
        return bool(self._missing[index])

    def measure(self, index: int, shared: float) -> HistoryEntry:
        """One measurement of that night."""
        world = self.world
        level = LEVEL_NS * (1 + self.cost(self.digest(index))) * math.exp(shared + self._own[index])
        if index >= OWN_SHIFT_NIGHT:
            level *= 1 + (world.own_shift if self.number < world.slow else 0.0)
        value = level * math.exp(self._chance.normal(scale=world.measuring))
        if self._chance.random() < world.bad:
            value *= 1 + self._chance.uniform(BAD_FROM, BAD_TO)
        build = "next" if world.build and index >= OWN_SHIFT_NIGHT else made.PHONE.os_build
        entry = made.entry(value, environment=phone_of(build), artifact=self.digest(index))
        return replace(entry, series=self.series, figures=Figures(value=value))

    def digest(self, index: int) -> str:
        """The file of that night."""
        match self.world.files:
            case Files.NEW:
                return f"{index:064x}"
            case Files.ONCE:
                return f"{int(self._is_slow(index)):064x}"
            case Files.NEVER:
                return f"{0:064x}"

    def cost(self, sha256: str) -> float:
        """By how much the file of that digest is slower than the first one, whatever the phone does."""
        if self.number >= self.world.slow:
            return 0.0
        made_on = int(sha256, 16)
        if self.world.files is not Files.NEW:
            return self.world.step * made_on
        creep = (1 + self.world.creep) ** made_on - 1
        return creep + (self.world.step if self._is_slow(made_on) else 0.0)

    def confirm(self, suspect: Suspect) -> tuple[Confirmation, int]:
        """Compare the two files that the suspect names, as a session does; also return how many pairs it took."""
        if suspect.good_sha256 == suspect.sha256:
            return same_file(suspect), 0
        good, tonight = (1 + self.cost(sha256) for sha256 in (suspect.good_sha256, suspect.sha256))
        pairs: list[PairResult] = []
        for count in (PLAN.pairs, PLAN.most_pairs):
            while len(pairs) < count:
                pairs.append(self._pair(len(pairs), tonight / good))
            if not is_open(pairs, PLAN):
                break
        return judge(suspect, summarise_pairs(pairs, PLAN), Sides()), len(pairs)

    def _pair(self, pair: int, ratio: float) -> PairResult:
        """One pair of a session during which the device warms up."""
        drift = session_drift(self._chance, pair)
        noise = self._chance.standard_t(2) if self.world.pair_tails else self._chance.normal()
        log_ratio = float(math.log(ratio) + drift + self.world.pair_noise * noise)
        return PairResult(order="AB", a_ns=LEVEL_NS, b_ns=LEVEL_NS * math.exp(log_ratio), log_ratio=log_ratio)

    def _is_slow(self, index: int) -> bool:
        until = self.world.nights if self.world.until is None else self.world.until
        return self.number < self.world.slow and self.world.change <= index < until


class Farm:
    """Some series of one phone, night after night."""

    def __init__(self, world: World, seed: int) -> None:
        chance = np.random.default_rng([17, seed])
        self.world, self.played, self._carried = world, Played(), Carried()
        self.phones = [Phone(world, number, chance) for number in range(world.series)]
        self._by_name = {phone.series.name: phone for phone in self.phones}
        self._shared = _shared(chance, world)
        self._baseline = Baseline(name="release", cells=()) if world.pinned else None

    def play(self) -> Played:
        """Play all nights."""
        for index in range(self.world.nights):
            self._night(index)
        return self.played

    def _night(self, index: int) -> None:
        run, shared = facts(index), float(self._shared[index])
        present = [phone for phone in self.phones if not phone.is_missing(index)]
        histories = {phone.series.name: phone.history for phone in present}
        first = {phone.series.name: phone.measure(index, shared) for phone in present}
        causes = find_causes(histories, first, run)
        offsets = offsets_of(causes)
        tonight = {
            name: self._screened(self._by_name[name], entry, index, offsets.get(name, 0.0))
            for name, entry in first.items()
        }
        self._pin(first)
        agenda = plan_night(tonight, causes, Before(carried=self._carried, baseline=self._baseline), run)
        said = correct_for_many(self._compare(agenda.suspects, index))
        outcome = settle_night(tonight, agenda, causes, said, run)
        self._carried = outcome.carried
        for name, one in tonight.items():
            self._by_name[name].nights.append(as_night(one.entry, run))
        for decided in outcome.decided:
            self._by_name[decided.series].decisions.append(decided)
        self.played.values += len(present)
        self.played.causes += [(index, cause.since) for cause in outcome.causes]
        for series in outcome.series:
            number = self._by_name[series.series].number
            if series.state is State.REGRESSION:
                self.played.regressions.append((index, number))
            elif series.state is State.IMPROVEMENT:
                self.played.improvements.append((index, number))
            if series.confirmation is not None and series.confirmation.decision is Decision.DRIFT:
                self.played.drifts.append(index)

    def _screened(self, phone: Phone, entry: HistoryEntry, index: int, offset: float) -> SeriesTonight:
        """Measure a night as often as the screen asks."""
        history, measured, shared = phone.history, [entry], float(self._shared[index])
        found = screen_series(history, measured, facts(index), ARL0, common=offset)
        while found.again and len(measured) < MOST_MEASURED:
            measured.append(phone.measure(index, shared))
            found = screen_series(history, measured, facts(index), ARL0, common=offset)
        kept = next(one for one in found.entries if one.status is NightStatus.OK)
        return SeriesTonight(history=history, entry=kept, night=found.night)

    def _compare(self, suspects: Sequence[Suspect], index: int) -> list[Confirmation]:
        """Compare until the budget of the night is used up."""
        said: list[Confirmation] = []
        pairs = 0
        for suspect in suspects:
            if pairs >= MOST_PAIRS_A_NIGHT and suspect.good_sha256 != suspect.sha256:
                said.append(unconfirmed(suspect, "the budget was used up", skipped=True))
                continue
            one, took = self._by_name[suspect.series].confirm(suspect)
            said.append(one)
            pairs += took
            if took:
                self.played.sessions.append(index)
            if suspect.trigger in (Trigger.SCREEN, Trigger.STEP):
                self.played.suspected.append(index)
        return said

    def _pin(self, first: dict[str, HistoryEntry]) -> None:
        """The first night is the release."""
        if self._baseline is None or self._baseline.cells or not first:
            return
        cells = [
            BaselineCell(
                cell=e.series.cell, sha256=e.artifact_sha256, latency_ns=e.figures.value if e.figures else None
            )
            for e in first.values()
        ]
        self._baseline = replace(self._baseline, cells=tuple(cells))


def _noise(chance: np.random.Generator, world: World, scale: float) -> Floats:
    """The logarithms of the nights of one series, or of the phone."""
    values = ar1(chance, world.nights, scale=1.0, correlation=world.correlation)
    if world.tails:
        # Heavy tails with the same correlation of their signs.
        values = values * np.abs(chance.standard_t(2, size=world.nights))
    return np.asarray(scale * values)


def _bad(chance: np.random.Generator, nights: int, share: float) -> Floats:
    """By how much a night is slower, as a logarithm: mostly not at all."""
    return np.asarray((chance.random(nights) < share) * np.log(slower(chance, nights)))


def _shared(chance: np.random.Generator, world: World) -> Floats:
    """What the nights have in common for all series of the phone, as logarithms."""
    nights = np.arange(world.nights)
    shared = _noise(chance, world, world.shared) if world.shared else np.zeros(world.nights)
    shared = shared + _bad(chance, world.nights, world.bad_nights)
    shared = shared + weekends(world.nights) * math.log1p(world.weekend)
    shared = shared + (nights >= OWN_SHIFT_NIGHT) * math.log1p(world.common)
    return np.asarray(shared + nights * math.log1p(world.own_creep))


@lru_cache(maxsize=4)
def phone_of(build: str) -> Environment:
    """The phone with that system build."""
    return replace(made.PHONE, os_build=build)


@lru_cache(maxsize=512)
def series_of(number: int) -> Series:
    """The series of a farm: five models, two formats."""
    format_ = (Format.ONNX, Format.TFLITE)[number % 2]
    cell = make_cell(f"m{number % 5}", f"v{number}", format_, Delegate.CPU, 1, "fake", ProfileName.STANDARD)
    return make_series(cell, LATENCY)


@lru_cache(maxsize=256)
def facts(index: int) -> RunFacts:
    """The run of a night."""
    return made.run_facts(index)
