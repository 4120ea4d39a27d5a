"""Sessions of the profile ``energy`` in worlds with a known truth, judged by the code that judges real ones.

A world draws the power of a phone second by second: idle power that drifts and has bursts, calls, heat that leaks,
blocks that differ. A counter adds it up and shows it in steps, at moments of its own. The truth is what the calls draw
beyond the idle phone, heat that they cause included.

The noise between blocks is that of published comparisons of a phone's own readings with an external meter (Trepn and a
Monsoon on a Nexus 6, 2016): 2.1 % in the mean, 5.5 % at worst.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from harness.devices.ios.energy import LEAST_BLOCK_S
from harness.stats.energy_pairs import (
    LEAST_MOVES,
    LEAST_PAIRS,
    BlockPair,
    CounterSeries,
    PairsEnergy,
    block_rate,
    pair_joules,
    pairs_energy,
)
from harness.stats.groups import group_span
from harness.stats.verdicts import Verdict, decide, log_margin
from tests.simulation.world import Floats, ar1

CALL_S, PAIRS, SPARE = 0.01, 6, 6
SETTLE_S, WARM_S, GATE_S = 3, 3, 14
TICK_S = 0.25
EFFECT = 0.10
MARGIN = log_margin(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyWorld:
    """Powers in watts; ``noise`` is the standard deviation between blocks as a share of their power.

    ``drift`` is the share by which the idle power changes over a session, up or down. ``wander``: the standard
    deviation of slow changes of the idle power, in watts. ``bursts``: how many a minute, of half a watt for five
    seconds. ``leak``: the share of the calls' power by which heat raises the power, at most. ``step_j``: the counter's
    step in joules; ``update_s``: how often it is brought up to date; ``read_s``: how often it is read. ``charging``:
    the share of launches during which a charger feeds the battery for ten seconds. ``block_s``: how long the idle block
    and the load block take, each. A counter that is brought up to date rarely is rounded to ``step_j`` only then.
    """

    idle_w: float = 1.0
    calls_w: float = 3.0
    noise: float = 0.021
    drift: float = 0.1
    wander: float = 0.0
    bursts: float = 0.0
    leak: float = 0.0
    step_j: float = 1e-6
    update_s: float = 0.25
    read_s: float = 0.25
    charging: float = 0.0
    block_s: float = 40.0

    @property
    def launch_s(self) -> float:
        """How long a launch takes."""
        return SETTLE_S + WARM_S + 2 * self.block_s + 2


PLAIN = EnergyWorld()
# 1 mAh at 3.85 V.
COARSE_J = 3.6 * 3.85
# The driver asks for blocks that are as long as this (harness/devices/ios/energy.py).
IPHONE: dict[str, float] = {"step_j": COARSE_J, "read_s": 1.0, "block_s": float(LEAST_BLOCK_S)}
WORLDS: dict[str, EnergyWorld] = {
    "power rails": PLAIN,
    "power rails, 5.5 % between blocks": replace(PLAIN, noise=0.055),
    "power rails, no noise between blocks": replace(PLAIN, noise=0.002, drift=0.0),
    "idle drifts by 30 %": replace(PLAIN, drift=0.3),
    "idle wanders by 0.1 W": replace(PLAIN, wander=0.1),
    "bursts of 0.5 W, one a minute": replace(PLAIN, bursts=1.0),
    "heat leaks 5 %": replace(PLAIN, leak=0.05),
    "heat leaks 15 %": replace(PLAIN, leak=0.15),
    "a small model: 0.3 W over 1 W": replace(PLAIN, calls_w=0.3),
    "charge counter of 0.1 mAh, read every second": replace(PLAIN, step_j=COARSE_J / 10, read_s=1.0),
    "charge counter of 1 mAh, read every second": replace(PLAIN, step_j=COARSE_J, read_s=1.0),
    "charge counter of 1 mAh, read four times a second": replace(PLAIN, step_j=COARSE_J),
    "charge counter of 1 mAh, read every 3 s": replace(PLAIN, step_j=COARSE_J, read_s=3.0),
    "charge counter of 1 mAh, no noise": replace(PLAIN, step_j=COARSE_J, read_s=1.0, noise=0.002, drift=0.0),
    "charge counter of 2 mAh, read every second": replace(PLAIN, step_j=2 * COARSE_J, read_s=1.0),
    "charge counter renewed every 10 s": replace(PLAIN, step_j=0.1, update_s=10.0, read_s=1.0),
    "charge counter renewed every 30 s": replace(PLAIN, step_j=0.1, update_s=30.0, read_s=1.0),
    "iPhone: 1 mAh, renewed every 5 s, blocks of 240 s": replace(PLAIN, **IPHONE, update_s=5.0),
    "iPhone: 1 mAh, renewed every 20 s, blocks of 240 s": replace(PLAIN, **IPHONE, update_s=20.0),
    "iPhone: 1 mAh, renewed every 60 s, blocks of 240 s": replace(PLAIN, **IPHONE, update_s=60.0),
    "iPhone: 1 mAh, renewed every 60 s, blocks of 40 s": replace(PLAIN, **IPHONE | {"update_s": 60.0, "block_s": 40.0}),
    "a charger in one launch of ten": replace(PLAIN, charging=0.1, step_j=COARSE_J / 10, read_s=1.0),
    "a charger in half of the launches": replace(PLAIN, charging=0.5, step_j=COARSE_J / 10, read_s=1.0),
}
# Worlds whose intervals must cover the truth in 93 to 97 % of sessions. In the others the counter is too coarse for it,
# or has nothing to show.
USUAL = tuple(
    name for name in WORLDS if not any(word in name for word in ("2 mAh", "counter renewed", "half", "blocks of 40 s"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session gave: its energy or None, the joules of its pairs, and the truth."""

    energy: PairsEnergy | None
    joules: tuple[float, ...]
    truth: float


