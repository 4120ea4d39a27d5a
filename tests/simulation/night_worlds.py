"""Worlds of nights whose truth is known, drawn for many series at once; good ones, bad ones, and ones that change.

A world is a row of parameters. `draw` turns it into what the nights of many series share (the phone, the file, the
kind of night); `Drawn.measure` adds what a single measurement has of its own. A second measurement of the same night
therefore shares a bad night and does not share its own noise, as on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.simulation.world import CHANGE_NIGHT, Floats, ar1, slower, weekends

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LEVEL_NS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class NightWorld:
    """The truth about a farm. All sizes are shares of the level, 0.03 = 3 %.

    Of one measurement: ``own`` (its standard deviation), ``tails`` (degrees of freedom of Student's t; 0 is normal),
    ``bad`` (how often it is 10 to 20 % slow), ``tick`` (the step of its clock).
    Of a whole night: ``shared`` (standard deviation) with ``correlation`` from night to night, ``bad_nights`` (how
    often a night is 10 to 20 % slow), ``weekend`` (how much slower two nights in seven are), ``hops`` (how often the
    phone is in its slower state, slower by ``hop``), ``missing`` (how often there is none).
    Of the file, from ``at`` on: ``step``, ``creep`` per night; the step ends at ``until``. ``once``: the file has new
    bytes only when its speed changes, else every night. Of the phone itself: ``phone_step`` from ``phone_at`` on.
    ``swap``: at ``at`` the phone gets another system, and ``step`` is that system's.
    """

    own: float = 0.03
    tails: int = 0
    bad: float = 0.0
    tick: float = 0.0
    shared: float = 0.0
    correlation: float = 0.0
    bad_nights: float = 0.0
    weekend: float = 0.0
    hops: float = 0.0
    hop: float = 0.3
    missing: float = 0.0
    at: int = CHANGE_NIGHT
    until: int | None = None
    step: float = 0.0
    creep: float = 0.0
    once: bool = False
    phone_at: int = 45
    phone_step: float = 0.0
    swap: bool = False

    @property
    def null(self) -> bool:
        """Whether no file ever changes its speed, so that every confirmed change is a false alarm."""
        return self.swap or not (self.step or self.creep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The nights of many series, in arrays of (series, nights).

    ``levels_ns``: what every measurement of a night shares. ``costs``: how slow the night's file is, 1 for the first.
    ``files``: a number for its bytes. ``present``: whether there was a night at all. ``systems``: the number of the
    phone's system, by night.
    """

    world: NightWorld
    levels_ns: Floats
    costs: Floats
    files: Whole
    present: Flags
    systems: Whole
    _chance: np.random.Generator = field(repr=False)

    def measure(self, night: int) -> Floats:
        """Return one measurement of every series on that night, ns; each call is another measurement."""
        world, chance = self.world, self._chance
        count = len(self.levels_ns)
        # No measurement is off by more than a factor of twenty.
        noise = np.clip(_tailed(chance, count, world.tails) * world.own, -3.0, 3.0)
        values = self.levels_ns[:, night] * np.exp(noise)
        values = np.where(chance.random(count) < world.bad, values * slower(chance, count), values)
        if world.tick:
            step = world.tick * LEVEL_NS
            values = np.maximum(step, np.round(values / step) * step)
        return np.asarray(values, dtype=np.float64)


def draw(world: NightWorld, seed: int, *, series: int, nights: int) -> Drawn:
    """Return ``nights`` of ``series`` series of ``world``. The same seed is the same world."""
    chance = np.random.default_rng([29, seed])
    shape = (series, nights)
    index = np.arange(nights)
    late = (index >= world.at) & (index < (nights if world.until is None else world.until))
    change = 1 + world.step * late + world.creep * np.maximum(0, index - world.at + 1)
    costs = np.broadcast_to(np.ones(nights) if world.swap else change, shape)
    phone = (change if world.swap else np.ones(nights)) * (1 + world.phone_step * (index >= world.phone_at))
    phone = phone * (1 + world.weekend * weekends(nights))
    shared = np.exp(ar1(chance, shape, scale=world.shared, correlation=world.correlation))
    shared = np.where(chance.random(shape) < world.bad_nights, shared * slower(chance, shape), shared)
    shared = np.where(chance.random(shape) < world.hops, shared * (1 + world.hop), shared)
    files = np.cumsum(np.diff(change, prepend=change[0]) != 0) if world.once else index
    return Drawn(
        world=world,
        levels_ns=LEVEL_NS * costs * phone * shared,
        costs=np.asarray(costs, dtype=np.float64),
        files=np.broadcast_to(files, shape).astype(np.int64),
        present=chance.random(shape) >= world.missing,
        systems=(index >= world.at).astype(np.int64) if world.swap else np.zeros(nights, dtype=np.int64),
        _chance=chance,
    )


def _tailed(chance: np.random.Generator, size: int, degrees: int) -> Floats:
    """Noise whose central part is that of a standard normal: Student's t, scaled to its quartiles."""
    if not degrees:
        return chance.normal(size=size)
    return np.asarray(chance.standard_t(degrees, size=size) * T_QUARTILES[degrees])


# Upper quartile of the normal distribution over that of Student's t, by degrees of freedom.
T_QUARTILES = {1: 0.67449, 2: 0.82608, 3: 0.88181, 5: 0.92817}


# Nothing that a file does differs in these; each was tried, whether the screen does well in it or not.
NULL_WORLDS: dict[str, NightWorld] = {
    "clean": NightWorld(),
    "outlying-5": NightWorld(bad=0.05),
    "bad-nights-5": NightWorld(bad_nights=0.05),
    "bad-nights-10": NightWorld(bad_nights=0.10),
    "bad-nights-5-one-file": NightWorld(bad_nights=0.05, once=True),
    "bad-nights-10-one-file": NightWorld(bad_nights=0.10, once=True),
    "ar-0.5": NightWorld(own=0.01, shared=0.03, correlation=0.5),
    "ar-0.8": NightWorld(own=0.01, shared=0.03, correlation=0.8),
    "ar-0.8-one-file": NightWorld(own=0.01, shared=0.03, correlation=0.8, once=True),
    "weekends": NightWorld(weekend=0.05),
    "weekends-15": NightWorld(weekend=0.15),
    "tails-3": NightWorld(tails=3),
    "tails-1": NightWorld(own=0.01, tails=1),
    "hopping": NightWorld(own=0.01, hops=0.2),
    "coarse-clock": NightWorld(own=0.01, tick=0.02),
    "very-coarse-clock": NightWorld(own=0.02, tick=0.15),
    "missing-30": NightWorld(missing=0.3),
    "quiet": NightWorld(own=0.0005),
    "noisy": NightWorld(own=0.10),
    "swap": NightWorld(step=0.10, swap=True),
    "phone-shift": NightWorld(phone_step=0.08),
}

# The file becomes slower.
CHANGE_WORLDS: dict[str, NightWorld] = {
    "step-10": NightWorld(step=0.10),
    "step-10-once": NightWorld(step=0.10, once=True),
    "step-10-quiet": NightWorld(own=0.01, step=0.10),
    "step-5-quiet": NightWorld(own=0.01, step=0.05),
    "step-20": NightWorld(step=0.20),
    "step-10-outlying": NightWorld(step=0.10, bad=0.05),
    "step-10-bad-nights": NightWorld(step=0.10, bad_nights=0.05, once=True),
    "step-10-ar-0.5": NightWorld(own=0.01, shared=0.03, correlation=0.5, step=0.10),
    "step-10-ar-0.8": NightWorld(own=0.01, shared=0.03, correlation=0.8, step=0.10),
    "step-10-weekends": NightWorld(weekend=0.05, step=0.10),
    "step-10-tails-3": NightWorld(tails=3, step=0.10),
    "step-10-missing-30": NightWorld(missing=0.3, step=0.10),
    "step-10-coarse-clock": NightWorld(own=0.01, tick=0.02, step=0.10),
    "step-10-recovers": NightWorld(step=0.10, until=CHANGE_NIGHT + 10),
    "step-10-after-shift": NightWorld(step=0.10, phone_step=0.08),
    "creep": NightWorld(creep=0.001),
}
