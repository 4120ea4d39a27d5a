"""Intervals against a known truth: why they are over launches and not over calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from harness.stats.intervals import t_interval_of_log_medians

Floats = npt.NDArray[np.float64]

BETWEEN_LAUNCHES = 0.02
WITHIN_LAUNCH = 0.02
CORRELATION = 0.9
SPIKES = 0.02


def launch(chance: np.random.Generator, calls: int) -> Floats:
    """Calls of 10 ms (ns) with a level of the launch's own, AR(1) noise, and spikes of half as much again."""
    noise = chance.normal(scale=WITHIN_LAUNCH, size=calls)
    fresh = np.sqrt(1 - CORRELATION**2)
    for i in range(1, calls):
        noise[i] = CORRELATION * noise[i - 1] + fresh * noise[i]
    samples = 10e6 * np.exp(chance.normal(scale=BETWEEN_LAUNCHES) + noise)
    samples[chance.random(calls) < SPIKES] *= 1.5
    return samples


@pytest.fixture(scope="module")
def truth() -> float:
    chance = np.random.default_rng(0)
    return float(np.median(np.concatenate([launch(chance, 400) for _ in range(1500)])))


@pytest.mark.parametrize("launches", [5, 10])
def test_intervals_over_launches_hold_what_they_promise(truth: float, launches: int) -> None:
    chance = np.random.default_rng(launches)
    hits = 0
    for _ in range(600):
        found = t_interval_of_log_medians([float(np.median(launch(chance, 100))) for _ in range(launches)])
        hits += found is not None and found.low_ns <= truth <= found.high_ns
    assert 0.92 <= hits / 600 <= 0.98


def test_a_bootstrap_over_calls_would_not(truth: float) -> None:
    chance = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        calls = launch(chance, 1000)
        medians = np.median(calls[chance.integers(0, 1000, (200, 1000))], axis=1)
        hits += bool(np.quantile(medians, 0.025) <= truth <= np.quantile(medians, 0.975))
    assert hits / 200 < 0.2
