"""Cells in worlds of launches with a known truth: does the interval hold, are speeds told apart, are verdicts right?

Everything that phonebench does is done by its own code: the stop rule, the summary of a cell, and the comparison of two
runs. Only the launches are made up. A world with one speed has a typical launch; the interval must contain it. A world
with several has none, and must be reported as such.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from harness.compare.metrics import MetricComparison, compare_metrics
from harness.measure.latency import summarise, summarise_launch
from harness.plan.cells import make_cell
from harness.records.measurement import CellStatus, LatencySummary, LaunchSummary, Measurement
from harness.spec.profiles import PROFILES, ProfileName
from harness.stats.launches import log_half_width
from harness.stats.stopping import enough_launches
from harness.stats.verdicts import Verdict
from harness.wire import Delegate, Format
from tests.simulation.world import Floats, ar1

# Not on a tick of a coarse clock.
LEVEL_NS = 20.4e6
STANDARD = PROFILES[ProfileName.STANDARD]
MOST = max(STANDARD.checkpoints)
CELL = make_cell("model", "fp32", Format.ONNX, Delegate.CPU, 1, "android", ProfileName.STANDARD)
EFFECT = 0.03
CALLED = (Verdict.REGRESSED, Verdict.IMPROVED)

# Draws ln(time) of launches, in the order in which they run.
Draw = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``speeds``: at how many speeds its launches run. ``independent``: launches do not depend on those before them.

    ``calls`` makes the calls of a launch from its level in ns; without it a launch is its median. ``exact`` makes them
    as an exact clock would show them, where the clock of the world is coarse.
    """

    draw: Draw
    speeds: int = 1
    independent: bool = True
    calls: Callable[[np.random.Generator, float], list[int]] | None = None
    exact: Callable[[np.random.Generator, float], list[int]] | None = None


def _normal(spread: float) -> Draw:
    return lambda chance, count: chance.normal(scale=spread, size=count)


def _speeds(spread: float, *speeds: tuple[float, float]) -> Draw:
    """Launches at the given (share, factor), the rest at 1, each with a normal ``spread``."""
    shares = [1 - sum(share for share, _ in speeds), *(share for share, _ in speeds)]
    factors = np.log([1.0, *(factor for _, factor in speeds)])
    return lambda chance, count: chance.choice(factors, p=shares, size=count) + chance.normal(scale=spread, size=count)


def _mixture(chance: np.random.Generator, count: int) -> Floats:
    return chance.normal(size=count) * np.where(chance.random(count) < 0.2, 0.05, 0.01)


def _pareto(shape: float, scale: float) -> Draw:
    return lambda chance, count: np.log1p(scale * chance.pareto(shape, size=count))


def _bad(factor: float) -> Draw:
    """One launch of ten is disturbed: it takes up to ``factor`` times as long."""
    return lambda chance, count: (
        chance.normal(scale=0.01, size=count)
        + np.log(np.where(chance.random(count) < 0.1, chance.uniform(1.05, factor, count), 1.0))
    )


def _saw(chance: np.random.Generator, count: int) -> Floats:
    """A device that heats up over six launches, is paused, and begins again."""
    phase = chance.integers(6)
    return np.log1p(0.04 * ((np.arange(count) + phase) % 6) / 6) + chance.normal(scale=0.005, size=count)


def _follows(correlation: float, spread: float) -> Draw:
    return lambda chance, count: ar1(chance, count, scale=spread, correlation=correlation)


def _drift(chance: np.random.Generator, count: int) -> Floats:
    """A warm-up of 8 % over the session with a time constant of 16 launches, begun at any moment of it."""
    begin = chance.uniform(0, 32)
    return np.log1p(0.08 * (1 - np.exp(-(np.arange(count) + begin) / 16))) + chance.normal(scale=0.01, size=count)


