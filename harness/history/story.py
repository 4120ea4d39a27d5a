"""The story of one series: its segments, its changes with their commits, and swaps of what its values depend on.

A swap of device, system, runtime or data splits a series without an alarm, because the cause is known. A change that
the screen finds is a candidate, and splits the series until it is confirmed or refuted. A confirmed change always
splits, whatever the screen says. So does a refuted one that was seen over several nights: it is the device's own.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.history.records import Decided, Decision, Environment, Night, NightStatus, Series, is_same_system
from harness.records.metric import Polarity
from harness.records.metrics import metric_named
from harness.stats.medians import median
from harness.stats.screening import SAME_CHANGE, Candidate, screen_history

# If most of so many nights are tainted, that is how the device is, and no longer the bad luck of a night.
TAINTED_NIGHTS = 14


def begins_a_segment(decided: Decided) -> bool:
    """Return whether a new level begins at ``decided.first_run``, which is then screened on its own.

    A refuted change that was seen over several nights begins one too: the files are equal side by side, so the device
    changed. Kept in one segment, both levels would hide the next regression for weeks. A refuted step of a single night
    was that night's alone.
    """
    if decided.decision is Decision.REFUTED:
        return decided.first_run != decided.seen_run
    return decided.decision in (Decision.CONFIRMED, Decision.DRIFT)


class SwapKind(StrEnum):
    """What was swapped between two nights."""

    DEVICE = "device"
    SYSTEM = "system"
    RUNTIME = "runtime"
    RUNNER = "runner"
    DATA = "test data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """``index``: the first night after the swap. ``before`` and ``after`` describe what was swapped."""

    index: int
    kind: SwapKind
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step of the level. ``index``: its first night. ``seen``: the night of the alarm.

    ``ratio`` is new over old with its 95 % interval, None if a side has too few nights. ``decision`` is None until the
    change is confirmed or refuted. The cause is a commit after ``last_good``, up to and including ``first_bad``.
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
    """Nights ``first`` to ``last`` (inclusive) at one level, their ``median``."""

    first: int
    last: int
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One series. ``nights`` all have a value, oldest first; all indices refer to them. ``gaps`` are nights without.

    Tainted nights are among ``nights``, but no level and no change is drawn from them (`comparable`).
    """

    series: Series
    nights: tuple[Night, ...]
    gaps: tuple[Night, ...]
    segments: tuple[Segment, ...]
    changes: tuple[Change, ...]
    swaps: tuple[Swap, ...]


def tell(series: Series, nights: Sequence[Night], decisions: Sequence[Decided] = ()) -> Story:
    """Return the story of ``series`` from its ``nights``, oldest first, and the outcomes of confirmations."""
    kept = tuple(n for n in nights if n.status is NightStatus.OK and n.figures is not None)
    swaps = find_swaps(series, kept)
    changes = _changes(series, kept, swaps, decisions)
    # A refuted change of a single night is no new level; one over several nights is the device's own.
    levels = (c.index for c in changes if c.decision is not Decision.REFUTED or c.index != c.seen)
    starts = {0, *(s.index for s in swaps), *levels}
    return Story(
        series=series,
        nights=kept,
        gaps=tuple(n for n in nights if n.figures is None),
        segments=_segments(kept, sorted(starts)),
        changes=changes,
        swaps=swaps,
    )


def values_of(nights: Sequence[Night]) -> list[float]:
    """Return the values of ``nights``, which must all have one."""
    return [night.figures.value for night in nights if night.figures is not None]


def comparable(nights: Sequence[Night], decisions: Sequence[Decided] = ()) -> tuple[Night, ...]:
    """Return the nights that others may be compared with: all but tainted ones, whose times are not the artifact's.

    If most of the last fourteen are tainted, all nights count: a model that always heats the phone has no other times.
    A night on which a decision begins its level stays, so that the level keeps its beginning.
    """
    recent = nights[-TAINTED_NIGHTS:]
    if 2 * sum(night.tainted for night in recent) > len(recent):
        return tuple(nights)
    begins = {decided.first_run for decided in decisions}
    return tuple(night for night in nights if not night.tainted or night.run in begins)


def least_change(series: Series, nights: Sequence[Night]) -> float:
    """Return the smallest relative change of ``series`` that matters by its metric's tolerance, 0.03 = 3 %."""
    metric = metric_named(series.metric)
    values = values_of(nights)
    level = abs(median(values)) if values else 0.0
    return max(metric.relative_tolerance, metric.absolute_tolerance / level if level else 0.0)


def find_swaps(series: Series, nights: Sequence[Night]) -> tuple[Swap, ...]:
    """Return where something that the values depend on was swapped, oldest first.

    A swap of test data counts only for metrics that depend on it. Raises `StoreError` for an unknown metric.
    """
    same_data = metric_named(series.metric).same_data
    swaps: list[Swap] = []
    build = nights[0].environment.os_build if nights else ""
    for index in range(1, len(nights)):
        last, after = nights[index - 1].environment, nights[index].environment
        # The usual case, and this runs for every night of every series. Nights that are read together share records.
        if last is after and after.os_build == build:
            continue
        # A night of an older version lacks the build; until another is known, it is the one before.
        before = replace(last, os_build=build)
        same_build = is_same_system(build, after.os_build)
        build = max(build, after.os_build, key=len) if same_build else after.os_build
        if before == after:
            continue
        for kind in SwapKind:
            if kind is SwapKind.DATA and not same_data:
                continue
            old, new = _facts(before, kind), _facts(after, kind)
            if old != new and not (same_build and kind is SwapKind.SYSTEM):
                swaps.append(Swap(index=index, kind=kind, before=_differing(old, new), after=_differing(new, old)))
    return tuple(swaps)


