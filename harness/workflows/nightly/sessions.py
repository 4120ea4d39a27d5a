"""All comparisons of a night, cell by cell: which artifacts, on which device, within the budget of the night.

Each outcome is in the journal before the next comparison starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.build import BuildOutcome
from harness.artifacts.sources.prepared_model import as_prepared
from harness.devices.registry import open_device
from harness.errors import DeviceError, StoreError, UsageError
from harness.history.database import History
from harness.history.records import Night
from harness.measure.deploy import deploy_artifact
from harness.measure.job import Job
from harness.measure.pairs import PairPlan
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
from harness.workflows.nightly.artifacts import find_kept, last_good
from harness.workflows.nightly.confirm import (
    confirm_by_pairs,
    confirm_by_record,
    differing_data,
    same_file,
    unconfirmed,
)
from harness.workflows.nightly.record import Compared, Confirmation, Journal, Suspect, Trigger
from harness.workflows.signatures import bundle_for

Nights = Mapping[str, Sequence[Night]]

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


def confirm_all(journal: Journal, tools: ConfirmationTools, run: RunRecord, nights: Nights) -> None:
    """Compare every suspect in the journal that has no outcome yet, in order, until the budget is used up.

    ``nights``: the earlier nights by series. Suspects of one cell share its sessions. If a device is lost, its suspects
    stay undecided. Raises `StoreError`.
    """
    done = {confirmation.series for confirmation in journal.record.confirmations}
    by_cell: dict[str, list[Suspect]] = {}
    for suspect in journal.record.suspects or ():
        if suspect.series not in done:
            by_cell.setdefault(suspect.cell, []).append(suspect)
    if not by_cell:
        return
    cells = {cell.key: cell for cell in run.head.plan.cells}
    budget_min = journal.record.budget_min
    until = tools.clock() + 60 * budget_min
    tools.progress.start("confirm", len(by_cell))
    try:
        for key, suspects in by_cell.items():
            tools.progress.begin(key)
            late = tools.clock() >= until
            started_at = utc_now()
            confirmations = _CellConfirmation(journal, tools, run, cells[key]).confirm(suspects, nights, late=late)
            compared = journal.record.compared
            if any(confirmation.pairs for confirmation in confirmations):
                compared += (Compared(device=cells[key].device, started_at=started_at, ended_at=utc_now()),)
            journal.note(confirmations=(*journal.record.confirmations, *confirmations), compared=compared)
            tools.progress.step(key, ", ".join(c.decision.value for c in confirmations))
    finally:
        tools.progress.finish()


class _CellConfirmation:
    """The comparisons of one cell."""

    def __init__(self, journal: Journal, tools: ConfirmationTools, run: RunRecord, cell: Cell) -> None:
        self._journal, self._tools, self._run, self._cell = journal, tools, run, cell

    def confirm(self, suspects: Sequence[Suspect], nights: Nights, *, late: bool) -> tuple[Confirmation, ...]:
        """Return one confirmation per suspect; if it is ``late``, without a session."""
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
        for (good, new), group in by_files.items():
            if late:
                confirmations += [self._too_late(suspect) for suspect in group]
            else:
                confirmations += self._by_pairs(good, new, group)
        return tuple(confirmations)

    def _good(self, suspect: Suspect, nights: Sequence[Night]) -> str | None:
        """The digest of the artifact to compare with."""
        if suspect.looks or suspect.trigger not in (Trigger.SCREEN, Trigger.STEP):
            return suspect.good_sha256
        # The good night of a suspicion is an estimate, so a kept artifact near it will do.
        return last_good(self._tools.history, self._results, nights, suspect)

    def _too_late(self, suspect: Suspect) -> Confirmation:
        minutes = f"{self._journal.record.budget_min:g}"
        reason = f"the night's {minutes} minutes for comparisons were used up; --budget gives it more"
        return unconfirmed(suspect, reason, skipped=True)

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

    def _by_pairs(self, good: str, new: str, suspects: Sequence[Suspect]) -> tuple[Confirmation, ...]:
        jobs = self._job(good), self._job(new)
        if jobs[0] is None or jobs[1] is None:
            return tuple(unconfirmed(suspect, NONE_KEPT) for suspect in suspects)
        pair = jobs[0], jobs[1]
        look = 1 + max(suspect.looks for suspect in suspects)
        plan = replace(self._tools.plan, sure=level_of(look))
        try:
            with ExitStack() as stack:
                device = stack.enter_context(open_device(self._cell.device, self._tools.checked.spec.settings))
                for job in pair:
                    deploy_artifact(device, job.artifact)
                gates = stack.enter_context(gates_of({self._cell.device: device}, self._results))
                gate = gates[self._cell.device]
                said = confirm_by_pairs(suspects, pair, gate, self._journal, plan=plan)
        except DeviceError as error:
            return tuple(unconfirmed(suspect, f"the device was lost: {error}") for suspect in suspects)
        return tuple(replace(confirmation, good_sha256=good) for confirmation in said)

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
