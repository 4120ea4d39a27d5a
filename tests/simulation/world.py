"""A made-up world with a known truth: launches that differ, correlated calls, spikes, heat, bad nights.

Everything is seeded. The sizes are those of the protocol's evidence: 2 % between launches, AR(1) calls with 2 %, 2 % of
spikes half as long again; a session that warms by 8 % with a time constant of 8 minutes; nights with 3 % of noise, of
which one in twenty may be 10 to 20 % slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CALL_NS = 10e6
SPIKES, SPIKE = 0.02, 1.5
BLOCK_S = 30.0
DRIFT, DRIFT_TAU_S = 0.08, 480.0
NIGHT_NOISE = 0.03
# An outlying measurement or night is slower by a share drawn between these.
BAD_FROM, BAD_TO = 0.10, 0.20
WEEK, WEEKEND = 7, (5, 6)
# The night from which on a file of the worlds of nights is slower.
CHANGE_NIGHT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """``between`` launches, ``within`` a launch, and the ``correlation`` of a call with the one before."""

    between: float = 0.02
    within: float = 0.02
    correlation: float = 0.9


def launch(chance: np.random.Generator, calls: int, spread: Spread) -> Floats:
    """Return the calls of one launch, ns."""
    noise = ar1(chance, calls, scale=spread.within, correlation=spread.correlation)
    samples = CALL_NS * np.exp(chance.normal(scale=spread.between) + noise)
    samples[chance.random(calls) < SPIKES] *= SPIKE
    return np.asarray(samples)


def ar1(chance: np.random.Generator, size: int | tuple[int, int], *, scale: float, correlation: float) -> Floats:
    """Return a first-order autoregression along the last axis, of standard deviation ``scale``."""
    values = chance.normal(scale=scale, size=size)
    fresh = np.sqrt(1 - correlation**2)
    # A view with the axis of time first.
    in_time = values.T
    for i in range(1, len(in_time)):
        in_time[i] = correlation * in_time[i - 1] + fresh * in_time[i]
    return values


def slower(chance: np.random.Generator, size: int | tuple[int, int]) -> Floats:
    """Return the factors by which outlying measurements or nights are slower."""
    return np.asarray(1 + chance.uniform(BAD_FROM, BAD_TO, size=size))


def weekends(nights: int) -> npt.NDArray[np.bool_]:
    """Return for each of so many nights whether it is one of a weekend."""
    return np.isin(np.arange(nights) % WEEK, WEEKEND)


def heat(block: int) -> float:
    """Return the factor by which the device is slower in the ``block``-th block of a session."""
    return 1 + DRIFT * (1 - float(np.exp(-block * BLOCK_S / DRIFT_TAU_S)))


def session_drift(chance: np.random.Generator, pair: int) -> float:
    """Return what the warm-up of the device adds to ln(B / A) of one pair in random order."""
    first_is_a = bool(chance.random() < 0.5)
    early, late = float(np.log(heat(2 * pair))), float(np.log(heat(2 * pair + 1)))
    return late - early if first_is_a else early - late


def pair_ratio(chance: np.random.Generator, pair: int, *, effect: float, noise: float) -> float:
    """Return ln(B / A) of one pair in random order; ``noise`` is the standard deviation of a pair."""
    return float(np.log1p(effect) + session_drift(chance, pair) + chance.normal(scale=noise))


def night(chance: np.random.Generator, level: float, *, bad: float) -> float:
    """Return one measurement of one night; ``bad`` is the chance that it is an outlying one."""
    value = level * (1 + chance.normal(scale=NIGHT_NOISE))
    return float(value * (1 + chance.uniform(BAD_FROM, BAD_TO)) if chance.random() < bad else value)
