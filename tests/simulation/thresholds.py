"""Computes the thresholds of the change-point model: ``python -m tests.simulation.thresholds``, about ten minutes.

On level series the hazard of a false candidate is to be the same every night, 1 / ARL0. So night by night the threshold
is the quantile of D′ over the series that have not been a candidate yet; those that exceed it are taken out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from harness.stats.change_points import MIN_SIDE, THRESHOLDS_FILE, scan
from harness.stats.rank_sums import tail_quantiles
from harness.stats.screening import WINDOW

Floats = npt.NDArray[np.float64]

FIRST = 20
COLUMNS = (20, 30, 40, 50, 60)
SERIES = 60_000
SLIDING_NIGHTS = 60
ARL0S = (500, 1000, 2000, 5000)
# Of all false candidates; the rest come from two nights far out, which have no threshold of this kind.
SHARE = 0.7
ABOUT = (
    "Thresholds of the rank change-point model with exact tails: constant hazard from night to night, by Monte Carlo "
    "over null series (python -m tests.simulation.thresholds). The hazard is 0.7/ARL0, because two nights far out are "
    "candidates too. Columns: nights in the segment; 'sliding' holds once the window of 60 nights moves."
)


class Looks:
    """Null series that grow night by night, and D′ of each of them, for all series at once."""

    def __init__(self, series: int, seed: int) -> None:
        self._chance = np.random.default_rng([31, seed])
        self._values = np.zeros((series, 0), dtype=np.float32)
        self._ranks = np.zeros((series, 0), dtype=np.int16)
        # Kendall's S: over all pairs of nights, how many rise less how many fall.
        self._s = np.zeros(series, dtype=np.int64)

    def next_night(self) -> None:
        """Add a night to every series; beyond the window, the oldest night goes."""
        new = self._chance.normal(size=(len(self._values), 1)).astype(np.float32)
        lower = (self._values < new).sum(axis=1, keepdims=True).astype(np.int16)
        self._s += 2 * lower[:, 0].astype(np.int64) - self._values.shape[1]
        self._ranks = np.concatenate([self._ranks + (self._values > new), lower + 1], axis=1, dtype=np.int16)
        self._values = np.concatenate([self._values, new], axis=1)
        if self._values.shape[1] > WINDOW:
            oldest = self._ranks[:, :1]
            self._s -= WINDOW - 2 * (oldest[:, 0].astype(np.int64) - 1)
            self._ranks = (self._ranks - (self._ranks > oldest))[:, 1:]
            self._values = self._values[:, 1:]

    def keep(self, alive: npt.NDArray[np.bool_]) -> None:
        """Drop the series that were candidates."""
        self._values, self._ranks, self._s = self._values[alive], self._ranks[alive], self._s[alive]

    def statistics(self) -> Floats:
        """Return D′ of every series, or a rough value that is below every threshold."""
        count = self._values.shape[1]
        k = np.arange(MIN_SIDE, count - MIN_SIDE + 1)
        u = np.cumsum(self._ranks, axis=1, dtype=np.int64)[:, k - 1] - k * (k + 1) // 2
        deviation = np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
        rough = np.maximum(tail_quantiles(u, k, count).max(axis=1), (np.abs(self._s) - 1) / deviation)
        # Only what may exceed a threshold is worth the exact look, with its correction for correlated nights.
        for index in np.flatnonzero(rough > ROUGH):
            rough[index] = scan(self._values[index].astype(np.float64)).statistic
        return np.asarray(rough, dtype=np.float64)


# Below every threshold.
ROUGH = 3.1


def hazards(arl0: int, seed: int) -> Iterator[tuple[int, float]]:
    """Yield the nights in the window and their threshold, night by night."""
    looks = Looks(SERIES, seed)
    for night in range(1, WINDOW + SLIDING_NIGHTS + 1):
        looks.next_night()
        if night < FIRST:
            continue
        statistics = looks.statistics()
        limit = float(np.quantile(statistics, 1 - SHARE / arl0))
        looks.keep(statistics <= limit)
        yield night, limit


def row(arl0: int) -> dict[str, object]:
    """The thresholds for one run length: the median of the nights around each column, which steadies the tail."""
    limits = dict(hazards(arl0, arl0))
    around = {
        column: [limit for night, limit in limits.items() if abs(night - column) <= 3 and night <= WINDOW]
        for column in COLUMNS
    }
    sliding = [limit for night, limit in limits.items() if night > WINDOW + 10]
    return {
        "growing": [round(float(np.median(near)), 2) for near in around.values()],
        "sliding": round(float(np.median(sliding)), 2),
    }


def main() -> None:
    """Print the table; with ``write`` as argument, replace the one in the package."""
    rows: dict[str, dict[str, object]] = {}
    for arl0 in ARL0S:
        rows[str(arl0)] = row(arl0)
        sys.stdout.write(f"{arl0}: {rows[str(arl0)]}\n")
        sys.stdout.flush()
    if sys.argv[1:] == ["write"]:
        THRESHOLDS_FILE.write_text(as_json(rows), encoding="utf-8")


def as_json(rows: dict[str, dict[str, object]]) -> str:
    """The file of the table, with one line per run length."""
    lines = ",\n".join(f"    {json.dumps(arl0)}: {json.dumps(columns)}" for arl0, columns in rows.items())
    head = f'  "about": {json.dumps(ABOUT)},\n  "nights": {json.dumps(list(COLUMNS))},\n'
    return f'{{\n{head}  "arl0": {{\n{lines}\n  }}\n}}\n'


if __name__ == "__main__":
    main()
