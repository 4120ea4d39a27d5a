"""What the nights of one series tell: segments, changes with their commits, swaps of what the figures depend on.

The one decision: a swap of device, system, runtime or data splits a series without an alarm, because what differs then
is known. A change found by the screen splits it as a candidate, until a confirmation says more: a confirmed change is a
split whatever the screen says, a refuted one is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from harness.history.records import Decided, Decision, Environment, Night, NightStatus, Series
from harness.records.metrics import Polarity, metric_named
from harness.stats.screening import SAME_CHANGE, Candidate, screen_history

# After these the level is a new one, and is screened as such.
SPLITTING = (Decision.CONFIRMED, Decision.DRIFT)


class SwapKind(StrEnum):
    """What was swapped between two nights."""

    DEVICE = "device"
    SYSTEM = "system"
    RUNTIME = "runtime"
    RUNNER = "runner"
    DATA = "test data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """``index``: the first night with what is new; before and after are what people call it."""

    index: int
    kind: SwapKind
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step of the level. ``index``: its first night; ``seen``: the night on which it was told.

    ``ratio`` is new over old with its 95 % interval, None where too few nights stand on a side. ``decision`` is None
    until a confirmation has spoken. The change lies after commit ``last_good`` and not after ``first_bad``.
    """

    index: int
    seen: int
    worse: bool
    ratio: float | None
    low: float | None
    high: float | None
    decision: Decision | None
    last_good: str | None
    first_bad: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Nights ``first`` to ``last``, both included, with one level: their ``median``."""

    first: int
    last: int
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One series. ``nights`` have a value each, oldest first, and all indices point into them; ``gaps`` have none."""

    series: Series
    nights: tuple[Night, ...]
    gaps: tuple[Night, ...]
    segments: tuple[Segment, ...]
    changes: tuple[Change, ...]
    swaps: tuple[Swap, ...]


def tell(series: Series, nights: Sequence[Night], decisions: Sequence[Decided] = ()) -> Story:
    """Return the story of ``series`` from its ``nights``, oldest first, and what confirmations said."""
    kept = tuple(n for n in nights if n.status is NightStatus.OK and n.figures is not None)
    swaps = find_swaps(series, kept)
    changes = _changes(series, kept, swaps, decisions)
    starts = {0, *(s.index for s in swaps), *(c.index for c in changes if c.decision is not Decision.REFUTED)}
    return Story(
        series=series,
        nights=kept,
        gaps=tuple(n for n in nights if n.figures is None),
        segments=_segments(values_of(kept), sorted(starts)),
        changes=changes,
        swaps=swaps,
    )


def values_of(nights: Sequence[Night]) -> list[float]:
    """Return the values of ``nights``, which all have one."""
    return [night.figures.value for night in nights if night.figures is not None]


def find_swaps(series: Series, nights: Sequence[Night]) -> tuple[Swap, ...]:
    """Return where what the figures depend on was swapped, oldest first. Test data matters to some metrics only."""
    found: list[Swap] = []
    for index in range(1, len(nights)):
        before, after = nights[index - 1].environment, nights[index].environment
        if before == after:
            continue
        for kind in SwapKind:
            if kind is SwapKind.DATA and not metric_named(series.metric).same_data:
                continue
            old, new = _facts(before, kind), _facts(after, kind)
            if old != new:
                found.append(Swap(index=index, kind=kind, before=_differing(old, new), after=_differing(new, old)))
    return tuple(found)


def open_segment(series: Series, nights: Sequence[Night], decisions: Sequence[Decided]) -> int:
    """Return the first night that the newest is comparable with: none after it has a swap or a confirmed change."""
    confirmed = [i for i, d in _placed(nights, decisions) if d.decision in SPLITTING]
    return max([0, *(swap.index for swap in find_swaps(series, nights)), *confirmed])


def refuted_indices(nights: Sequence[Night], decisions: Sequence[Decided]) -> tuple[int, ...]:
    """Return where changes were suspected that a confirmation refuted."""
    return tuple(i for i, d in _placed(nights, decisions) if d.decision is Decision.REFUTED)


