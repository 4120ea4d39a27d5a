"""What the comparisons of a night mean: the state of each series, the decisions to keep, what stays open.

A suspicion that stays undecided is compared again after 1, 2, 4 and 8 nights, with all pairs together. After that it is
closed: whatever is left is too small to tell from noise, so the level that the nights show is the device's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.history.records import Decided, Decision, RunFacts
from harness.records import units
from harness.stats.looks import MOST_LOOKS, WAITS
from harness.workflows.nightly.agenda import Agenda, SeriesTonight, after_look
from harness.workflows.nightly.common import Cause, first_of_level
from harness.workflows.nightly.record import (
    UNPROMPTED,
    Carried,
    CommonShift,
    Confirmation,
    OpenSuspicion,
    Pinned,
    SeriesNight,
    State,
    Suspect,
    Trigger,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOutcome:
    """The results of a night: its series, the decisions about them, the common shifts, and what the next night gets."""

    series: tuple[SeriesNight, ...]
    decided: tuple[Decided, ...]
    causes: tuple[CommonShift, ...]
    carried: Carried


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """One series after its comparison."""

    night: SeriesNight
    decided: Decided | None = None
    open: OpenSuspicion | None = None


def settle_night(
    tonight: Mapping[str, SeriesTonight],
    agenda: Agenda,
    causes: Sequence[Cause],
    confirmations: Sequence[Confirmation],
    run: RunFacts,
) -> NightOutcome:
    """Return what ``confirmations``, already corrected for their number, make of the night."""
    said = {confirmation.series: confirmation for confirmation in confirmations}
    settled = {name: _Settled(night=_unsuspected(one.night)) for name, one in tonight.items()}
    for rest in agenda.resting:
        if rest.suspect.series in settled:
            settled[rest.suspect.series] = _resting(settled[rest.suspect.series].night, rest)
    for suspect in agenda.suspects:
        if suspect.series in said:
            before = settled[suspect.series]
            settled[suspect.series] = _settle(before, suspect, said[suspect.series], run)
    shifts = [_sampled(cause, said) for cause in causes]
    for cause, shift in zip(causes, shifts, strict=True):
        for name in cause.members:
            settled[name] = _with_cause(settled[name], tonight[name], replace(cause, shift=shift), run)
    kept = [rest for rest in agenda.resting if rest.suspect.series not in settled]
    return NightOutcome(
        series=tuple(one.night for one in settled.values()),
        decided=tuple(one.decided for one in settled.values() if one.decided is not None),
        causes=tuple(shift for cause, shift in zip(causes, shifts, strict=True) if cause.told),
        carried=Carried(
            open=(*kept, *(one.open for one in settled.values() if one.open is not None)),
            pinned=_pinned(agenda.pinned, agenda.suspects, said),
        ),
    )


def _unsuspected(night: SeriesNight) -> SeriesNight:
    """The series before its comparison: a suspicion that the agenda dropped leaves no trace."""
    if night.suspect is None:
        return night
    return replace(night, suspect=None, state=State.NONE)


def _resting(night: SeriesNight, rest: OpenSuspicion) -> _Settled:
    pairs, wait = len(rest.suspect.log_ratios), units.nights(rest.wait)
    reason = f"undecided after {pairs} pairs; compared again in {wait}"
    return _Settled(night=replace(night, state=State.SUSPICIOUS, suspect=rest.suspect, reason=reason), open=rest)


def _settle(before: _Settled, suspect: Suspect, said: Confirmation, run: RunFacts) -> _Settled:
    night = replace(before.night, suspect=suspect, confirmation=said, reason=said.reason or before.night.reason)
    decided = _decided(suspect, said, run)
    match said.decision:
        case Decision.CONFIRMED:
            state = State.REGRESSION if said.worse else State.IMPROVEMENT
            return _Settled(night=replace(night, state=state, reason=said.reason), decided=decided)
        case Decision.REFUTED:
            unprompted = suspect.trigger in UNPROMPTED
            state = before.night.state if unprompted else State.NONE
            return _Settled(
                night=replace(night, state=state),
                decided=None if unprompted else decided,
                # Equal files say nothing about an older suspicion of the same series.
                open=before.open if unprompted and suspect.looks == 0 else None,
            )
        case Decision.DRIFT:
            return _Settled(night=replace(night, state=State.SUSPICIOUS), decided=decided)
        case Decision.UNDECIDED:
            return _undecided(before, replace(night, state=State.SUSPICIOUS), decided, run)


def _undecided(before: _Settled, night: SeriesNight, decided: Decided, run: RunFacts) -> _Settled:
    """A suspicion without an answer stays open if more pairs can answer it; a mere comparison is forgotten."""
    suspect, said = night.suspect, night.confirmation
    assert suspect is not None
    assert said is not None
    if suspect.trigger in UNPROMPTED and suspect.looks == 0 and not said.leaning:
        # How many were left out for want of time is said once, in the summary.
        return before if said.skipped else replace(before, night=replace(night, state=before.night.state))
    if not said.pairs or said.skipped:
        # Nothing was compared. An open suspicion is due again tomorrow, any other one if it is still there.
        still = OpenSuspicion(suspect=suspect) if suspect.looks else before.open
        return _Settled(night=night, decided=None if said.skipped else decided, open=still)
    looks = suspect.looks + 1
    if looks >= MOST_LOOKS:
        return _closed(night, suspect, said, run)
    wait = WAITS[min(looks, len(WAITS)) - 1]
    reason = f"{said.reason}; compared again in {units.nights(wait)}"
    good = said.good_sha256 or suspect.good_sha256
    longer = replace(suspect, looks=looks, log_ratios=said.log_ratios, good_sha256=good)
    return _Settled(night=replace(night, reason=reason), decided=decided, open=OpenSuspicion(suspect=longer, wait=wait))


def _closed(night: SeriesNight, suspect: Suspect, said: Confirmation, run: RunFacts) -> _Settled:
    reason = f"{said.pairs} pairs on {MOST_LOOKS} nights show no sure difference between the two files"
    refuted = replace(said, decision=Decision.REFUTED, reason=reason)
    decided = None if suspect.trigger in UNPROMPTED else _decided(suspect, refuted, run)
    return _Settled(night=replace(night, state=State.NONE, confirmation=refuted, reason=reason), decided=decided)


def _decided(suspect: Suspect, said: Confirmation, run: RunFacts) -> Decided:
    return Decided(
        series=suspect.series,
        first_run=suspect.first_run,
        seen_run=run.name,
        decision=said.decision,
        ratio=said.ratio,
        low=said.low,
        high=said.high,
    )


def _sampled(cause: Cause, said: Mapping[str, Confirmation]) -> CommonShift:
    """The shift with the outcome of its sample."""
    # A comparison that was skipped, because the budget was used up, says nothing.
    looked = [said[name] for name in cause.sample if name in said and said[name].pairs]
    confirmed = [c for c in looked if c.decision is Decision.CONFIRMED and c.worse is cause.shift.worse]
    return replace(cause.shift, sampled=len(looked), confirmed=len(confirmed))


def _with_cause(settled: _Settled, one: SeriesTonight, cause: Cause, run: RunFacts) -> _Settled:
    """A member of a common shift: its level begins with that of the others, unless it has a verdict of its own."""
    shift = cause.shift
    if settled.decided is not None and settled.decided.decision is not Decision.UNDECIDED:
        return settled
    # What the device does, it does to all of them; files may have changed in some of them only.
    if not (one.night.series in cause.moved if shift.by_files else shift.lasting):
        return settled
    decision = Decision.CONFIRMED if shift.by_files else Decision.DRIFT
    decided = Decided(
        series=one.night.series,
        first_run=first_of_level(cause, one.history, run),
        seen_run=run.name,
        decision=decision,
        ratio=shift.ratio,
        low=None,
        high=None,
    )
    if shift.by_files:
        reason = f"shares a shift of {shift.series} series, which side by side was confirmed in a sample of them"
        return _Settled(night=replace(settled.night, state=State.SUSPICIOUS, reason=reason), decided=decided)
    reason = f"shares a shift of {shift.series} series that lasts, so a new level begins"
    return _Settled(night=replace(settled.night, state=State.NONE, reason=reason), decided=decided)


def _pinned(
    pins: Sequence[Pinned], suspects: Sequence[Suspect], said: Mapping[str, Confirmation]
) -> tuple[Pinned, ...]:
    """The pins after the comparisons with the baseline."""
    compared = {
        s.series: said[s.series]
        for s in suspects
        if s.trigger is Trigger.BASELINE and s.series in said and not said[s.series].skipped
    }
    return tuple(after_look(p, told=_told(compared[p.series])) if p.series in compared else p for p in pins)


def _told(said: Confirmation) -> float | None:
    confirmed = said.decision is Decision.CONFIRMED and said.ratio is not None
    return math.log(said.ratio) if confirmed and said.ratio else None