def play(world: EnergyWorld, chance: np.random.Generator) -> Session:
    """Play one session of six pairs, with as many spare launches as the profile allows retries."""
    way = chance.uniform(-1, 1) if world.drift else 0.0
    wander = (
        ar1(chance, PAIRS + SPARE, scale=world.wander, correlation=0.7) if world.wander else np.zeros(PAIRS + SPARE)
    )
    pairs: list[BlockPair] = []
    for launch in range(PAIRS + SPARE):
        if len(pairs) == PAIRS:
            break
        began = launch * (world.launch_s + GATE_S)
        drift = 1 + world.drift * way * (began / (PAIRS * (world.launch_s + GATE_S)) - 0.5)
        pair = _pair(world, chance, began, world.idle_w * drift + float(wander[launch]))
        pairs += [pair] if pair else []
    truth = (world.calls_w + _leak(world).mean()) * CALL_S
    energy = pairs_energy(pairs) if len(pairs) >= LEAST_PAIRS else None
    return Session(energy=energy, joules=tuple(pair_joules(pairs)) if pairs else (), truth=truth)


def _leak(world: EnergyWorld) -> Floats:
    """The power that heat adds during the load block of a launch that began cool, in watts per tick."""
    at = WARM_S + TICK_S * np.arange(round(world.block_s / TICK_S))
    return np.asarray(world.leak * world.calls_w * -np.expm1(-at / 60.0))


def _pair(world: EnergyWorld, chance: np.random.Generator, began_s: float, idle_w: float) -> BlockPair | None:
    """One launch: settle, idle block, warm-up, load block. The counter runs through all of it."""
    launch_s, block_s = world.launch_s, world.block_s
    ticks = round(launch_s / TICK_S)
    at = np.arange(ticks, dtype=np.float64) * TICK_S
    idle_from, load_from = SETTLE_S, SETTLE_S + block_s + WARM_S
    idle, load = idle_w * (1 + chance.normal(scale=world.noise)), (idle_w + world.calls_w)
    load *= 1 + chance.normal(scale=world.noise)
    watts = np.where((at >= load_from - WARM_S) & (at < load_from + block_s), load, idle)
    inside = (at >= load_from) & (at < load_from + block_s)
    watts[inside] += _leak(world)
    # Processors do not draw the same power from one moment to the next.
    watts = watts + ar1(chance, ticks, scale=0.03 * world.idle_w, correlation=0.9)
    for _ in range(int(chance.poisson(world.bursts * launch_s / 60))):
        start = chance.uniform(0, launch_s)
        watts[(at >= start) & (at < start + 5)] += 0.5
    if chance.random() < world.charging:
        start = chance.uniform(0, launch_s - 10)
        watts[(at >= start) & (at < start + 10)] -= 8.0
    series = _counter(world, chance, at, np.cumsum(watts) * TICK_S)
    if series.goes_backwards:
        return None
    idle_rate = block_rate(series, idle_from, idle_from + block_s)
    load_rate = block_rate(series, load_from, load_from + block_s)
    if idle_rate is None or load_rate is None or load_rate.moves < LEAST_MOVES:
        return None
    return BlockPair(
        idle=replace(idle_rate, middle_s=began_s + idle_rate.middle_s),
        load=replace(load_rate, middle_s=began_s + load_rate.middle_s),
        load_s=block_s,
        count=round(block_s / CALL_S),
    )


