"""The screen of one series: what to measure again, what goes into the history, and what is suspected. Reads no files.

Times and memory are screened by the change-point model over nights. Sizes and accuracies are exact: the same artifact
always gives the same value, so a difference beyond the metric's tolerance is suspected the night it appears.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.history.records import Decided, HistoryEntry, Night, NightStatus, RunFacts, Series
from harness.history.story import (
    can_be_screened,
    comparable,
    is_worse,
    least_change,
    open_segment,
    refuted_indices,
    values_of,
)
from harness.records import units
from harness.records.metrics import metric_named
from harness.stats.screening import FIRST_NIGHT, SURE_NIGHTS, Direction, NightJudgement, judge_night, screen
from harness.workflows.nightly.record import SeriesNight, State, Suspect, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHistory:
    """A series in the history before tonight: its ``ok`` nights, oldest first, and decisions about it."""

    nights: tuple[Night, ...]
    decisions: tuple[Decided, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """One series tonight: its entries for the history, whether to measure it again first, and its result."""

    entries: tuple[HistoryEntry, ...]
    again: bool
    night: SeriesNight


def screen_series(
    history: SeriesHistory, tonight: Sequence[HistoryEntry], run: RunFacts, arl0: int, *, common: float = 0.0
) -> Screened:
    """Screen one series. ``tonight`` are its measurements in the order they were taken, at least one.

    ``common``: ln(new / old) of a shift that many series share tonight; what is measured again, and what is a large
    step, is judged without it.
    """
    last = tonight[-1]
    if last.figures is None:
        return Screened(entries=tuple(tonight), again=False, night=_without_value(history, last, run))
    reference = comparable((*history.nights, as_night(last, run)), history.decisions)
    if not reference or reference[-1].run != run.name:
        return _tainted(tonight, len(reference))
    history = replace(history, nights=reference[:-1])
    segment = _segment(history, last, run)
    judged = _judge(segment, last.series, tonight, math.exp(common))
    entries = _settled(tonight, judged, math.exp(common))
    value = next(e.figures.value for e in entries if e.status is NightStatus.OK and e.figures)
    counted = replace(last, figures=replace(last.figures, value=value))
    suspect = _suspect(history, counted, run, judged, arl0)
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
        reason="" if enough or suspect else f"{units.nights(len(segment) + 1)}; the screen needs {FIRST_NIGHT}",
    )
    return Screened(entries=entries, again=judged is not None and judged.again, night=night)


def _tainted(tonight: Sequence[HistoryEntry], nights: int) -> Screened:
    """A night that most other nights of the series are not like: kept and shown, but compared with nothing."""
    last, figures = tonight[-1], tonight[-1].figures
    night = SeriesNight(
        series=last.series.name,
        cell=last.series.cell,
        metric=last.series.metric,
        state=State.INSUFFICIENT,
        value=figures.value if figures else None,
        nights=nights,
        measured=len(tonight),
        reason="most launches throttled, did not settle or were disturbed, so tonight's value is not judged",
    )
    return Screened(entries=_settled(tonight, None), again=False, night=night)


def as_night(entry: HistoryEntry, run: RunFacts) -> Night:
    """Return ``entry`` as a night of the history."""
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


def _segment(history: SeriesHistory, entry: HistoryEntry, run: RunFacts) -> list[float]:
    """The values of earlier nights that tonight is comparable with."""
    nights = (*history.nights, as_night(entry, run))
    return values_of(history.nights[open_segment(entry.series, nights, history.decisions) :])


def _judge(
    segment: list[float], series: Series, tonight: Sequence[HistoryEntry], factor: float
) -> NightJudgement | None:
    """Whether to measure again; None for exact metrics and for values without a logarithm."""
    values = [entry.figures.value / factor for entry in tonight if entry.figures is not None]
    if metric_named(series.metric).exact or not can_be_screened([*segment, *values]):
        return None
    judged = judge_night(segment, values)
    # For a series that hardly varies, almost any value is an outlier. A difference too small to matter is ignored.
    return replace(judged, again=False) if judged.again and _within(series, median(segment), judged.value) else judged


def _settled(
    tonight: Sequence[HistoryEntry], judged: NightJudgement | None, factor: float = 1.0
) -> tuple[HistoryEntry, ...]:
    """Number the attempts, and mark all but the one that counts as superseded."""
    numbered = [replace(entry, attempt=attempt) for attempt, entry in enumerate(tonight)]
    counts = len(numbered) - 1
    if judged is not None:
        # The value that counts is one of those measured: the last of two, or the median of three.
        counts = next(
            (i for i, e in enumerate(numbered) if e.figures and e.figures.value / factor == judged.value), counts
        )
    return tuple(
        entry if entry.attempt == counts or entry.figures is None else replace(entry, status=NightStatus.SUPERSEDED)
        for entry in numbered
    )


def _suspect(
    history: SeriesHistory, entry: HistoryEntry, run: RunFacts, judged: NightJudgement | None, arl0: int
) -> Suspect | None:
    nights = (*history.nights, as_night(entry, run))
    start = open_segment(entry.series, nights, history.decisions)
    # Tonight starts a new segment (after a swap, say), so there is nothing to compare it with.
    if start == len(nights) - 1:
        return None
    place = Place(series=entry.series, nights=nights, start=start)
    if metric_named(entry.series.metric).exact:
        return _exact(place)
    if judged is None:
        return None
    # A bad night slows every measurement of it. Only other bytes are reason enough not to wait for a second night.
    if judged.step is not None and entry.artifact_sha256 != nights[-2].artifact_sha256:
        up = judged.step.direction is Direction.UP
        return place.suspect(Trigger.STEP, len(nights) - 1, 1 + judged.step.change, up=up)
    # The screen counts from the start of the segment.
    refuted = [index - start for index in refuted_indices(nights, history.decisions) if index >= start]
    least = least_change(entry.series, nights[start:])
    candidate = screen(values_of(nights[start:]), refuted=refuted, arl0=arl0, least=least)
    if candidate is None:
        return None
    ratio, up = math.exp(candidate.shift), candidate.shift > 0
    return place.suspect(Trigger.SCREEN, start + candidate.index, ratio, up=up, sure=candidate.sure_nights)


def _exact(place: Place) -> Suspect | None:
    """A suspect if an exact value differs from last night's by more than its tolerance."""
    before, now = values_of(place.nights[-2:])
    if _within(place.series, before, now):
        return None
    return place.suspect(
        Trigger.TOLERANCE, len(place.nights) - 1, now / before if before else math.inf, up=now > before
    )


