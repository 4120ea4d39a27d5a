"""Shifts that many series share tonight, looked for before any single series is suspected.

A group is explained by what its series have in common: the farm, a device, a runtime or a format. The widest group that
moved evenly is the cause; of a phone with two runtimes, only the runtime is, if the series of the other one stayed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.history.records import HistoryEntry, Night, RunFacts, Series
from harness.history.story import can_be_screened, comparable, find_swaps, is_worse, open_segment, values_of
from harness.records.metrics import METRICS
from harness.stats.medians import MAD_TO_DEVIATION, median
from harness.stats.shifts import LEAST_MEMBERS, LEAST_NIGHTS, NIGHTS, Deviations, SharedShift, moved_along, shared_shift
from harness.workflows.nightly.record import CommonShift, GroupKind
from harness.workflows.nightly.screening import SeriesHistory, as_night

# Side-by-side comparisons of a group whose files changed.
SAMPLE = 5
# The share of the group for which something must have changed before it is named.
MOST_OF = 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A series that can show a common shift: tonight's value, and the nights of the level before it."""

    series: Series
    tonight: HistoryEntry
    nights: tuple[Night, ...]
    deviations: Deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A common shift of ``members``; ``size`` is ln(new / old), and ``moved`` are those that moved half of it or more.

    ``sample``: the members to compare side by side.
    """

    shift: CommonShift
    size: float
    told: bool
    members: tuple[str, ...]
    moved: frozenset[str]
    sample: tuple[str, ...]


def find_causes(
    histories: Mapping[str, SeriesHistory], tonight: Mapping[str, HistoryEntry], run: RunFacts
) -> tuple[Cause, ...]:
    """Return the shifts that series share tonight. ``tonight``: the first measurement of each series."""
    members = [
        member for name, entry in tonight.items() if (member := _member(histories[name], entry, run)) is not None
    ]
    causes: list[Cause] = []
    for metric in (name for name, metric in METRICS.items() if not metric.exact):
        left = [m for m in members if m.series.metric == metric]
        for kind in GroupKind:
            for name, group in _groups(left, kind):
                cause = _cause(kind, name, group, run)
                if cause is not None:
                    causes.append(cause)
                    left = [m for m in left if m.series.name not in cause.members]
    return tuple(causes)


def first_of_level(cause: Cause, history: SeriesHistory, run: RunFacts) -> str:
    """Return the run at which the new level of a series begins: the first one of the shift that measured it."""
    runs = [night.run for night in history.nights]
    return cause.shift.since if cause.shift.since in runs else run.name


def before_shift(nights: Sequence[Night], since: str) -> Night:
    """Return the last of ``nights`` before the run ``since`` at which the shift began."""
    runs = [night.run for night in nights]
    return nights[max(0, runs.index(since) - 1)] if since in runs else nights[-1]


def _member(history: SeriesHistory, entry: HistoryEntry, run: RunFacts) -> Member | None:
    decisions = history.decisions
    if entry.figures is None or not history.nights:
        return None
    with_tonight = comparable((*history.nights, as_night(entry, run)), decisions)
    if with_tonight[-1:] and with_tonight[-1].run != run.name:
        return None
    # The level before tonight, even if the device or its system was swapped since: that may be the cause.
    before_tonight = with_tonight[:-1]
    start = open_segment(entry.series, before_tonight, decisions)
    nights = before_tonight[start:][-NIGHTS:]
    values = values_of(nights)
    if len(values) < LEAST_NIGHTS or not can_be_screened([*values, entry.figures.value]):
        return None
    level = median(values)
    before = {night.run: math.log(value / level) for night, value in zip(nights, values, strict=True)}
    deviations = Deviations(
        tonight=math.log(entry.figures.value / level),
        before=before,
        spread=MAD_TO_DEVIATION * median(abs(value) for value in before.values()),
    )
    return Member(series=entry.series, tonight=entry, nights=nights, deviations=deviations)


_KEYS: dict[GroupKind, Callable[[Member], str]] = {
    GroupKind.FARM: lambda _: "",
    GroupKind.DEVICE: lambda m: m.series.device,
    GroupKind.RUNTIME: lambda m: m.tonight.environment.runtime,
    GroupKind.FORMAT: lambda m: m.series.format,
}
# A group moved evenly if each of these parts of it did.
_PARTS: tuple[Callable[[Member], str], ...] = (
    *(_KEYS[kind] for kind in (GroupKind.DEVICE, GroupKind.RUNTIME, GroupKind.FORMAT)),
    lambda m: m.series.model,
)


def _groups(members: Sequence[Member], kind: GroupKind) -> Iterator[tuple[str, list[Member]]]:
    """The groups of that kind that have enough members; a farm needs two devices."""
    if kind is GroupKind.FARM and len({m.series.device for m in members}) < 2:
        return
    for name, group in _parted(members, _KEYS[kind]).items():
        if len(group) >= LEAST_MEMBERS:
            yield name, group


def _parted(members: Sequence[Member], key: Callable[[Member], str]) -> dict[str, list[Member]]:
    parts: dict[str, list[Member]] = {}
    for member in members:
        parts.setdefault(key(member), []).append(member)
    return parts


def _cause(kind: GroupKind, name: str, group: Sequence[Member], run: RunFacts) -> Cause | None:
    runs = _runs(group)
    shift = shared_shift([m.deviations for m in group], runs)
    if shift is None or not _evenly(group, shift.size):
        return None
    since = runs[-2] if shift.lasting else run.name
    changed = _changed(group, run)
    return Cause(
        shift=CommonShift(
            kind=kind,
            name=name,
            metric=group[0].series.metric,
            ratio=math.exp(shift.size),
            series=len(group),
            since=since,
            worse=is_worse(group[0].series, up=shift.size > 0),
            lasting=shift.lasting,
            changed=changed,
        ),
        size=shift.size,
        told=_is_told(shift, changed),
        members=tuple(m.series.name for m in group),
        moved=frozenset(m.series.name for m in group if moved_along([m.deviations], shift.size)),
        sample=_sample(group, since) if _is_told(shift, changed) else (),
    )


def _is_told(shift: SharedShift, changed: tuple[str, ...]) -> bool:
    """A shift as large as one that passed by itself before is told only if it lasts, or if its cause is known."""
    return shift.unusual or shift.lasting or bool(changed)


def _runs(group: Sequence[Member]) -> list[str]:
    """The earlier runs of the group, oldest first."""
    times = {night.run: night.created_at for member in group for night in member.nights}
    return sorted(times, key=lambda name: (times[name], name))


def _evenly(group: Sequence[Member], size: float) -> bool:
    """Whether at least half of every part of the group moved along."""
    parts = (part for key in _PARTS for part in _parted(group, key).values() if len(part) >= LEAST_MEMBERS)
    return all(moved_along([m.deviations for m in part], size) >= 0.5 for part in parts)


def _changed(group: Sequence[Member], run: RunFacts) -> tuple[str, ...]:
    """What differs from last night for most of the group: system, runtime, device, conditions."""
    count: Counter[str] = Counter()
    for member in group:
        last, now = member.nights[-1], as_night(member.tonight, run)
        words = [f"{s.kind.value} {s.before} → {s.after}" for s in find_swaps(member.series, (last, now))]
        words += [f"condition {name}" for name in sorted({*now.conditions} - {*last.conditions})]
        count.update(words)
    return tuple(words for words, number in count.items() if number >= MOST_OF * len(group))


def _sample(group: Sequence[Member], since: str) -> tuple[str, ...]:
    """Up to five members whose file changed with the shift, spread over the group."""
    changed = sorted(
        m.series.name for m in group if before_shift(m.nights, since).artifact_sha256 != m.tonight.artifact_sha256
    )
    step = max(1.0, len(changed) / SAMPLE)
    return tuple(changed[int(i * step)] for i in range(min(SAMPLE, len(changed))))