def _counter(world: EnergyWorld, chance: np.random.Generator, at: Floats, joules: Floats) -> CounterSeries:
    """What is read of a counter that is brought up to date and read at moments that chance shifts."""
    reads = np.arange(chance.uniform(0, world.read_s), at[-1], world.read_s)
    late = chance.uniform(0, world.update_s)
    updated = np.floor((reads + late) / world.update_s) * world.update_s - late
    # Before the launch, the phone was idle.
    before = world.idle_w * np.minimum(updated, 0)
    shown = np.interp(updated, at + TICK_S, joules) + before + chance.uniform(0, world.step_j) + world.step_j
    totals = np.floor(shown / world.step_j) * world.step_j
    grain = world.step_j if world.update_s > world.read_s else 0.0
    return CounterSeries(at_s=tuple(reads.tolist()), totals=tuple(totals.tolist()), grain=grain)


def sessions(name: str, count: int, *, effect: float = 0.0) -> list[Session]:
    """Return ``count`` sessions of a world whose calls draw 1 + ``effect`` times as much."""
    chance = np.random.default_rng([5, crc32(name.encode()), round(1000 * effect)])
    world = WORLDS[name]
    return [play(replace(world, calls_w=world.calls_w * (1 + effect)), chance) for _ in range(count)]


def coverage(name: str, count: int) -> float:
    """Return the share of sessions with a value whose interval contains the truth."""
    shown = [one for one in sessions(name, count) if one.energy is not None]
    hits = sum(one.energy.low_joules <= one.truth <= one.energy.high_joules for one in shown if one.energy)
    return hits / len(shown) if shown else math.nan


def bootstrap_coverage(name: str, count: int) -> float:
    """The same for a percentile bootstrap over pairs, which phonebench does not use."""
    chance, hits, shown = np.random.default_rng(1), 0, 0
    for one in sessions(name, count):
        if len(one.joules) >= LEAST_PAIRS:
            values = np.asarray(one.joules)
            means = values[chance.integers(0, len(values), (1000, len(values)))].mean(axis=1)
            low, high = np.quantile(means, (0.025, 0.975))
            hits, shown = hits + bool(low <= one.truth <= high), shown + 1
    return hits / shown if shown else math.nan


def called(name: str, count: int, *, effect: float) -> list[Verdict]:
    """Return the verdicts of ``count`` comparisons of two sessions, of which B draws 1 + ``effect`` times as much."""
    verdicts = []
    for a, b in zip(sessions(name, count), sessions(name, count, effect=effect + 1e-3), strict=True):
        logs = [[math.log(max(value, 1e-9)) for value in one.joules] for one in (a, b)]
        span = group_span(*logs) if min(len(side) for side in logs) >= LEAST_PAIRS else None
        verdicts.append(Verdict.UNDECIDED if span is None else decide(span, MARGIN))
    return verdicts


def energy_rows(count: int = 1000) -> Iterator[str]:
    """Yield a row per world.

    The columns: coverage of the interval, and of a percentile bootstrap; sessions with a value, the median half-width,
    the mean error; equal sessions called different, and a difference of 10 % found. All in per cent.
    """
    for name in WORLDS:
        shown = [one for one in sessions(name, count) if one.energy is not None]
        halves = [one.energy.repeatability for one in shown if one.energy]
        errors = [one.energy.joules / one.truth - 1 for one in shown if one.energy]
        equal, found = (called(name, count, effect=effect) for effect in (0.0, EFFECT))
        columns = (
            coverage(name, count),
            bootstrap_coverage(name, count),
            len(shown) / count,
            float(np.median(halves)) if halves else math.nan,
            float(np.mean(errors)) if errors else math.nan,
            sum(v in (Verdict.REGRESSED, Verdict.IMPROVED) for v in equal) / count,
            sum(v is Verdict.REGRESSED for v in found) / count,
        )
        yield f"| {name} | {' | '.join('–' if math.isnan(v) else f'{100 * v:.1f}' for v in columns)} |"
