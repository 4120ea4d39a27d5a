"""The nightly screen of one series: a rank change-point model, a rule for outlying nights, and a gate for large steps.

These are pure functions over plain floats. The nightly job calls them in this order for tonight's value of a series.
All sequences are oldest first. The *segment* holds the nights since the last accepted change, or since the last swap of
device, system or runtime (a forced split).

    judge_night(segment_before_tonight, measured_tonight) -> NightJudgement         .again: measure again tonight,
                                                                                    else .value goes into the history;
                                                                                    .step: confirm it at once
    screen(segment_with_tonight, refuted=…)               -> Candidate | None       confirm it by A/B
    screen_history(values, splits=…, refuted=…)           -> tuple[Candidate, …]    the same, replayed night by night

A candidate that the A/B confirms starts a new segment at its ``index``. A refuted one does not: the earlier nights stay
in the segment, and its index goes into ``refuted``, so the same change is not reported again every night.

The threshold is chosen as a run length: on a level series one false candidate is expected every ``arl0`` nights,
however long the series is watched. A detector calibrated for a single look would raise false alarms every night.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.stats.medians import MAD_TO_DEVIATION
from harness.stats.pairs import mean_ranks, shift, shift_interval

# The average run length without a change: one false candidate in this many nights of a level series.
ARL0 = 1000
# Nights that a look covers; the table of thresholds is computed for this window.
WINDOW = 60
FIRST_NIGHT = 20
# Nights on either side of a split. With fewer, one outlying night would look like a change.
MIN_SIDE = 3
# Splits this close are the same change: from night to night the best split may move by a few nights.
SAME_CHANGE = 5

OUTLIER_NIGHTS = 20
OUTLIER_MADS = 3.0
# One measurement, one repetition, and one more to decide between the two.
MOST_MEASURED = 3
GATE_NIGHTS = 30
GATE_MADS = 6.0
# A very quiet series has a tiny MAD. The floor keeps its small steps for the screen, which takes a few nights.
GATE_FLOOR = 0.10
# The median and MAD of fewer nights than this are too uncertain to measure anything again because of them.
LEAST_NIGHTS = 7

THRESHOLDS_FILE = Path(__file__).with_name("screening_thresholds.json")

Floats = npt.NDArray[np.float64]


class Direction(StrEnum):
    """Which way the values went; whether that is good depends on the metric."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A change that awaits confirmation.

    ``index`` is the first night of the new level and ``seen`` the night of the alarm, both counted from the start of
    the given values. ``shift`` is the Hodges-Lehmann shift of ln(value), so exp(shift) is the ratio; ``shift_low`` and
    ``shift_high`` are its 95 % interval (None for too few nights). ``statistic`` (D′) is at least ``threshold`` (h);
    ``autocorrelation`` is ρ̂.
    """

    index: int
    seen: int
    nights_before: int
    nights_after: int
    direction: Direction
    shift: float
    shift_low: float | None
    shift_high: float | None
    statistic: float
    threshold: float
    autocorrelation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmediateStep:
    """A step too large to wait for the screen: ``change`` from the trailing ``median``, 0.2 = +20 %."""

    direction: Direction
    change: float
    median: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NightJudgement:
    """What to do with a night: if ``again``, measure and judge again; else ``value`` goes into the history."""

    value: float
    again: bool
    step: ImmediateStep | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentScan:
    """One look at a segment: the best split (the first index of its second part), D′ at that split, and ρ̂."""

    split: int
    statistic: float
    autocorrelation: float


def judge_night(segment: Sequence[float], measured: Sequence[float]) -> NightJudgement:
    """Compare tonight's measurements of a series so far, in the order they were taken, with the nights before.

    ``segment`` ends with last night; with fewer than 7 nights nothing is judged. A value more than 3 scaled MADs from
    the median of the last 20 nights is measured again. If both values are that far out on the same side, and their
    median lies outside the gate, a third measurement follows. If the same holds for all three, it is a step to confirm
    at once. The gate is the median of the last 30 nights ± max(10 %, 6 MADs, not scaled).

    The history gets the last of two measurements, or the median of three. Raises ValueError without a measurement, or
    for a value that is not positive and finite.
    """
    _check([*segment, *measured])
    if not measured:
        msg = "there is no measurement of tonight: pass at least one value"
        raise ValueError(msg)
    value = measured[-1] if len(measured) < MOST_MEASURED else float(np.median(np.asarray(measured)))
    if len(measured) == 1:
        return NightJudgement(value=value, again=is_outlying(segment, value), step=None)
    step = immediate_step(segment, measured)
    again = step is not None and len(measured) < MOST_MEASURED
    return NightJudgement(value=value, again=again, step=None if again else step)


def is_outlying(segment: Sequence[float], value: float) -> bool:
    """Return whether ``value`` is more than 3 x 1.4826 MADs from the median of the last 20 nights of ``segment``.

    The factor scales the MAD to a standard deviation. Without it, one clean night in twenty would be measured again,
    which pulls every night towards the trailing median, makes nights resemble the ones before, and doubles the false
    candidates of `screen`. False for fewer than 7 nights. Raises ValueError as `judge_night` does.
    """
    _check([*segment, value])
    recent = np.asarray(segment[-OUTLIER_NIGHTS:], dtype=np.float64)
    if len(recent) < LEAST_NIGHTS:
        return False
    median = float(np.median(recent))
    return abs(value - median) > OUTLIER_MADS * MAD_TO_DEVIATION * _mad(recent, median)


def immediate_step(segment: Sequence[float], measured: Sequence[float]) -> ImmediateStep | None:
    """Return a step if the median of ``measured`` lies outside the gate and every value is outlying on that side.

    ``change`` is that of the median. None for fewer than 7 nights. Raises ValueError as `judge_night` does.
    """
    _check([*segment, *measured])
    recent = np.asarray(segment[-GATE_NIGHTS:], dtype=np.float64)
    if len(recent) < LEAST_NIGHTS or not measured:
        return None
    median = float(np.median(recent))
    limit = max(GATE_FLOOR * median, GATE_MADS * _mad(recent, median))
    off = float(np.median(np.asarray(measured))) - median
    # One value far out may be an accident. All of them, and on the same side, is a step.
    together = all(is_outlying(segment, value) and (value - median) * off > 0 for value in measured)
    if abs(off) <= limit or not together:
        return None
    direction = Direction.UP if off > 0 else Direction.DOWN
    return ImmediateStep(direction=direction, change=off / median, median=median, limit=limit / median)


def screen(segment: Sequence[float], *, refuted: Sequence[int] = (), arl0: int = ARL0) -> Candidate | None:
    """Look once at ``segment``, whose last value is tonight's, and return the candidate if D′ exceeds its threshold.

    It looks at the last 60 nights, and returns None for fewer than 20. ``refuted`` are the indices of candidates that
    an A/B refuted; a split within 5 nights of one of them is the same change, so not a candidate. These indices and
    ``Candidate.index`` count from the start of ``segment``. Raises ValueError for a value that is not positive and
    finite, or an ``arl0`` that the table lacks.
    """
    _check(segment)
    if len(segment) < FIRST_NIGHT:
        return None
    offset = max(0, len(segment) - WINDOW)
    values = np.asarray(segment[offset:], dtype=np.float64)
    best = scan(values)
    limit = threshold(len(values), sliding=offset > 0, arl0=arl0)
    if best.statistic <= limit or any(abs(offset + best.split - index) <= SAME_CHANGE for index in refuted):
        return None
    return _candidate(values, best, limit=limit, offset=offset)


def screen_history(
    values: Sequence[float], *, splits: Sequence[int] = (), refuted: Sequence[int] = (), arl0: int = ARL0
) -> tuple[Candidate, ...]:
    """Replay `screen` night by night, each time with the past only, and return every candidate in order.

    A candidate starts a new segment at its ``index``, so each change is reported once. So does each of ``splits``, the
    indices of the first nights on another device, system or runtime; these raise no alarm. ``refuted`` as in `screen`.
    All indices count from the start of ``values``. Raises ValueError as `screen` does.
    """
    _check(values)
    candidates: list[Candidate] = []
    start, forced = 0, set(splits)
    for night in range(len(values)):
        if night in forced:
            start = night
        candidate = screen(values[start : night + 1], refuted=[r - start for r in refuted], arl0=arl0)
        if candidate is not None:
            candidates.append(replace(candidate, index=start + candidate.index, seen=night))
            # From here on only the new level is screened.
            start += candidate.index
    return tuple(candidates)


def scan(values: Floats) -> SegmentScan:
    """Return the split at which two-sample ranks differ most (Pettitt 1979; Hawkins and Deng 2010), AR-scaled.

    ``values``: at least six. For 3 <= k <= n - 3, z_k = |U_k - k(n-k)/2| / √(k(n-k)(n+1)/12), where U_k is the rank sum
    of the first k minus k(k+1)/2, and D = max z_k. If ρ̂ > 1/√n, D′ = D·√((1-ρ̂)/(1+ρ̂)), else D′ = D: positively
    correlated nights drift, and without the factor the drift would pass for changes.
    """
    count = len(values)
    ranks = mean_ranks(values)
    # All splits at once: a cumulative sum of the ranks holds the rank sum of the first k for every k.
    k = np.arange(MIN_SIDE, count - MIN_SIDE + 1)
    u = np.cumsum(ranks)[k - 1] - k * (k + 1) / 2
    z = np.abs(u - k * (count - k) / 2) / np.sqrt(k * (count - k) * (count + 1) / 12)
    best = int(np.argmax(z))
    split, statistic = int(k[best]), float(z[best])
    rho = _autocorrelation(values, split)
    if rho > 1 / math.sqrt(count):
        statistic *= math.sqrt((1 - rho) / (1 + rho))
    return SegmentScan(split=split, statistic=statistic, autocorrelation=rho)


def threshold(nights: int, *, sliding: bool = False, arl0: int = ARL0) -> float:
    """Return h for a segment of ``nights``: linear between the columns of the table, constant beyond its ends.

    ``sliding``: the window of 60 nights is full and moves along. Raises ValueError for an ``arl0`` that the table
    lacks.
    """
    table = _table()
    if arl0 not in table.rows:
        msg = f"arl0 is {arl0!r}: the table of thresholds has {', '.join(str(a) for a in sorted(table.rows))}"
        raise ValueError(msg)
    # The threshold rises with the segment, and is higher again for a window that moves: it forgets old nights, so it
    # gets more independent chances to raise a false alarm.
    growing, at_window = table.rows[arl0]
    return at_window if sliding else float(np.interp(nights, table.nights, growing))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thresholds:
    nights: tuple[int, ...]
    rows: dict[int, tuple[tuple[float, ...], float]]


@lru_cache(maxsize=1)
def _table() -> _Thresholds:
    """The table that ships with the package."""
    read = json.loads(THRESHOLDS_FILE.read_text(encoding="utf-8"))
    rows = {int(arl0): (tuple(row["growing"]), float(row["sliding"])) for arl0, row in read["arl0"].items()}
    return _Thresholds(nights=tuple(read["nights"]), rows=rows)


def _candidate(values: Floats, best: SegmentScan, *, limit: float, offset: int) -> Candidate:
    before, after = np.log(values[: best.split]), np.log(values[best.split :])
    sides = before.tolist(), after.tolist()
    by = shift(*sides)
    low, high = shift_interval(*sides)
    return Candidate(
        index=offset + best.split,
        seen=offset + len(values) - 1,
        nights_before=len(before),
        nights_after=len(after),
        direction=Direction.UP if by > 0 else Direction.DOWN,
        shift=by,
        shift_low=low,
        shift_high=high,
        statistic=best.statistic,
        threshold=limit,
        autocorrelation=best.autocorrelation,
    )


def _autocorrelation(values: Floats, split: int) -> float:
    """ρ̂: lag-1 autocorrelation of the residuals from the two medians.

    Residuals are clipped to their 5–95 % range. The estimate is biased downwards in short series, hence + 2/n; it is
    limited to 0 … 0.8.
    """
    parts = values[:split], values[split:]
    residuals = np.concatenate([part - np.median(part) for part in parts])
    # Clipped, because a single outlying night would hide the correlation of all others.
    residuals = np.clip(residuals, *np.percentile(residuals, (5, 95)))
    residuals = residuals - residuals.mean()
    power = float(residuals @ residuals)
    if power == 0:
        return 0.0
    lagged = float(residuals[1:] @ residuals[:-1])
    return min(0.8, max(0.0, lagged / power + 2 / len(values)))


def _mad(values: Floats, median: float) -> float:
    return float(np.median(np.abs(values - median)))


def _check(values: Sequence[float]) -> None:
    bad = next((value for value in values if not (math.isfinite(value) and value > 0)), None)
    if bad is not None:
        msg = f"the series contains {bad!r}: values must be positive and finite; leave out nights without a value"
        raise ValueError(msg)