def _noisy_calls(
    count: int, *, correlation: float = 0.0, tail: bool = False, step_ns: int = 1
) -> Callable[..., list[int]]:
    """Calls with 2 % of noise, of which 2 % take half as long again or which have a tail, on a clock of ``step_ns``."""

    def calls(chance: np.random.Generator, level_ns: float) -> list[int]:
        noise = _follows(correlation, 0.02)(chance, count) if correlation else chance.normal(scale=0.02, size=count)
        slow = 1 + 0.05 * chance.pareto(1.5, count) if tail else np.where(chance.random(count) < 0.02, 1.5, 1.0)
        return [int(ns // step_ns * step_ns) for ns in level_ns * np.exp(noise) * slow]

    return calls


_EXACT = _noisy_calls(200)


def _hopping_calls(chance: np.random.Generator, level_ns: float) -> list[int]:
    """A clock that hops between two frequencies, 15 % apart, and stays for about 25 calls."""
    slow = np.cumsum(chance.random(200) < 0.04) % 2
    return [int(ns) for ns in level_ns * np.where(slow == 1, 1.15, 1.0) * np.exp(chance.normal(scale=0.01, size=200))]


WORLDS: dict[str, World] = {
    "normal, 0.5 %": World(draw=_normal(0.005)),
    "normal, 1 %": World(draw=_normal(0.01)),
    "normal, 2 %": World(draw=_normal(0.02)),
    "normal, 3 %": World(draw=_normal(0.03)),
    "normal, 6 %": World(draw=_normal(0.06)),
    "lognormal mixture, 1 % and 5 %": World(draw=_mixture),
    "Laplace, 2 %": World(draw=lambda chance, count: chance.laplace(scale=0.02 / math.sqrt(2), size=count)),
    "Student's t with 3 degrees": World(draw=lambda chance, count: 0.012 * chance.standard_t(3, size=count)),
    "uniform, ± 3.5 %": World(draw=lambda chance, count: chance.uniform(-0.035, 0.035, size=count)),
    "exponential tail, 2 %": World(draw=lambda chance, count: chance.exponential(0.02, size=count)),
    "exponential tail, 5 %": World(draw=lambda chance, count: chance.exponential(0.05, size=count)),
    "lognormal tail, 2 %": World(draw=lambda chance, count: 0.02 * np.exp(chance.normal(size=count))),
    "Pareto tail, α 3": World(draw=_pareto(3, 0.02)),
    "Pareto tail, α 1.5": World(draw=_pareto(1.5, 0.02)),
    "one launch of ten disturbed, up to × 1.5": World(draw=_bad(1.5)),
    "one launch of ten disturbed, up to × 2.3": World(draw=_bad(2.3)),
    "calls that follow one another (AR 0.9)": World(draw=_normal(0.01), calls=_noisy_calls(200, correlation=0.9)),
    "calls with a Pareto tail": World(draw=_normal(0.01), calls=_noisy_calls(200, tail=True)),
    "7 calls a launch": World(draw=_normal(0.01), calls=_noisy_calls(7)),
    "3,000 calls a launch": World(draw=_normal(0.01), calls=_noisy_calls(3000)),
    "a clock of 0.2 ms, 1 %": World(draw=_normal(0.01), calls=_noisy_calls(200, step_ns=200_000), exact=_EXACT),
    "a clock of 1 ms, 5 %": World(draw=_normal(0.01), calls=_noisy_calls(200, step_ns=1_000_000), exact=_EXACT),
    "a frequency that hops within launches": World(draw=_normal(0.01), calls=_hopping_calls, speeds=2),
    "saw-tooth heat, 4 %": World(draw=_saw, independent=False),
    "launches that follow one another (AR 0.5)": World(draw=_follows(0.5, 0.02), independent=False),
    "drift of 8 %": World(draw=_drift, independent=False),
    "20 % of launches × 1.3": World(draw=_speeds(0.01, (0.2, 1.3)), speeds=2),
    "20 % of launches × 1.1": World(draw=_speeds(0.01, (0.2, 1.1)), speeds=2),
    "30 % of launches × 1.3, 3 % noise": World(draw=_speeds(0.03, (0.3, 1.3)), speeds=2),
    "half of the launches × 1.3": World(draw=_speeds(0.01, (0.5, 1.3)), speeds=2),
    "half of the launches × 2.4": World(draw=_speeds(0.02, (0.5, 2.4)), speeds=2),
    "10 % of launches × 1.5": World(draw=_speeds(0.01, (0.1, 1.5)), speeds=2),
    "three speeds, 1, 1.2 and 1.45": World(draw=_speeds(0.01, (0.33, 1.2), (0.33, 1.45)), speeds=3),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Shares of cells or of comparisons in one world: what the table shows.

    ``kept``: cells with an interval; ``covered``: those of them whose interval contains the typical launch. ``told``:
    cells reported to run at several speeds. ``right``: cells of which one or the other holds. ``verdicts``: equal runs
    called and equivalent, runs of which one is 3 % slower called and equivalent.
    """

    kept: float
    covered: float
    told: float
    right: float
    launches: float
    verdicts: tuple[float, float, float, float]


def measure(world: World, chance: np.random.Generator, *, factor: float = 1.0) -> Measurement:
    """Measure one cell of ``world`` as the profile ``standard`` does; its truth is ``factor`` times as slow."""
    levels = factor * LEVEL_NS * np.exp(world.draw(chance, MOST))
    kept: list[list[int]] = []
    medians: list[float] = []
    for level in levels:
        calls = world.calls(chance, level) if world.calls else [round(level)]
        summary = summarise_launch(calls, trim=STANDARD.trim)
        kept.append(calls[summary.start :])
        medians.append(summary.median_ns)
        if enough_launches(medians, STANDARD.half_width, STANDARD.checkpoints):
            break
    return _measurement(summarise(kept), medians)


def _measurement(latency: LatencySummary, medians: list[float]) -> Measurement:
    launches = tuple(
        LaunchSummary(
            index=i, reply_sha256="", median_ns=round(ns), calls=1, first_ns=0, load_ns=0, steady_state="flat"
        )
        for i, ns in enumerate(medians)
    )
    return Measurement(
        cell=CELL.key, status=CellStatus.OK, started_at="", ended_at="", launches=launches, latency=latency
    )


@lru_cache
def typical_ns(name: str, *, launches: int = 40_000) -> float:
    """Return the typical launch of a world: the median of the geometric means of pairs of independent launches."""
    world, chance = WORLDS[name], np.random.default_rng(5)
    if world.independent and world.calls is None:
        logs = world.draw(chance, launches)
    else:
        runs = [world.draw(chance, MOST) for _ in range((4000 if world.calls else launches) // MOST)]
        logs = np.concatenate(runs)
        if (calls := world.exact or world.calls) is not None:
            logs = np.array([math.log(np.median(calls(chance, LEVEL_NS * math.exp(x))) / LEVEL_NS) for x in logs])
    chance.shuffle(logs)
    first, second = np.array_split(logs, 2)[0], np.array_split(logs, 2)[1]
    size = min(len(first), len(second))
    return LEVEL_NS * math.exp(float(np.median((first[:size] + second[:size]) / 2)))


def cells(name: str, count: int) -> list[LatencySummary]:
    """Return the latencies of ``count`` cells of the world ``name``."""
    chance = np.random.default_rng([1, crc32(name.encode())])
    measured = [measure(WORLDS[name], chance).latency for _ in range(count)]
    return [latency for latency in measured if latency is not None]


def means_covered(name: str, count: int) -> float:
    """Return the share of cells whose t interval about the geometric mean contains it; phonebench does not use it."""
    chance, world = np.random.default_rng(6), WORLDS[name]
    truth, hits = float(np.mean(world.draw(chance, 400_000))), 0
    for _ in range(count):
        logs = [math.log(launch.median_ns / LEVEL_NS) for launch in measure(world, chance).launches]
        half = log_half_width([math.exp(value) for value in logs])
        hits += half is not None and abs(sum(logs) / len(logs) - truth) <= half
    return hits / count


def compared(name: str, count: int, *, effect: float) -> list[MetricComparison]:
    """Compare ``count`` pairs of runs, the second of which is slower by ``effect``."""
    chance = np.random.default_rng([2, crc32(name.encode())])
    world, found = WORLDS[name], []
    for _ in range(count):
        sides = measure(world, chance), measure(world, chance, factor=1 + effect)
        found += [c for c in compare_metrics(CELL, *sides) if c.metric == "latency"]
    return found


def share(comparisons: list[MetricComparison], *verdicts: Verdict) -> float:
    """Return the share of ``comparisons`` with one of ``verdicts``."""
    return sum(comparison.verdict in verdicts for comparison in comparisons) / len(comparisons)


def figures(name: str, count: int) -> Figures:
    """Return everything that the table shows of a world, each from ``count`` cells or comparisons."""
    measured, truth = cells(name, count), typical_ns(name)
    several = [latency for latency in measured if latency.speeds]
    kept = [latency for latency in measured if not latency.speeds]
    covered = sum((latency.low_ns or 0) <= truth <= (latency.high_ns or 0) for latency in kept)
    equal, slower = compared(name, count, effect=0.0), compared(name, count, effect=EFFECT)
    return Figures(
        kept=len(kept) / count,
        covered=covered / len(kept) if kept else math.nan,
        told=len(several) / count,
        right=(len(several) + covered) / count,
        launches=sum(latency.launches for latency in measured) / count,
        verdicts=(
            share(equal, *CALLED),
            share(equal, Verdict.EQUIVALENT),
            share(slower, *CALLED),
            share(slower, Verdict.EQUIVALENT),
        ),
    )
