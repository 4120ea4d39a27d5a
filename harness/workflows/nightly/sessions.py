"""All comparisons of a night, cell by cell: which artifacts, on which device, within the budget of the night.

Each outcome is in the journal before the next comparison starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.build import BuildOutcome
from harness.artifacts.sources.prepared_model import as_prepared
from harness.devices.registry import open_device
from harness.errors import DeviceError, StoreError, UsageError
from harness.farm.engine import FarmRun
from harness.farm.errands import PairErrand
from harness.farm.link import DepotError
from harness.history.database import History
from harness.history.records import Night
from harness.measure.job import Job
from harness.measure.pairs import PairPlan, RanPairs, launch_pairs
from harness.plan.cells import Cell
from harness.progress import Progress
from harness.records.measurement import Measurement
from harness.records.metrics import metric_named
from harness.spec.profiles import PROFILES, ProfileName
from harness.stats.looks import level_of
from harness.store.reader import load_run
from harness.store.records import RunRecord
from harness.system.clock import utc_now
from harness.workflows.bench import Places, gates_of
from harness.workflows.check import Checked
from harness.workflows.farmed import farm_of
from harness.workflows.nightly.artifacts import find_kept, last_good
from harness.workflows.nightly.confirm import (
    confirm_by_pairs,
    confirm_by_record,
    differing_data,
    pair_of,
    same_file,
    unconfirmed,
)
from harness.workflows.nightly.record import Compared, Confirmation, Journal, Suspect, Trigger
from harness.workflows.signatures import bundle_for

Nights = Mapping[str, Sequence[Night]]
# The outcomes of a cell that need no session, and its sessions.
_CellAgenda = tuple[tuple[Confirmation, ...], tuple["_Session", ...]]

NONE_KEPT = "no artifact of an earlier night is kept here, so there is nothing to compare tonight's with"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationTools:
    """What comparisons need: tonight's models and artifacts, the history, where things are kept, and a clock (s)."""

    history: History
    places: Places
    progress: Progress
    plan: PairPlan
    outcome: BuildOutcome
    checked: Checked
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """The comparison of two artifacts of a cell, for all suspects that it answers."""

    cell: Cell
    good: str
    new: str
    suspects: tuple[Suspect, ...]
    pair: tuple[Job, Job]
    plan: PairPlan

    @property
    def key(self) -> str:
        """Its name within the night."""
        return f"{self.cell.key}-pairs-{self.good[:12]}-{self.new[:12]}"

    def judged(self, ran: RanPairs) -> tuple[Confirmation, ...]:
        said = confirm_by_pairs(self.suspects, ran, self.plan)
        return tuple(replace(confirmation, good_sha256=self.good) for confirmation in said)

    def lost(self, reason: str) -> tuple[Confirmation, ...]:
        return self.unanswered(f"the device was lost: {reason}")

    def unanswered(self, reason: str) -> tuple[Confirmation, ...]:
        return tuple(unconfirmed(suspect, reason) for suspect in self.suspects)

    def too_late(self, budget_min: float) -> tuple[Confirmation, ...]:
        reason = f"the night's {budget_min:g} minutes for comparisons were used up; --budget gives it more"
        return tuple(unconfirmed(suspect, reason, skipped=True) for suspect in self.suspects)


def confirm_all(journal: Journal, tools: ConfirmationTools, run: RunRecord, nights: Nights) -> None:
    """Compare every suspect in the journal that has no outcome yet, in order, until the budget is used up.

    ``nights``: the earlier nights by series. Suspects of one cell share its sessions. Here, one session follows the
    other; on a farm, every device has its own. If a device is lost, its suspects stay undecided. Raises `StoreError`.
    """
    done = {confirmation.series for confirmation in journal.record.confirmations}
    by_cell: dict[str, list[Suspect]] = {}
    for suspect in journal.record.suspects or ():
        if suspect.series not in done:
            by_cell.setdefault(suspect.cell, []).append(suspect)
    if not by_cell:
        return
    cells = {cell.key: cell for cell in run.head.plan.cells}
    agenda = {key: _Agenda(journal, tools, run, cells[key]).of(group, nights) for key, group in by_cell.items()}
    until = tools.clock() + 60 * journal.record.budget_min
    if tools.places.farm.place is None:
        _confirm_here(agenda, journal, tools, until)
    else:
        _confirm_on_farm(agenda, journal, tools, until)


