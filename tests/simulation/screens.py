"""The screen in every world of `tests.simulation.night_worlds`: what it suspects, what is confirmed, and how late.

Each series is watched as the nightly job watches it: measure, judge, measure again if asked, screen, confirm by pairs,
begin a new level. A confirmation compares the true speeds of the two files that it was handed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np

from harness.stats.screening import (
    MOST_MEASURED,
    SURE_NIGHTS,
    judge_night,
    screen,
)
from harness.stats.verdicts import Verdict
from tests.simulation.claims import PAIR_NOISE, Claim, session
from tests.simulation.night_worlds import (
    CHANGE_WORLDS,
    NULL_WORLDS,
    Drawn,
    NightWorld,
    Whole,
    draw,
)
from tests.simulation.world import CHANGE_NIGHT, Floats, pair_ratio

NIGHTS = 120
# The nights within which a change of the file has to be confirmed; a creep of 0.1 % a night needs more.
SOON, CREEP_SOON = 30, 60
LEAST = 0.03


@dataclass(slots=True, kw_only=True)
class Watched:
    """One series: the nights on which it was suspected, and on which a change was confirmed."""

    suspected: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Level:
    """The nights since the last change of level."""

    values: list[float] = field(default_factory=list)
    nights: list[int] = field(default_factory=list)

    def begin_at(self, index: int) -> None:
        self.values, self.nights = self.values[index:], self.nights[index:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    """``index``: the first night of the new level. ``good``: one surely before it. ``alone``: a step of one night."""

    index: int
    good: int
    alone: bool


def watch(drawn: Drawn, seed: int) -> list[Watched]:
    """Watch every series of ``drawn``."""
    count = drawn.levels_ns.shape[1]
    takes = np.asarray([[drawn.measure(night) for night in range(count)] for _ in range(MOST_MEASURED)])
    return [_watch_one(drawn, series, takes[:, :, series], seed) for series in range(len(drawn.levels_ns))]


def _watch_one(drawn: Drawn, series: int, takes: Floats, seed: int) -> Watched:
    chance = np.random.default_rng([37, seed, series])
    watched, level = Watched(), _Level()
    for night in range(takes.shape[1]):
        if not drawn.present[series, night]:
            continue
        if night and drawn.systems[night] != drawn.systems[night - 1]:
            level = _Level()
        suspect = _look(level, takes[:, night].tolist(), drawn.files[series], night)
        if suspect is None:
            continue
        watched.suspected.append(night)
        verdict = _confirm(chance, drawn, series, (level.nights[suspect.good], night))
        if verdict in (Verdict.REGRESSED, Verdict.IMPROVED):
            watched.confirmed.append(night)
        if verdict is Verdict.UNDECIDED:
            continue
        # A refuted step of one night was that night's alone.
        if not (suspect.alone and verdict is Verdict.EQUIVALENT):
            level.begin_at(suspect.index)
    return watched


def _look(level: _Level, takes: list[float], files: Whole, night: int) -> _Suspect | None:
    """Judge and screen one night, and add it to its level."""
    measured = takes[:1]
    while (judged := judge_night(level.values, measured)).again and not _within(level.values, judged.value):
        measured = takes[: len(measured) + 1]
    changed = bool(level.nights) and files[night] != files[level.nights[-1]]
    level.values.append(judged.value)
    level.nights.append(night)
    tonight = len(level.values) - 1
    if judged.step is not None and changed:
        return _Suspect(index=tonight, good=max(0, tonight - SURE_NIGHTS), alone=True)
    candidate = screen(level.values, least=LEAST)
    if candidate is None:
        return None
    return _Suspect(index=candidate.index, good=max(0, candidate.index - candidate.sure_nights), alone=False)


def _within(segment: list[float], value: float) -> bool:
    middle = float(np.median(segment))
    return abs(value - middle) <= LEAST * middle


def _confirm(chance: np.random.Generator, drawn: Drawn, series: int, nights: tuple[int, int]) -> Verdict | None:
    """The verdict of a session on the files of two nights; None for one and the same file."""
    good, tonight = nights
    if drawn.files[series, good] == drawn.files[series, tonight]:
        return None
    effect = drawn.costs[series, tonight] / drawn.costs[series, good] - 1
    return session(chance, lambda pair, number: pair_ratio(pair, number, effect=effect, noise=PAIR_NOISE))


def suspicions(world: NightWorld, series: int) -> float:
    """Suspicions per 1,000 series-nights."""
    return 1000 * sum(len(one.suspected) for one in _watched(world, series)) / _nights(world, series)


def alarms(world: NightWorld, series: int) -> float:
    """Confirmed changes per 10,000 series-nights."""
    return 10_000 * sum(len(one.confirmed) for one in _watched(world, series)) / _nights(world, series)


def found(world: NightWorld, series: int) -> float:
    """Share of series whose change is confirmed soon enough."""
    return float(np.mean([delay <= _soon(world) for delay in delays(world, series)]))


def median_delay(world: NightWorld, series: int) -> float:
    """Median number of nights from the change to its confirmation; 1 is the first slow night, infinity is missed."""
    return float(np.median(delays(world, series)))


def delays(world: NightWorld, series: int) -> list[float]:
    """Nights from the change to its confirmation, by series."""
    nights = [[night for night in one.confirmed if night >= CHANGE_NIGHT] for one in _watched(world, series)]
    return [late[0] - CHANGE_NIGHT + 1 if late else math.inf for late in nights]


@lru_cache(maxsize=64)
def _watched(world: NightWorld, series: int) -> tuple[Watched, ...]:
    """Every figure of a world comes from the same nights."""
    nights = NIGHTS if world.null else CHANGE_NIGHT + _soon(world)
    return tuple(watch(draw(world, 1, series=series, nights=nights), 1))


def _nights(world: NightWorld, series: int) -> float:
    return float(draw(world, 1, series=series, nights=NIGHTS).present.sum())


def _soon(world: NightWorld) -> int:
    return CREEP_SOON if world.creep else SOON


# The most suspicions in 1,000 series-nights; each costs a session of pairs. Where they are more than on clean nights,
# the world does what a change does: another state of the phone, or a bad night together with a new file.
SUSPICIONS = {
    "bad-nights-5": 22.0,
    "bad-nights-10": 28.0,
    "bad-nights-10-one-file": 3.0,
    "ar-0.5": 8.0,
    "ar-0.8": 15.0,
    "ar-0.8-one-file": 15.0,
    "weekends-15": 8.0,
    "hopping": 28.0,
    "phone-shift": 12.0,
}
FEW_SUSPICIONS = 2.0
# The least share of changes that is confirmed within thirty nights (a creep: sixty). Correlated nights hide a step of
# the same size; the nightly job finds those by comparing every new file.
FOUND = {"creep": 0.8, "step-10-ar-0.8": 0.6, "step-10-ar-0.5": 0.85}
MOST_FOUND = 0.97
# Series to watch; few for the tests, many for the long form.
SHORT_NULL, SHORT_CHANGE, LONG_NULL, LONG_CHANGE = 8, 20, 100, 200


def _claim(what: str, limits: tuple[float, float], figure: Callable[[int], float], *, null: bool) -> Claim:
    short, long = (SHORT_NULL, LONG_NULL) if null else (SHORT_CHANGE, LONG_CHANGE)
    return Claim(what=f"screen: {what}", low=limits[0], high=limits[1], figure=figure, short=short, long=long)


def _claims() -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    for name, world in NULL_WORLDS.items():
        most = SUSPICIONS.get(name, FEW_SUSPICIONS)
        what = f"suspicions in 1,000 series-nights of {name}"
        claims[f"screen-suspicions-{name}"] = _claim(what, (0.0, most), partial(suspicions, world), null=True)
        what = f"false alarms in 10,000 series-nights of {name}"
        claims[f"screen-alarms-{name}"] = _claim(what, (0.0, 1.0), partial(alarms, world), null=True)
    for name, world in CHANGE_WORLDS.items():
        limits = (FOUND.get(name, MOST_FOUND), 1.0)
        what = f"changes of {name} that are confirmed in time"
        claims[f"screen-found-{name}"] = _claim(what, limits, partial(found, world), null=False)
    return claims


SCREEN_CLAIMS = _claims()


def table_row(name: str) -> str:
    """One row of the table: the world, suspicions per 1,000, alarms per 10,000, found, and the median delay."""
    world = (NULL_WORLDS | CHANGE_WORLDS)[name]
    series = LONG_NULL if world.null else LONG_CHANGE
    if world.null:
        return f"| {name} | {suspicions(world, series):.1f} | {alarms(world, series):.1f} | | |"
    return f"| {name} | | | {100 * found(world, series):.0f} % | {median_delay(world, series):g} |"
