"""The nightly screen of one series: a change-point model, two nights far out, and a gate for large steps.

These are pure functions over plain floats. The nightly job calls them in this order for tonight's value of a series.
All sequences are oldest first. The *segment* holds the nights since the last accepted change, or since the last swap of
device, system or runtime (a forced split).

    judge_night(segment_before_tonight, measured_tonight) -> NightJudgement         .again: measure again tonight,
                                                                                    else .value goes into the history;
                                                                                    .step: a large one, tonight
    screen(segment_with_tonight, refuted=…, least=…)      -> Candidate | None       confirm it by A/B
    screen_history(values, splits=…, refuted=…, …)        -> tuple[Candidate, …]    the same, replayed night by night

A candidate that the A/B confirms starts a new segment at its ``index``. The index of one that is refuted
goes into ``refuted``, so the same change is not reported again every night.

The threshold is chosen as a run length: on a level series one false candidate is expected every ``arl0`` nights,
however long the series is watched. A detector calibrated for a single look would raise false alarms every night.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from harness.stats.change_points import autocorrelation, inflation, scan, threshold
from harness.stats.medians import MAD_TO_DEVIATION
from harness.stats.pairs import shift, shift_interval

# The average run length without a change: one false candidate in this many nights of a level series.
ARL0 = 1000
# The estimate of where a change began is a few nights off, early or late. A night this long before it is of the old
# level; one just before it may be of the new one already, and bad against bad refutes every regression.
SURE_NIGHTS = 7
# Nights that a look covers; the table of thresholds is computed for this window.
WINDOW = 60
FIRST_NIGHT = 20
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
# So many nights in a row, all further out than the others of the window, are a candidate.
RUN = 2
RUN_MADS = 2.75

Floats = npt.NDArray[np.float64]


class Direction(StrEnum):
    """Which way the values went; whether that is good depends on the metric."""

    UP = "up"
    DOWN = "down"


class ChangeKind(StrEnum):
    """What a candidate rests on: a step between two levels, the last two nights alone, or a trend over all nights."""

    STEP = "step"
    RUN = "run"
    TREND = "trend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A change that awaits confirmation.

    ``index`` is the first night of the new level, ``seen`` the night of the alarm, and ``first`` the oldest night that
    was looked at, all counted from the start of the given values. A trend has no first night: ``index`` is then the
    best split, and only ``first`` is surely of the old level. ``shift`` is the Hodges-Lehmann shift of ln(value)
    between the nights before and from ``index``, so exp(shift) is the ratio; ``shift_low`` and ``shift_high`` are its
    95 % interval (None for too few nights). ``statistic`` is more than ``threshold``: D′ and h, or for a run the
    nearer night's distance from the median and the limit, as shares of the median. ``autocorrelation`` is ρ̂.
    """

    index: int
    seen: int
    direction: Direction
    shift: float
    shift_low: float | None
    shift_high: float | None
    statistic: float
    threshold: float
    autocorrelation: float
    first: int = 0
    kind: ChangeKind = ChangeKind.STEP

    @property
    def sure_nights(self) -> int:
        """How many nights before ``index`` one has to go back to be surely on the old level."""
        before = self.index - self.first
        # The middle of the nights before stands for their level. A trend has none: only its oldest night is surely old.
        return before if self.kind is ChangeKind.TREND else max(SURE_NIGHTS, before // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmediateStep:
    """A step that shows in one night: ``change`` from the trailing ``median``, 0.2 = +20 %; ``limit`` likewise."""

    direction: Direction
    change: float
    median: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NightJudgement:
    """What to do with a night: if ``again``, measure and judge again; else ``value`` goes into the history.

    ``step`` may be the night's alone, since a second measurement shares the night. Confirm it at once if the artifact
    has changed; if it has not, the next night decides, by `screen`.
    """

    value: float
    again: bool
    step: ImmediateStep | None


def judge_night(segment: Sequence[float], measured: Sequence[float]) -> NightJudgement:
    """Compare tonight's measurements of a series so far, in the order they were taken, with the nights before.

    ``segment`` ends with last night; with fewer than 7 nights nothing is judged. A value more than 3 scaled MADs from
    the median of the last 20 nights is measured again. If both values are that far out on the same side, and their
    median lies outside the gate, a third measurement follows. If the same holds for all three, it is a step. The gate
    is the median of the last 30 nights ± max(10 %, 6 MADs, not scaled), and the furthest of these nights.

    The history gets the last of two measurements, or the median of three. Raises ValueError without a measurement, or
    for a value that is not positive and finite.
    """
    _check([*segment, *measured])
    if not measured:
        msg = "there is no measurement of tonight: pass at least one value"
        raise ValueError(msg)
    value = measured[-1] if len(measured) < MOST_MEASURED else sorted(measured)[len(measured) // 2]
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
    if min(len(segment), OUTLIER_NIGHTS) < LEAST_NIGHTS:
        return False
    *recent, tonight = _scaled([*segment[-OUTLIER_NIGHTS:], value])[0]
    middle = _Middle.of(np.asarray(recent))
    return bool(abs(tonight - middle.median) > OUTLIER_MADS * middle.deviation)


def immediate_step(segment: Sequence[float], measured: Sequence[float]) -> ImmediateStep | None:
    """Return a step if the median of ``measured`` lies outside the gate and every value is outlying on that side.

    ``change`` is that of the median. None for fewer than 7 nights. Raises ValueError as `judge_night` does.
    """
    _check([*segment, *measured])
    recent = segment[-GATE_NIGHTS:]
    if len(recent) < LEAST_NIGHTS or not measured:
        return None
    scaled, unit = _scaled([*recent, *measured])
    nights, tonight = scaled[: len(recent)], scaled[len(recent) :]
    middle = _Middle.of(nights)
    off = float(np.median(tonight)) - middle.median
    # What the phone did by itself in the last weeks, it may do again: a slower state, a hot room, a weekend.
    beyond = off - (nights.max() if off > 0 else nights.min()) + middle.median
    # One value far out may be an accident. All of them, and on the same side, is a step.
    together = all(is_outlying(segment, value) for value in measured) and np.all((tonight - middle.median) * off > 0)
    if abs(off) <= middle.gate or beyond * off <= 0 or not together:
        return None
    direction = Direction.UP if off > 0 else Direction.DOWN
    change, limit = _share(off, middle.median), _share(middle.gate, middle.median)
    return ImmediateStep(direction=direction, change=change, median=middle.median * unit, limit=limit)


def screen(
    segment: Sequence[float], *, refuted: Sequence[int] = (), arl0: int = ARL0, least: float = 0.0
) -> Candidate | None:
    """Look once at ``segment``, whose last value is tonight's, and return the candidate if there is one.

    From 20 nights on, that is the best split of the last 60 nights, or their trend, if D′ exceeds its threshold. From 9
    nights on it is also the last two nights, if both are further out than all others of the last 60, on the same side,
    and by more than 2.75 scaled MADs of those (with fewer than 20 nights: more than the gate of `judge_night`). Where
    nights are correlated, that distance is as many times longer as for the splits.

    ``refuted`` are the indices of candidates that an A/B refuted; a split within 5 nights of one of them is the same
    change, so not a candidate. These indices and ``Candidate.index`` count from the start of ``segment``. ``least`` is
    the smallest change that matters, 0.03 = 3 %: a candidate whose whole interval is smaller is none. Raises ValueError
    for a value that is not positive and finite, or an ``arl0`` that the table lacks.
    """
    _check(segment)
    looks = (_by_ranks(segment, arl0), _by_run(segment, least))
    return next(
        (
            candidate
            for candidate in looks
            if candidate is not None
            and _matters(candidate, least)
            and not any(abs(candidate.index - index) <= SAME_CHANGE for index in refuted)
        ),
        None,
    )


def screen_history(
    values: Sequence[float],
    *,
    splits: Sequence[int] = (),
    refuted: Sequence[int] = (),
    arl0: int = ARL0,
    least: float = 0.0,
) -> tuple[Candidate, ...]:
    """Replay `screen` night by night, each time with the past only, and return every candidate in order.

    A candidate starts a new segment at its ``index``, so each change is reported once. So does each of ``splits``, the
    indices of the first nights on another device, system or runtime; these raise no alarm. ``refuted`` and ``least`` as
    in `screen`. All indices count from the start of ``values``. Raises ValueError as `screen` does.
    """
    _check(values)
    candidates: list[Candidate] = []
    start, forced = 0, set(splits)
    for night in range(len(values)):
        if night in forced:
            start = night
        seen = values[start : night + 1]
        candidate = screen(seen, refuted=[r - start for r in refuted], arl0=arl0, least=least)
        if candidate is not None:
            candidates.append(
                replace(candidate, index=start + candidate.index, first=start + candidate.first, seen=night)
            )
            # From here on only the new level is screened.
            start += candidate.index
    return tuple(candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Middle:
    """The middle of some nights, and how far from it they lie."""

    median: float
    mad: float

    @staticmethod
    def of(nights: Floats) -> _Middle:
        median = float(np.median(nights))
        return _Middle(median=median, mad=float(np.median(np.abs(nights - median))))

    @property
    def deviation(self) -> float:
        """The MAD as a standard deviation."""
        return MAD_TO_DEVIATION * self.mad

    @property
    def gate(self) -> float:
        """The distance beyond which a value is a large step."""
        return max(GATE_FLOOR * self.median, GATE_MADS * self.mad)


def _by_ranks(segment: Sequence[float], arl0: int) -> Candidate | None:
    """The best split or the trend of the last nights, if it exceeds its threshold."""
    offset = max(0, len(segment) - WINDOW)
    if len(segment) < FIRST_NIGHT:
        return None
    best = scan(_scaled(segment[offset:])[0])
    limit = threshold(len(segment) - offset, sliding=offset > 0, arl0=arl0)
    if best.statistic <= limit:
        return None
    candidate = _candidate(segment, offset + best.split, offset)
    kind = ChangeKind.TREND if best.trending else ChangeKind.STEP
    rho = best.autocorrelation
    return replace(candidate, statistic=best.statistic, threshold=limit, autocorrelation=rho, kind=kind)


def _by_run(segment: Sequence[float], least: float) -> Candidate | None:
    """The last nights, if all are further out than any before.

    Two nights are too few for ranks alone, and too few for the distance alone where bad nights are common. Together
    they are rare: each bad night of the past moves the mark for the next.
    """
    recent = segment[-WINDOW:]
    if len(recent) < LEAST_NIGHTS + RUN:
        return None
    scaled = _scaled(recent)[0]
    nights, last = scaled[:-RUN], scaled[-RUN:]
    middle, rho = _Middle.of(nights), autocorrelation(nights - np.median(nights), fitted=1)
    few = len(segment) < FIRST_NIGHT
    far = RUN_MADS * middle.deviation * inflation(rho, len(nights))
    limit = max(least * middle.median, middle.gate if few else far)
    up = bool(last[-1] > middle.median)
    beyond = last.min() > nights.max() if up else last.max() < nights.min()
    off = float(np.min(np.abs(last - middle.median)))
    if not beyond or off <= limit:
        return None
    candidate = _candidate(segment, len(segment) - RUN, len(segment) - len(recent))
    share, bound = _share(off, middle.median), _share(limit, middle.median)
    return replace(candidate, statistic=share, threshold=bound, autocorrelation=rho, kind=ChangeKind.RUN)


def _candidate(segment: Sequence[float], index: int, first: int) -> Candidate:
    """A candidate at ``index`` of the nights from ``first`` on; what it rests on is filled in by the caller."""
    sides = [[math.log(value) for value in part] for part in (segment[first:index], segment[index:])]
    by = shift(*sides)
    low, high = shift_interval(*sides)
    return Candidate(
        index=index,
        seen=len(segment) - 1,
        direction=Direction.UP if by > 0 else Direction.DOWN,
        shift=by,
        shift_low=low,
        shift_high=high,
        statistic=0.0,
        threshold=0.0,
        autocorrelation=0.0,
        first=first,
    )


def _matters(candidate: Candidate, least: float) -> bool:
    """Whether the change may be larger than ``least``; a smaller one would be refuted by the A/B in any case."""
    if candidate.kind is ChangeKind.TREND:
        # The ends of a trend are about twice as far apart as the levels of its halves. A trend keeps growing, so it is
        # left alone until it probably matters.
        return 2 * abs(candidate.shift) > math.log1p(least)
    ends = (candidate.shift, candidate.shift_low or 0.0, candidate.shift_high or 0.0)
    return max(abs(end) for end in ends) > math.log1p(least)


def _scaled(values: Sequence[float]) -> tuple[Floats, float]:
    """The values over the largest of them, and that: sums of huge or tiny values neither overflow nor vanish."""
    unit = max(values)
    return np.asarray(values, dtype=np.float64) / unit, unit


def _share(part: float, whole: float) -> float:
    """``part`` of ``whole``; infinite where next to nothing became something."""
    return part / whole if whole > 0 else math.copysign(math.inf, part)


def _check(values: Sequence[float]) -> None:
    bad = next((value for value in values if not (math.isfinite(value) and value > 0)), None)
    if bad is not None:
        msg = f"the series contains {bad!r}: values must be positive and finite; leave out nights without a value"
        raise ValueError(msg)