def open_segment(series: Series, nights: Sequence[Night], decisions: Sequence[Decided]) -> int:
    """Return the first night that the newest one is comparable with: the last swap or confirmed change, or 0."""
    confirmed = [i for i, d in _placed(nights, decisions) if begins_a_segment(d)]
    return max([0, *(swap.index for swap in find_swaps(series, nights)), *confirmed])


def refuted_indices(nights: Sequence[Night], decisions: Sequence[Decided]) -> tuple[int, ...]:
    """Return the indices of changes that a confirmation refuted, but not of steps of a single night.

    If such a night was not alone after all, the phone itself has changed, and its new level has yet to begin.
    """
    refuted = [(i, d) for i, d in _placed(nights, decisions) if d.decision is Decision.REFUTED]
    return tuple(i for i, d in refuted if d.first_run != d.seen_run)


def is_worse(series: Series, *, up: bool) -> bool:
    """Return whether a change is for the worse: ``up`` says that values went up, else they went down."""
    return up is (series.polarity == Polarity.LOWER)


def can_be_screened(values: Sequence[float]) -> bool:
    """Return whether the screen accepts these values: it needs their logarithms."""
    return all(math.isfinite(value) and value > 0 for value in values)


def _changes(
    series: Series, nights: Sequence[Night], swaps: Sequence[Swap], decisions: Sequence[Decided]
) -> tuple[Change, ...]:
    placed = _placed(nights, decisions)
    confirmed = [i for i, d in placed if begins_a_segment(d)]
    splits = sorted({*(swap.index for swap in swaps), *confirmed})
    changes = [_decided(series, nights, index, decided) for index, decided in placed]
    changes += [
        change
        # A decision about the same change replaces the candidate.
        for change in _candidates(series, nights, splits, decisions)
        if not any(abs(change.index - index) <= SAME_CHANGE for index, _ in placed)
    ]
    return tuple(sorted(changes, key=lambda change: (change.index, change.seen)))


def _candidates(
    series: Series, nights: Sequence[Night], splits: Sequence[int], decisions: Sequence[Decided]
) -> list[Change]:
    """What the screen finds in the nights that can be compared; indices refer to all ``nights``."""
    counted = comparable(nights, decisions)
    values = values_of(counted)
    if not can_be_screened(values):
        return []
    runs = {night.run for night in counted}
    places = [index for index, night in enumerate(nights) if night.run in runs]
    candidates = screen_history(
        values,
        # The first counted night from the split on.
        splits=[bisect_left(places, split) for split in splits],
        refuted=refuted_indices(counted, decisions),
        least=least_change(series, counted),
    )
    moved = (replace(c, index=places[c.index], seen=places[c.seen]) for c in candidates)
    return [_candidate(series, nights, candidate) for candidate in moved]


def _placed(nights: Sequence[Night], decisions: Sequence[Decided]) -> list[tuple[int, Decided]]:
    """Each decision with the index of the first night of its new level, if that is among ``nights``."""
    by_run = {night.run: index for index, night in enumerate(nights)}
    return [(by_run[d.first_run], d) for d in decisions if d.first_run in by_run]


def _decided(series: Series, nights: Sequence[Night], index: int, decided: Decided) -> Change:
    values = values_of(nights)
    ratio = decided.ratio
    # Without a ratio (a decision about one file, such as drift) the two nights around the change must do.
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


def _candidate(series: Series, nights: Sequence[Night], candidate: Candidate) -> Change:
    return Change(
        index=candidate.index,
        seen=candidate.seen,
        worse=is_worse(series, up=candidate.shift > 0),
        ratio=math.exp(candidate.shift),
        low=None if candidate.shift_low is None else math.exp(candidate.shift_low),
        high=None if candidate.shift_high is None else math.exp(candidate.shift_high),
        decision=None,
        last_good=nights[candidate.index - 1].commit,
        first_bad=nights[candidate.index].commit,
    )


def _segments(nights: Sequence[Night], starts: Sequence[int]) -> tuple[Segment, ...]:
    if not nights:
        return ()
    ends = [*starts[1:], len(nights)]
    parts = [(first, end, nights[first:end]) for first, end in zip(starts, ends, strict=True)]
    return tuple(
        Segment(first=first, last=end - 1, median=median(values_of(comparable(part) or part)))
        for first, end, part in parts
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


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[ /:()]+", text) if word]


def _differing(facts: tuple[str, ...], others: tuple[str, ...]) -> str:
    """The first fact, which names the thing, and the others that differ; of a single fact, the words that differ."""
    if len(facts) == 1:
        others_words = set(_words(others[0]))
        # The builds of one phone are long, and differ in a few of their parts.
        return " ".join(word for word in _words(facts[0]) if word not in others_words) or facts[0] or "unknown"
    pairs = enumerate(zip(facts, others, strict=True))
    return " ".join(fact for i, (fact, other) in pairs if fact and (i == 0 or fact != other)) or "unknown"
