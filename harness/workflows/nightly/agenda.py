"""What to compare side by side tonight, and in which order. Decides from records alone.

Open suspicions of earlier nights and tonight's come first, then samples of common shifts, then series that moved away
from the pinned baseline, and last the files that are new tonight, the largest slowdown first. The budget of the night
then cuts this list off where it is used up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.history.records import HistoryEntry, Night, RunFacts
from harness.history.story import can_be_screened, comparable, open_segment, values_of
from harness.records.metric import ConfirmationKind
from harness.records.metrics import metric_named
from harness.stats.looks import WAITS
from harness.stats.medians import median
from harness.workflows.nightly.common import Cause, before_shift
from harness.workflows.nightly.record import (
    UNPROMPTED,
    Baseline,
    BaselineCell,
    Carried,
    OpenSuspicion,
    Pinned,
    SeriesNight,
    Suspect,
    Trigger,
)
from harness.workflows.nightly.screening import Place, SeriesHistory, as_night

# A suspicion of tonight that is at most this much larger than an open one is the same one.
SAME_SIZE = math.log1p(0.05)
# Nights whose median is compared with the pinned baseline.
RECENT_NIGHTS = 14
# The nights whose median tonight's value is compared with, to find out which new files to compare first.
LEVEL_NIGHTS = 20
# What orders the list; the rest follows by size.
_ORDER = {Trigger.COMMON: 1, Trigger.BASELINE: 2, Trigger.NEW_FILE: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTonight:
    """One series tonight: its earlier nights, the value that counts, and its result as screened."""

    history: SeriesHistory
    entry: HistoryEntry
    night: SeriesNight


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """``suspects`` in the order in which they are compared; ``resting`` are open suspicions that wait tonight."""

    suspects: tuple[Suspect, ...]
    resting: tuple[OpenSuspicion, ...]
    pinned: tuple[Pinned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is known before tonight: what the last night handed on, and the pinned baseline."""

    carried: Carried = Carried()
    baseline: Baseline | None = None


def plan_night(tonight: Mapping[str, SeriesTonight], causes: Sequence[Cause], before: Before, run: RunFacts) -> Agenda:
    """Return what to compare; every series at most once."""
    offsets = offsets_of(causes)
    resting, suspects = _opened(tonight, before.carried, _shared(causes), run)
    for suspect in _samples(tonight, causes, run):
        suspects.setdefault(suspect.series, suspect)
    pinned, moved = _off_baseline(tonight, before, run)
    for suspect in moved:
        suspects.setdefault(suspect.series, suspect)
    for name, one in tonight.items():
        new = new_file(one, run, offsets.get(name, 0.0))
        if new is not None:
            suspects.setdefault(name, new)
    ordered = sorted(suspects.values(), key=lambda s: (_ORDER.get(s.trigger, 0), -_slowdown(s)))
    waiting = tuple(
        o for o in resting if o.suspect.series not in suspects or _is_unprompted(suspects[o.suspect.series])
    )
    return Agenda(suspects=tuple(ordered), resting=waiting, pinned=tuple(pinned.values()))


def offsets_of(causes: Sequence[Cause]) -> dict[str, float]:
    """Return ln(new / old) of the common shift of each series that is part of one."""
    return {name: cause.size for cause in causes for name in cause.members}


def new_file(one: SeriesTonight, run: RunFacts, offset: float) -> Suspect | None:
    """Return the comparison of tonight's file with last night's, if they differ and pairs can compare them.

    ``offset``: the shift that many series share tonight, ln(new / old), which is not this file's.
    """
    history, entry = one.history, one.entry
    if not history.nights or not _by_pairs(entry) or not _has_value(entry):
        return None
    last = history.nights[-1]
    if entry.artifact_sha256 == last.artifact_sha256:
        return None
    ratio = math.exp(_moved(one, run) - offset)
    return _suspect(one, Trigger.NEW_FILE, ratio, last, run)


def _moved(one: SeriesTonight, run: RunFacts) -> float:
    """ln(tonight / level); a level of a single night will do, because this only orders the list."""
    history, entry = one.history, one.entry
    before = comparable(history.nights, history.decisions) or history.nights
    tonight = as_night(entry, run)
    start = open_segment(entry.series, (*before, tonight), history.decisions)
    recent = before[start:] or before[-1:]
    values = values_of(recent[-LEVEL_NIGHTS:])
    value = values_of([tonight])[0]
    return math.log(value / median(values)) if can_be_screened(values) else 0.0


def _suspect(one: SeriesTonight, trigger: Trigger, ratio: float, good: Night, run: RunFacts) -> Suspect:
    """A suspect whose change, if there is one, begins tonight."""
    place = Place(series=one.entry.series, nights=(good, as_night(one.entry, run)))
    return place.suspect(trigger, 1, ratio, up=ratio > 1)


def _opened(
    tonight: Mapping[str, SeriesTonight], carried: Carried, shared: Mapping[str, Cause], run: RunFacts
) -> tuple[list[OpenSuspicion], dict[str, Suspect]]:
    """Tonight's own suspicions merged with the open ones, which are due or wait."""
    suspects = {
        name: one.night.suspect
        for name, one in tonight.items()
        if one.night.suspect is not None and not _is_shared(one.night.suspect, shared.get(name))
    }
    resting: list[OpenSuspicion] = []
    for earlier in carried.open:
        name = earlier.suspect.series
        one = tonight.get(name)
        if one is None or not _has_value(one.entry):
            # Not measured tonight, or part of another job: it waits as before.
            resting.append(earlier)
            continue
        if _is_over(earlier, one, run) or _is_another(earlier.suspect, suspects.get(name)):
            continue
        suspects.pop(name, None)
        if earlier.wait <= 1:
            suspects[name] = earlier.suspect
        else:
            resting.append(replace(earlier, wait=earlier.wait - 1))
    return resting, suspects