def _confirm_here(agenda: Mapping[str, _CellAgenda], journal: Journal, tools: ConfirmationTools, until: float) -> None:
    """Run one session after the other. Each cell is in the journal before the next one starts."""
    tools.progress.start("confirm", len(agenda))
    try:
        for key, (confirmations, sessions) in agenda.items():
            tools.progress.begin(key)
            late, said, compared = tools.clock() >= until, list(confirmations), list[Compared]()
            for session in sessions:
                if late:
                    said += session.too_late(journal.record.budget_min)
                    continue
                ran = _run_here(session, journal, tools)
                said += session.lost(ran) if isinstance(ran, str) else session.judged(ran)
                compared += [] if isinstance(ran, str) else [_compared(session, ran)]
            _note(journal, said, compared)
            tools.progress.step(key, ", ".join(c.decision.value for c in said))
    finally:
        tools.progress.finish()


def _run_here(session: _Session, journal: Journal, tools: ConfirmationTools) -> RanPairs | str:
    """Run a session on a device of this computer; return why there is none if the device is lost."""
    key, results = session.cell.device, tools.places.results
    try:
        with (
            open_device(key, tools.checked.spec.settings) as device,
            gates_of({key: device}, results) as gates,
        ):
            return launch_pairs(session.pair, gates[key], journal, utc_now, session.plan)
    except DeviceError as error:
        return str(error)


def _confirm_on_farm(
    agenda: Mapping[str, _CellAgenda], journal: Journal, tools: ConfirmationTools, until: float
) -> None:
    """Run the sessions on the farm, those of one device one after the other. Each is in the journal once it is taken.

    A night that is resumed finds sessions that ended meanwhile under their names, and does not repeat them.
    """
    _note(journal, [one for confirmations, _ in agenda.values() for one in confirmations])
    sessions = [session for _, planned in agenda.values() for session in planned]
    if not sessions:
        return
    errands = [_errand(session, journal, in_time=lambda: tools.clock() < until) for session in sessions]
    choice = tools.places.farm
    farm_run = FarmRun(
        run=f"{journal.record.id}-pairs",
        fetched=journal.folder / "farm",
        settings=tools.checked.spec.settings,
        priority=choice.priority,
        patience_s=choice.patience_s,
    )
    try:
        with farm_of(choice, farm_run) as engine:
            tools.progress.start("confirm", len(sessions))
            engine.run_errands(errands, tools.progress, window=1)
    except (DepotError, UsageError) as error:
        for session in sessions:
            if not _answered(session, journal):
                _note(journal, session.unanswered(str(error)))
    # What is left was never started.
    for session in sessions:
        if not _answered(session, journal):
            _note(journal, session.too_late(journal.record.budget_min))


def _errand(session: _Session, journal: Journal, in_time: Callable[[], bool]) -> PairErrand:
    def took(ran: RanPairs) -> str:
        said = session.judged(ran)
        _note(journal, said, [_compared(session, ran)])
        return ", ".join(confirmation.decision.value for confirmation in said)

    def lost(reason: str) -> None:
        if not _answered(session, journal):
            _note(journal, session.lost(reason))

    return PairErrand(
        key=session.key,
        jobs=session.pair,
        plan=session.plan,
        keeper=journal,
        took=took,
        lost=lost,
        in_time=in_time,
    )


def _answered(session: _Session, journal: Journal) -> bool:
    done = {confirmation.series for confirmation in journal.record.confirmations}
    return any(suspect.series in done for suspect in session.suspects)


def _compared(session: _Session, ran: RanPairs) -> Compared:
    return Compared(device=session.cell.device, started_at=ran.started_at, ended_at=ran.ended_at)


