"""The statistics of a night as one thing: what is decided about every series, and for which of them that failed.

A fault in the statistics costs the verdict on a series, never its measurement: the value goes into the history, and the
series is reported as not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.history.records import HistoryEntry, NightStatus, RunFacts
from harness.workflows.nightly.agenda import Agenda, Before, SeriesTonight, offsets_of, plan_night
from harness.workflows.nightly.attempt import attempt
from harness.workflows.nightly.common import Cause, find_causes
from harness.workflows.nightly.outcomes import NightOutcome, settle_night
from harness.workflows.nightly.record import Confirmation, SeriesNight, State
from harness.workflows.nightly.screening import Screened, SeriesHistory, screen_series


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A night after its screen. ``entries`` are all values for the history, superseded ones included."""

    tonight: Mapping[str, SeriesTonight]
    entries: tuple[HistoryEntry, ...]
    causes: tuple[Cause, ...]
    agenda: Agenda

    def outcome(self, said: Sequence[Confirmation], run: RunFacts) -> NightOutcome:
        """Return what the comparisons make of the night."""
        return settle_night(self.tonight, self.agenda, self.causes, said, run)


def nothing_judged() -> Judged:
    """Return a night without any series."""
    return Judged(tonight={}, entries=(), causes=(), agenda=Agenda(suspects=(), resting=(), pinned=()))


@dataclass(frozen=True, slots=True, kw_only=True)
class NightScreen:
    """The screen of all series of one night."""

    histories: Mapping[str, SeriesHistory]
    run: RunFacts
    arl0: int

    def causes(self, first: Mapping[str, HistoryEntry]) -> tuple[Cause, ...]:
        """Return the shifts that series share tonight; none if the statistics fail."""
        causes, _ = attempt(lambda: find_causes(self.histories, first, self.run))
        return causes or ()

    def one(self, name: str, tonight: Sequence[HistoryEntry], causes: Sequence[Cause]) -> Screened:
        """Screen one series; if the statistics fail, it is kept as measured and not judged."""
        offset = offsets_of(causes).get(name, 0.0)
        history = self.histories[name]
        screened, why = attempt(lambda: screen_series(history, tonight, self.run, self.arl0, common=offset))
        return screened or _not_judged(history, tonight, why)

    def judged(self, screened: Mapping[str, Screened], causes: tuple[Cause, ...], before: Before) -> Judged:
        """Return the night with the list of what to compare."""
        tonight = {
            name: SeriesTonight(history=self.histories[name], entry=_counted(one), night=one.night)
            for name, one in screened.items()
        }
        judged = {name: one for name, one in tonight.items() if one.night.state is not State.NOT_JUDGED}
        agenda, why = attempt(lambda: plan_night(judged, causes, before, self.run))
        if agenda is None:
            # Nothing is compared, and what was open stays open.
            agenda = Agenda(suspects=(), resting=before.carried.open, pinned=before.carried.pinned)
            tonight = {name: replace(one, night=_failed(one.night, why)) for name, one in tonight.items()}
        entries = tuple(entry for one in screened.values() for entry in one.entries)
        return Judged(tonight=tonight, entries=entries, causes=causes, agenda=agenda)


def _not_judged(history: SeriesHistory, tonight: Sequence[HistoryEntry], why: str) -> Screened:
    """The series with its last value as the one that counts."""
    numbered = [replace(entry, attempt=attempt) for attempt, entry in enumerate(tonight)]
    entries = [replace(e, status=NightStatus.SUPERSEDED) if e.figures else e for e in numbered[:-1]]
    last = numbered[-1]
    blank = SeriesNight(
        series=last.series.name,
        cell=last.series.cell,
        metric=last.series.metric,
        state=State.NOT_JUDGED,
        value=last.figures.value if last.figures else None,
        nights=len(history.nights),
        measured=len(tonight),
    )
    return Screened(entries=(*entries, last), again=False, night=_failed(blank, why))


def _failed(night: SeriesNight, why: str) -> SeriesNight:
    reason = f"the value is kept, but its statistics failed ({why}): please report this"
    return replace(night, state=State.NOT_JUDGED, suspect=None, reason=reason)


def _counted(screened: Screened) -> HistoryEntry:
    """The entry that counts: the one that was not superseded."""
    return next((e for e in reversed(screened.entries) if e.status is not NightStatus.SUPERSEDED), screened.entries[-1])