def _is_over(earlier: OpenSuspicion, one: SeriesTonight, run: RunFacts) -> bool:
    """Whether a new level began after the night of the suspicion, or another system tonight."""
    history = one.history
    runs = [night.run for night in history.nights]
    if earlier.suspect.first_run not in runs:
        return True
    nights = (*history.nights, as_night(one.entry, run))
    start = open_segment(one.entry.series, nights, history.decisions)
    return start == len(runs) or start > runs.index(earlier.suspect.first_run)


def _is_another(earlier: Suspect, suspect: Suspect | None) -> bool:
    """Whether tonight's suspicion is not the open one: the other way, or clearly larger."""
    if suspect is None:
        return False
    if suspect.worse is not earlier.worse or suspect.ratio <= 0 or earlier.ratio <= 0:
        return True
    return abs(math.log(suspect.ratio)) > abs(math.log(earlier.ratio)) + SAME_SIZE


def _shared(causes: Sequence[Cause]) -> dict[str, Cause]:
    return {name: cause for cause in causes for name in cause.members}


def _is_shared(suspect: Suspect, cause: Cause | None) -> bool:
    """Whether the screen only saw what the whole group did. A step is judged without the common shift already."""
    return cause is not None and suspect.trigger is Trigger.SCREEN and suspect.worse is cause.shift.worse


def _samples(tonight: Mapping[str, SeriesTonight], causes: Sequence[Cause], run: RunFacts) -> Iterator[Suspect]:
    for cause in causes:
        for name in cause.sample:
            one = tonight[name]
            yield _suspect(
                one, Trigger.COMMON, cause.shift.ratio, before_shift(one.history.nights, cause.shift.since), run
            )


def _off_baseline(
    tonight: Mapping[str, SeriesTonight], before: Before, run: RunFacts
) -> tuple[dict[str, Pinned], list[Suspect]]:
    """The pins one night later, and the series that moved away from the baseline since the last report."""
    pinned = {pin.series: pin for pin in before.carried.pinned}
    suspects: list[Suspect] = []
    cells = {cell.cell: cell for cell in before.baseline.cells} if before.baseline else {}
    for name, one in tonight.items():
        cell = cells.get(one.night.cell)
        if cell is None or not _by_pairs(one.entry) or not _has_value(one.entry):
            continue
        pin = pinned.get(name)
        # Another baseline: whatever was reported about the one before does not count.
        if pin is None or pin.sha256 != cell.sha256:
            pin = Pinned(series=name, sha256=cell.sha256)
        pinned[name] = pin = replace(pin, wait=max(0, pin.wait - 1))
        moved = moved_from(one, cell)
        margin = math.log1p(metric_named(one.night.metric).relative_tolerance)
        due = pin.wait == 0 and cell.sha256 != one.entry.artifact_sha256
        if due and (moved is None or abs(moved - pin.told) >= margin):
            ratio = 1.0 if moved is None else math.exp(moved)
            last = one.history.nights[-1] if one.history.nights else as_night(one.entry, run)
            suspect = _suspect(one, Trigger.BASELINE, ratio, last, run)
            suspects.append(replace(suspect, good_run="", good_sha256=cell.sha256, expected=pin.told))
    return pinned, suspects


def moved_from(one: SeriesTonight, cell: BaselineCell) -> float | None:
    """Return ln(median of the last two weeks / baseline), None for a baseline without a measurement."""
    assert one.entry.figures is not None
    if cell.latency_ns is None:
        return None
    nights = comparable(one.history.nights, one.history.decisions)[1 - RECENT_NIGHTS :]
    values = [*values_of(nights), one.entry.figures.value]
    return math.log(median(values) / cell.latency_ns) if can_be_screened([*values, cell.latency_ns]) else None


def after_look(pin: Pinned, *, told: float | None) -> Pinned:
    """Return ``pin`` after a comparison; ``told`` is what was reported, None if nothing was."""
    if told is not None:
        return replace(pin, told=told, looks=0, wait=WAITS[0])
    return replace(pin, looks=pin.looks + 1, wait=WAITS[min(pin.looks, len(WAITS) - 1)])


def _by_pairs(entry: HistoryEntry) -> bool:
    return metric_named(entry.series.metric).confirmation is ConfirmationKind.PAIRS


def _has_value(entry: HistoryEntry) -> bool:
    return entry.figures is not None and can_be_screened([entry.figures.value])


def _slowdown(suspect: Suspect) -> float:
    """How much worse, as a logarithm; what cannot be expressed so comes first."""
    if not suspect.ratio > 0 or math.isinf(suspect.ratio):
        return math.inf
    size = abs(math.log(suspect.ratio))
    return size if suspect.worse else -size


def _is_unprompted(suspect: Suspect) -> bool:
    """Whether it is no suspicion, so that an open one of the same series waits on beside it."""
    return suspect.trigger in UNPROMPTED and not suspect.looks