def _note(journal: Journal, confirmations: Sequence[Confirmation], compared: Sequence[Compared] = ()) -> None:
    record = journal.record
    if confirmations:
        journal.note(confirmations=(*record.confirmations, *confirmations), compared=(*record.compared, *compared))


class _Agenda:
    """What there is to compare of one cell."""

    def __init__(self, journal: Journal, tools: ConfirmationTools, run: RunRecord, cell: Cell) -> None:
        self._journal, self._tools, self._run, self._cell = journal, tools, run, cell

    def of(self, suspects: Sequence[Suspect], nights: Nights) -> _CellAgenda:
        """Return the outcomes that need no session, and the sessions that the others need."""
        confirmations: list[Confirmation] = []
        by_files: dict[tuple[str, str], list[Suspect]] = {}
        for suspect in suspects:
            if metric_named(suspect.metric).exact or suspect.trigger is Trigger.GARBAGE:
                confirmations.append(self._by_record(suspect))
            elif suspect.good_sha256 == suspect.sha256:
                confirmations.append(same_file(suspect))
            else:
                good = self._good(suspect, nights[suspect.series])
                # Suspects with the same two artifacts share one session: it measures all metrics at once.
                by_files.setdefault((good or "", suspect.sha256), []).append(suspect)
        sessions: list[_Session] = []
        for (good, new), group in by_files.items():
            if session := self._session(good, new, group):
                sessions.append(session)
            else:
                confirmations += [unconfirmed(suspect, NONE_KEPT) for suspect in group]
        return tuple(confirmations), tuple(sessions)

    def _session(self, good: str, new: str, suspects: Sequence[Suspect]) -> _Session | None:
        """The session of two artifacts; None if one of them is not kept."""
        jobs = self._job(good), self._job(new)
        if jobs[0] is None or jobs[1] is None:
            return None
        look = 1 + max(suspect.looks for suspect in suspects)
        return _Session(
            cell=self._cell,
            good=good,
            new=new,
            suspects=tuple(suspects),
            pair=pair_of(jobs[0], jobs[1]),
            plan=replace(self._tools.plan, sure=level_of(look)),
        )

    def _good(self, suspect: Suspect, nights: Sequence[Night]) -> str | None:
        """The digest of the artifact to compare with."""
        if suspect.looks or suspect.trigger not in (Trigger.SCREEN, Trigger.STEP):
            return suspect.good_sha256
        # The good night of a suspicion is an estimate, so a kept artifact near it will do.
        return last_good(self._tools.history, self._results, nights, suspect)

    @property
    def _results(self) -> Path:
        return self._tools.places.results

    def _by_record(self, suspect: Suspect) -> Confirmation:
        tonight = _measurement(self._run, suspect.cell)
        if tonight is None:
            return unconfirmed(suspect, "tonight's measurement no longer exists")
        good = None
        with suppress(UsageError, StoreError):
            run = load_run(self._results, suspect.good_run)
            good = _measurement(run, suspect.cell)
            if good is not None and (unlike := differing_data(suspect, self._cell, (run, good), (self._run, tonight))):
                return unconfirmed(suspect, unlike)
        return confirm_by_record(suspect, self._cell, good, tonight)

    def _job(self, sha256: str) -> Job | None:
        """A job for tonight's cell with the kept artifact of that digest; None without the artifact or its model."""
        tools, cell = self._tools, self._cell
        kept = find_kept(tools.history, self._results, sha256) if sha256 else None
        model, artifact = tools.outcome.models.get(cell.model), tools.outcome.artifacts.get(cell.build)
        if kept is None or model is None or artifact is None:
            return None
        card = next(card for card in tools.checked.cards if card.name == cell.model)
        file = kept.as_artifact(artifact)
        return Job(
            cell=cell,
            card=as_prepared(card, model),
            artifact=file,
            model=model,
            profile=PROFILES[cell.profile if PROFILES[cell.profile].idle_ns else ProfileName.STANDARD],
            timeout_s=tools.checked.spec.timeout,
            signature=bundle_for(file, card, tools.checked.spec),
        )


def _measurement(run: RunRecord, cell: str) -> Measurement | None:
    return next((m for m in run.measurements if m.cell == cell), None)
