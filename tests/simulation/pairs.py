"""Sessions of pairs in worlds of blocks with a known truth, judged by the code of ``phonebench ab``.

A world draws the blocks of a session in the order in which they run, whichever side they belong to: heat, a
disturbance or a fast clock do not know it. Only the effect does, and a side that throttles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from harness.measure.pairs import PairPlan, PairResult, PairSession, summarise_pairs
from harness.stats.verdicts import Span, Verdict, log_margin, needs_more
from tests.simulation.world import Floats, ar1, heat

LEVEL_NS = 20e6
PLAN = PairPlan()
BLOCKS = 2 * (PLAN.most_pairs + PLAN.spare)
EFFECT = 0.03

# Draws ln(time) of the blocks of a session, in the order in which they run.
Blocks = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWorld:
    """``first``: how much slower the first block of a pair is. ``step_ns``: the step of the clock.

    ``throttled``: the share of B's blocks that throttle, so that their pairs are dropped.
    """

    blocks: Blocks
    first: float = 0.0
    step_ns: int = 1
    throttled: float = 0.0


def _normal(pair_noise: float) -> Blocks:
    """Blocks whose pairs have that standard deviation."""
    return lambda chance, count: chance.normal(scale=pair_noise / math.sqrt(2), size=count)


def _with(pair_noise: float, more: Blocks) -> Blocks:
    return lambda chance, count: _normal(pair_noise)(chance, count) + more(chance, count)


def _bad(factor: float, *, every: int) -> Blocks:
    """One block of ``every`` takes ``factor`` times as long."""
    return lambda chance, count: np.log(np.where(chance.random(count) < 1 / every, factor, 1.0))


def _one_bad(factor: float) -> Blocks:
    """One block of every ten pairs takes ``factor`` times as long."""

    def draw(chance: np.random.Generator, count: int) -> Floats:
        levels = np.zeros(count)
        for begin in range(0, count, 20):
            levels[begin : begin + 20][int(chance.integers(min(20, count - begin)))] = math.log(factor)
        return levels

    return draw


def _warms_up(chance: np.random.Generator, count: int) -> Floats:  # noqa: ARG001
    return np.log([heat(block) for block in range(count)])


def _saw(chance: np.random.Generator, count: int) -> Floats:
    """A device that heats up by 6 % over seven blocks and is cooled again."""
    return np.log1p(0.06 * ((np.arange(count) + chance.integers(7)) % 7) / 7)


def _follow(chance: np.random.Generator, count: int) -> Floats:
    """Blocks that resemble those before them (AR 0.8, 3 %)."""
    return ar1(chance, count, scale=0.03, correlation=0.8)


def _hops(chance: np.random.Generator, count: int) -> Floats:
    """A frequency that hops between two values, 10 % apart, about every eight blocks."""
    return np.where(np.cumsum(chance.random(count) < 1 / 8) % 2 == 1, math.log(1.1), 0.0)


def _mixture(chance: np.random.Generator, count: int) -> Floats:
    return chance.normal(size=count) * np.where(chance.random(count) < 0.2, 0.06, 0.012)


def _pareto(shape: float) -> Blocks:
    return lambda chance, count: np.log1p(0.02 * chance.pareto(shape, count))


PAIR_WORLDS: dict[str, PairWorld] = {
    "normal, 1 % a pair": PairWorld(blocks=_normal(0.01)),
    "normal, 2 % a pair": PairWorld(blocks=_normal(0.02)),
    "normal, 3 % a pair": PairWorld(blocks=_normal(0.03)),
    "normal, 6 % a pair": PairWorld(blocks=_normal(0.06)),
    "normal, 12 % a pair": PairWorld(blocks=_normal(0.12)),
    "lognormal mixture, 1.2 % and 6 % a block": PairWorld(blocks=_mixture),
    "Student's t with 3 degrees, 2 % a pair": PairWorld(blocks=lambda c, n: 0.0082 * c.standard_t(3, size=n)),
    "Pareto tail, α 2": PairWorld(blocks=_pareto(2.0)),
    "Pareto tail, α 1.2": PairWorld(blocks=_pareto(1.2)),
    "warm-up of 8 %, 2 %": PairWorld(blocks=_with(0.02, _warms_up)),
    "saw-tooth heat of 6 %, 1 %": PairWorld(blocks=_with(0.01, _saw)),
    "blocks that follow one another (AR 0.8, 3 %), 1 %": PairWorld(blocks=_with(0.01, _follow)),
    "a frequency that hops by 10 %, 1 %": PairWorld(blocks=_with(0.01, _hops)),
    "one bad block in ten pairs, × 1.5, 2 %": PairWorld(blocks=_with(0.02, _one_bad(1.5))),
    "one bad block in ten pairs, × 1.5, 3 %": PairWorld(blocks=_with(0.03, _one_bad(1.5))),
    "one bad block in ten pairs, × 2.3, 2 %": PairWorld(blocks=_with(0.02, _one_bad(2.3))),
    "any block × 1.5 with a chance of 5 %, 2 %": PairWorld(blocks=_with(0.02, _bad(1.5, every=20))),
    "any block × 1.5 with a chance of 10 %, 2 %": PairWorld(blocks=_with(0.02, _bad(1.5, every=10))),
    "any block × 2.3 with a chance of 10 %, 2 %": PairWorld(blocks=_with(0.02, _bad(2.3, every=10))),
    "20 % of blocks × 1.3, 2 %": PairWorld(blocks=_with(0.02, _bad(1.3, every=5))),
    "half of the blocks × 1.3, 2 %": PairWorld(blocks=_with(0.02, _bad(1.3, every=2))),
    "first of a pair 1 % slower, 2 %": PairWorld(blocks=_normal(0.02), first=0.01),
    "first of a pair 3 % slower, 2 %": PairWorld(blocks=_normal(0.02), first=0.03),
    "first of a pair 10 % slower, 2 %": PairWorld(blocks=_normal(0.02), first=0.1),
    "a clock of 0.2 ms on 20 ms, 2 %": PairWorld(blocks=_normal(0.02), step_ns=200_000),
    "a clock of 1 ms on 20 ms, 2 %": PairWorld(blocks=_normal(0.02), step_ns=1_000_000),
    "a clock of 1 ms on 20 ms, no noise": PairWorld(blocks=_normal(0.0001), step_ns=1_000_000),
    "80 % of B's blocks throttle, 1 %": PairWorld(blocks=_normal(0.01), throttled=0.8),
}


def play(world: PairWorld, chance: np.random.Generator, *, effect: float) -> PairSession:
    """Run a session of ``world`` in which B takes 1 + ``effect`` times as long, as ``phonebench ab`` does."""
    # Where in its tick a time falls is chance.
    levels = np.log(LEVEL_NS * chance.uniform(1.0, 1.05)) + world.blocks(chance, BLOCKS)
    pairs: list[PairResult] = []
    session = summarise_pairs(pairs, PLAN)
    for count in (PLAN.pairs, PLAN.most_pairs):
        while _good(pairs) < count and len(pairs) < count + PLAN.spare:
            block = 2 * len(pairs)
            pairs.append(_pair(world, chance, (float(levels[block]), float(levels[block + 1])), effect))
        session = summarise_pairs(pairs, PLAN)
        if not needs_more(_span(session), log_margin(PLAN.margin)):
            break
    return session


def _pair(world: PairWorld, chance: np.random.Generator, levels: tuple[float, float], effect: float) -> PairResult:
    order = "AB" if chance.random() < 0.5 else "BA"
    times = {}
    for position, side in enumerate(order):
        ns = math.exp(levels[position]) * (1 + effect * (side == "B")) * (1 + world.first * (position == 0))
        times[side] = float(int(ns) // world.step_ns * world.step_ns)
    lost = chance.random() < world.throttled
    return PairResult(
        order=order,
        a_ns=times["A"],
        b_ns=times["B"],
        log_ratio=None if lost else math.log(times["B"] / times["A"]),
        dropped="B: slowdown" if lost else None,
        disturbed="B" if lost else "",
    )


def _good(pairs: list[PairResult]) -> int:
    return sum(pair.log_ratio is not None for pair in pairs)


def _span(session: PairSession) -> Span | None:
    if session.ratio is None or session.low is None or session.high is None:
        return None
    return Span(estimate=math.log(session.ratio), low=math.log(session.low), high=math.log(session.high))


def verdicts(name: str, count: int, *, effect: float) -> list[Verdict]:
    """Return the verdicts of ``count`` sessions of a world in which B takes 1 + ``effect`` times as long."""
    chance = np.random.default_rng([3, crc32(name.encode())])
    return [play(PAIR_WORLDS[name], chance, effect=effect).verdict for _ in range(count)]
