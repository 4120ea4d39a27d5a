"""Launches in worlds of calls with a known truth: which are called unsteady, and what is shown as a tail."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np

from harness.measure.latency import summarise
from harness.stats.steady import SteadyState, find_steady
from tests.simulation.world import Floats, ar1

LEVEL_NS = 20e6
CALLS = 600
FLAGGED = (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)

# Draws calls around 1.
Calls = Callable[[np.random.Generator, int], Floats]


def _white(chance: np.random.Generator, count: int) -> Floats:
    return np.exp(chance.normal(scale=0.02, size=count)) * np.where(chance.random(count) < 0.02, 1.5, 1.0)


def _follow(correlation: float, spread: float) -> Calls:
    """Calls that resemble those before them."""
    return lambda chance, count: np.exp(ar1(chance, count, scale=spread, correlation=correlation))


def _spikes(share: float) -> Calls:
    return lambda chance, count: (
        np.exp(chance.normal(scale=0.02, size=count)) * np.where(chance.random(count) < share, 1.5, 1.0)
    )


def _hops(dwell: int) -> Calls:
    """A frequency that hops between two values, 15 % apart, and stays for about ``dwell`` calls."""

    def draw(chance: np.random.Generator, count: int) -> Floats:
        slow = np.cumsum(chance.random(count) < 1 / dwell) % 2
        return np.asarray(np.where(slow == 1, 1.15, 1.0) * np.exp(chance.normal(scale=0.01, size=count)))

    return draw


def _saw(chance: np.random.Generator, count: int) -> Floats:
    """Heat that rises by 4 % over 60 calls and falls back."""
    return np.asarray(_white(chance, count) * (1 + 0.04 * ((np.arange(count) + chance.integers(60)) % 60) / 60))


def _ticks(chance: np.random.Generator, count: int) -> Floats:
    return np.floor(20 * _white(chance, count)) / 20


def _from(begin: float, factor: float, calls: Calls = _white) -> Calls:
    """Calls that take ``factor`` times as long from that part of the launch on."""
    return lambda chance, count: calls(chance, count) * np.where(np.arange(count) >= begin * count, factor, 1.0)


def _creep(chance: np.random.Generator, count: int) -> Floats:
    return np.asarray(_white(chance, count) * np.linspace(1.0, 1.2, count))


FLAT: dict[str, Calls] = {
    "independent calls, 2 %, 2 % of spikes": _white,
    "AR 0.9, 1 %": _follow(0.9, 0.01),
    "AR 0.9, 2 %": _follow(0.9, 0.02),
    "AR 0.9, 3 %": _follow(0.9, 0.03),
    "AR 0.97, 3 %": _follow(0.97, 0.03),
    "a Pareto tail": lambda chance, count: 1 + 0.05 * chance.pareto(1.5, count),
    "20 % of spikes": _spikes(0.2),
    "a clock of 1 ms on 20 ms": _ticks,
    "saw-tooth heat of 4 % within 60 calls": _saw,
    "a frequency that hops every 5 calls": _hops(5),
    "a frequency that hops every 50 calls": _hops(50),
}
THROTTLED: dict[str, Calls] = {
    "20 % slower from three quarters on": _from(0.75, 1.2),
    "10 % slower from half on": _from(0.5, 1.1),
    "20 % slower from three quarters on, AR 0.9, 2 %": _from(0.75, 1.2, _follow(0.9, 0.02)),
    "20 % slower from three quarters on, a clock of 1 ms": _from(0.75, 1.2, _ticks),
    "a creep of 20 % over the launch": _creep,
}


def flagged(calls: Calls, count: int, *, length: int = CALLS) -> float:
    """Return the share of ``count`` launches of ``length`` calls that are called unsteady."""
    chance = np.random.default_rng([4, length])
    states = [find_steady([round(ns) for ns in LEVEL_NS * calls(chance, length)]).state for _ in range(count)]
    return sum(state in FLAGGED for state in states) / count


def tail_is_low(count: int, *, slow: float, factor: float = 1.3) -> tuple[float, float]:
    """Return the share of cells of seven launches whose p99 is more than 15 % too low: as shown, and over all calls.

    A share ``slow`` of all launches takes ``factor`` times as long. Too low is meant of all calls of all launches.
    """
    chance = np.random.default_rng([5, crc32(f"{slow} {factor}".encode())])
    truth = float(np.percentile(np.concatenate([_cell(chance, 1, slow, factor)[0] for _ in range(4000)]), 99))
    shown_low, pooled_low = 0, 0
    for _ in range(count):
        launches = _cell(chance, 7, slow, factor)
        shown = summarise([[round(ns) for ns in launch] for launch in launches]).p99_ns
        shown_low += shown is not None and shown < 0.85 * truth
        pooled_low += float(np.percentile(np.concatenate(launches), 99)) < 0.85 * truth
    return shown_low / count, pooled_low / count


def _cell(chance: np.random.Generator, launches: int, slow: float, factor: float) -> list[Floats]:
    """Launches of 100 calls with 2 % of noise."""
    levels = LEVEL_NS * np.where(chance.random(launches) < slow, factor, 1.0)
    return [level * np.exp(chance.normal(scale=0.01) + chance.normal(scale=0.02, size=100)) for level in levels]