def _within(series: Series, before: float, now: float) -> bool:
    """Whether the difference is within the tolerance of the series' metric."""
    return metric_named(series.metric).tolerates(before, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A series and its nights, tonight included, from which a suspect gets its runs, artifacts and commits.

    ``start`` is the first night that tonight is comparable with.
    """

    series: Series
    nights: tuple[Night, ...]
    start: int = 0

    def suspect(self, trigger: Trigger, index: int, ratio: float, *, up: bool, sure: int = SURE_NIGHTS) -> Suspect:
        """Return the suspicion that the value changed by ``ratio`` (new / old) on the night of that ``index``.

        ``up``: the value rose. ``sure``: nights before ``index`` whose artifact is surely the old one.
        """
        before, first, tonight = self.nights[index - 1], self.nights[index], self.nights[-1]
        # Exact values changed tonight. A time may have changed some nights before it shows, in a large step too.
        late = trigger in (Trigger.SCREEN, Trigger.STEP)
        good = self.nights[max(self.start, index - sure)] if late else before
        return Suspect(
            series=self.series.name,
            cell=self.series.cell,
            metric=self.series.metric,
            trigger=trigger,
            worse=is_worse(self.series, up=up),
            ratio=ratio,
            first_run=first.run,
            good_run=good.run,
            good_sha256=good.artifact_sha256,
            sha256=tonight.artifact_sha256,
            last_good=before.commit,
            first_bad=first.commit,
        )


def _without_value(history: SeriesHistory, entry: HistoryEntry, run: RunFacts) -> SeriesNight:
    """A cell that failed has no value. One whose outputs were right before and are garbage now is suspected."""
    broken = entry.status is NightStatus.BROKEN
    suspect = None
    if broken and history.nights:
        nights = (*history.nights, as_night(entry, run))
        suspect = Place(series=entry.series, nights=nights).suspect(Trigger.GARBAGE, len(nights) - 1, 1.0, up=True)
    return SeriesNight(
        series=entry.series.name,
        cell=entry.series.cell,
        metric=entry.series.metric,
        state=State.SUSPICIOUS if suspect else State.FAILED,
        reason="the outputs are garbage" if broken else "the cell failed on its device",
        nights=len(history.nights),
        suspect=suspect,
    )
