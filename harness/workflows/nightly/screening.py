"""The screen over all series of one night: what to measure again, what enters, what is suspected. Reads no files.

The one decision: times and memory are screened by the change-point model over nights; size and accuracy are exact, the
same artifact gives the same figure, so a difference beyond the metric's tolerance is suspected the night it appears.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.history.records import Decided, HistoryEntry, Night, NightStatus, RunFacts, Series
from harness.history.story import can_be_screened, is_worse, open_segment, refuted_indices, values_of
from harness.records.metrics import metric_named
from harness.stats.screening import FIRST_NIGHT, Direction, NightJudgement, judge_night, screen
from harness.workflows.nightly.record import SeriesNight, State, Suspect, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHistory:
    """What the history knows of a series before tonight: ok nights, oldest first, and decisions."""

    nights: tuple[Night, ...]
    decisions: tuple[Decided, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """One series tonight: the entries that go into the history, whether to measure again first, and the outcome."""

    entries: tuple[HistoryEntry, ...]
    again: bool
    night: SeriesNight


def screen_series(known: SeriesHistory, tonight: Sequence[HistoryEntry], run: RunFacts, arl0: int) -> Screened:
    """Screen one series; ``tonight`` are its measurements in the order they were taken, at least one."""
    last = tonight[-1]
    if last.figures is None:
        return Screened(entries=tuple(tonight), again=False, night=_without_value(known, last, run))
    segment = _segment(known, last, run)
    judged = _judge(segment, last.series, tonight)
    entries = _settled(tonight, judged)
    value = next(e.figures.value for e in entries if e.status is NightStatus.OK and e.figures)
    suspect = _suspect(known, last, run, judged, value, arl0)
    enough = metric_named(last.series.metric).exact or len(segment) + 1 >= FIRST_NIGHT
    night = SeriesNight(
        series=last.series.name,
        cell=last.series.cell,
        metric=last.series.metric,
        state=State.SUSPICIOUS if suspect else State.NONE if enough else State.INSUFFICIENT,
        value=value,
        level=median(segment) if segment else None,
        nights=len(segment),
        measured=len(tonight),
        suspect=suspect,
        reason="" if enough or suspect else f"{len(segment) + 1} nights; the screen begins with {FIRST_NIGHT}",
    )
    return Screened(entries=entries, again=judged is not None and judged.again, night=night)


def as_night(entry: HistoryEntry, run: RunFacts) -> Night:
    """Return ``entry`` as the night that the history will hold."""
    return Night(
        run=run.name,
        night=run.night,
        created_at=run.created_at,
        commit=run.commit,
        attempt=entry.attempt,
        status=NightStatus.OK,
        figures=entry.figures,
        conditions=entry.conditions,
        artifact_sha256=entry.artifact_sha256,
        environment=entry.environment,
    )


def _segment(known: SeriesHistory, entry: HistoryEntry, run: RunFacts) -> list[float]:
    """The values before tonight that tonight may be compared with."""
    nights = (*known.nights, as_night(entry, run))
    return values_of(known.nights[open_segment(entry.series, nights, known.decisions) :])


def _judge(segment: list[float], series: Series, tonight: Sequence[HistoryEntry]) -> NightJudgement | None:
    """Whether to measure again; None for what is exact, and for values that have no logarithm."""
    values = [entry.figures.value for entry in tonight if entry.figures is not None]
    if metric_named(series.metric).exact or not can_be_screened([*segment, *values]):
        return None
    judged = judge_night(segment, values)
    # A series that hardly varies has a spread of next to nothing; what is too small to matter is not measured again.
    return replace(judged, again=False) if judged.again and _within(series, median(segment), judged.value) else judged


def _settled(tonight: Sequence[HistoryEntry], judged: NightJudgement | None) -> tuple[HistoryEntry, ...]:
    """Number the attempts, and mark all but the one that counts as superseded."""
    numbered = [replace(entry, attempt=attempt) for attempt, entry in enumerate(tonight)]
    counts = len(numbered) - 1
    if judged is not None:
        # The median of three is one of them.
        counts = next((i for i, e in enumerate(numbered) if e.figures and e.figures.value == judged.value), counts)
    return tuple(
        entry if entry.attempt == counts or entry.figures is None else replace(entry, status=NightStatus.SUPERSEDED)
        for entry in numbered
    )


def _suspect(
    known: SeriesHistory, entry: HistoryEntry, run: RunFacts, judged: NightJudgement | None, value: float, arl0: int
) -> Suspect | None:
    counted = replace(entry, figures=replace(entry.figures, value=value)) if entry.figures else entry
    nights = (*known.nights, as_night(counted, run))
    start = open_segment(entry.series, nights, known.decisions)
    if start == len(nights) - 1:
        return None
    place = _Place(series=entry.series, nights=nights)
    if metric_named(entry.series.metric).exact:
        return _exact(place)
    if judged is None:
        return None
    if judged.step is not None:
        up = judged.step.direction is Direction.UP
        return place.suspect(Trigger.STEP, len(nights) - 1, 1 + judged.step.change, up=up)
    refuted = [index - start for index in refuted_indices(nights, known.decisions) if index >= start]
    found = screen(values_of(nights[start:]), refuted=refuted, arl0=arl0)
    if found is None:
        return None
    return place.suspect(Trigger.SCREEN, start + found.index, math.exp(found.shift), up=found.shift > 0)


def _exact(place: _Place) -> Suspect | None:
    """A figure that does not vary differs from last night's by more than its tolerance."""
    before, now = values_of(place.nights[-2:])
    if _within(place.series, before, now):
        return None
    return place.suspect(
        Trigger.TOLERANCE, len(place.nights) - 1, now / before if before else math.inf, up=now > before
    )


def _within(series: Series, before: float, now: float) -> bool:
    """Whether the difference is within the tolerance of the metric."""
    return metric_named(series.metric).tolerates(before, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A series with its nights, tonight included; ``suspect`` names the night and the commits of a change."""

    series: Series
    nights: tuple[Night, ...]

    def suspect(self, trigger: Trigger, index: int, ratio: float, *, up: bool) -> Suspect:
        before, first, tonight = self.nights[index - 1], self.nights[index], self.nights[-1]
        return Suspect(
            series=self.series.name,
            cell=self.series.cell,
            metric=self.series.metric,
            trigger=trigger,
            worse=is_worse(self.series, up=up),
            ratio=ratio,
            first_run=first.run,
            good_run=before.run,
            good_sha256=before.artifact_sha256,
            sha256=tonight.artifact_sha256,
            last_good=before.commit,
            first_bad=first.commit,
        )


def _without_value(known: SeriesHistory, entry: HistoryEntry, run: RunFacts) -> SeriesNight:
    """A cell that failed is no night; one whose outputs were right and are garbage now is a regression."""
    broken = entry.status is NightStatus.BROKEN
    suspect = None
    if broken and known.nights:
        nights = (*known.nights, as_night(entry, run))
        suspect = _Place(series=entry.series, nights=nights).suspect(Trigger.GARBAGE, len(nights) - 1, 1.0, up=True)
    return SeriesNight(
        series=entry.series.name,
        cell=entry.series.cell,
        metric=entry.series.metric,
        state=State.SUSPICIOUS if suspect else State.FAILED,
        reason="the outputs are garbage" if broken else "the cell failed on its device",
        nights=len(known.nights),
        suspect=suspect,
    )