def is_worse(series: Series, *, up: bool) -> bool:
    """Return whether values that went up (else down) are worse for this series."""
    return up is (series.polarity == Polarity.LOWER)


def can_be_screened(values: Sequence[float]) -> bool:
    """Return whether the screen takes these values: it works on their logarithm."""
    return all(math.isfinite(value) and value > 0 for value in values)


def _changes(
    series: Series, nights: Sequence[Night], swaps: Sequence[Swap], decisions: Sequence[Decided]
) -> tuple[Change, ...]:
    placed = _placed(nights, decisions)
    confirmed = [i for i, d in placed if d.decision in SPLITTING]
    splits = sorted({*(swap.index for swap in swaps), *confirmed})
    values = values_of(nights)
    found: tuple[Candidate, ...] = ()
    if can_be_screened(values):
        found = screen_history(values, splits=splits, refuted=refuted_indices(nights, decisions))
    changes = [_decided(series, nights, index, decided) for index, decided in placed]
    changes += [
        _candidate(series, nights, candidate)
        for candidate in found
        if not any(abs(candidate.index - index) <= SAME_CHANGE for index, _ in placed)
    ]
    return tuple(sorted(changes, key=lambda change: (change.index, change.seen)))


def _placed(nights: Sequence[Night], decisions: Sequence[Decided]) -> list[tuple[int, Decided]]:
    """Decisions with the index of the first night of the new level; nights that are not among these are left out."""
    by_run = {night.run: index for index, night in enumerate(nights)}
    return [(by_run[d.first_run], d) for d in decisions if d.first_run in by_run]


def _decided(series: Series, nights: Sequence[Night], index: int, decided: Decided) -> Change:
    values = values_of(nights)
    ratio = decided.ratio
    up = ratio > 1 if ratio is not None else index > 0 and values[index] > values[index - 1]
    return Change(
        index=index,
        seen=next((i for i, night in enumerate(nights) if night.run == decided.seen_run), index),
        worse=is_worse(series, up=up),
        ratio=ratio,
        low=decided.low,
        high=decided.high,
        decision=decided.decision,
        last_good=nights[index - 1].commit if index else None,
        first_bad=nights[index].commit,
    )


def _candidate(series: Series, nights: Sequence[Night], found: Candidate) -> Change:
    return Change(
        index=found.index,
        seen=found.seen,
        worse=is_worse(series, up=found.shift > 0),
        ratio=math.exp(found.shift),
        low=None if found.shift_low is None else math.exp(found.shift_low),
        high=None if found.shift_high is None else math.exp(found.shift_high),
        decision=None,
        last_good=nights[found.index - 1].commit,
        first_bad=nights[found.index].commit,
    )


def _segments(values: Sequence[float], starts: Sequence[int]) -> tuple[Segment, ...]:
    if not values:
        return ()
    ends = [*starts[1:], len(values)]
    return tuple(
        Segment(first=first, last=end - 1, median=median(values[first:end]))
        for first, end in zip(starts, ends, strict=True)
    )


def _facts(environment: Environment, kind: SwapKind) -> tuple[str, ...]:
    match kind:
        case SwapKind.DEVICE:
            return environment.device_class, environment.soc, environment.serial_hash
        case SwapKind.SYSTEM:
            return (environment.os_build,)
        case SwapKind.RUNTIME:
            return environment.runtime, environment.runtime_version, environment.delegate_used
        case SwapKind.RUNNER:
            return (environment.runner,)
        case SwapKind.DATA:
            return (environment.data_sha256[:12],)


def _differing(facts: tuple[str, ...], others: tuple[str, ...]) -> str:
    """The first fact, which names the thing, and those that differ."""
    told = [
        fact for i, (fact, other) in enumerate(zip(facts, others, strict=True)) if fact and (i == 0 or fact != other)
    ]
    return " ".join(told) or "not known"
