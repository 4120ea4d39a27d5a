"""All confirmations of a night, cell by cell: which artifacts to compare, on which device.

Each outcome is in the journal before the next confirmation starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.build import BuildOutcome
from harness.artifacts.manifest import Artifact
from harness.devices.registry import open_device
from harness.errors import DeviceError, StoreError, UsageError
from harness.history.database import History
from harness.history.records import Night
from harness.measure.deploy import deploy
from harness.measure.job import Job
from harness.plan.cells import Cell
from harness.progress import Progress
from harness.records.measurement import Measurement
from harness.records.metrics import metric_named
from harness.spec.profiles import PROFILES, ProfileName
from harness.store.reader import load_run
from harness.store.records import RunRecord
from harness.workflows.ab.session import PairPlan
from harness.workflows.bench import Places, gates_of
from harness.workflows.check import Checked
from harness.workflows.nightly.artifacts import kept_file, last_good
from harness.workflows.nightly.confirm import (
    confirm_by_pairs,
    confirm_by_record,
    differing_data,
    same_file,
    unconfirmed,
)
from harness.workflows.nightly.record import Confirmation, Journal, Suspect, Trigger

Nights = Mapping[str, Sequence[Night]]

NONE_KEPT = "no artifact of an earlier night is kept here, so there is nothing to compare tonight's with"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationTools:
    """What confirmations need: tonight's models and artifacts, the history, and where things are kept."""

    history: History
    places: Places
    progress: Progress
    plan: PairPlan
    outcome: BuildOutcome
    checked: Checked


def confirm_all(journal: Journal, tools: ConfirmationTools, run: RunRecord, nights: Nights) -> None:
    """Confirm every suspect in the journal that has no confirmation yet. ``nights``: the earlier nights by series.

    If a device is lost, its suspects stay undecided. Raises `StoreError`.
    """
    done = {confirmation.series for confirmation in journal.record.confirmations}
    waiting = [suspect for suspect in journal.record.suspects or () if suspect.series not in done]
    by_cell: dict[str, list[Suspect]] = {}
    for suspect in waiting:
        by_cell.setdefault(suspect.cell, []).append(suspect)
    if not by_cell:
        return
    cells = {cell.key: cell for cell in run.head.plan.cells}
    tools.progress.start("confirm", len(by_cell))
    try:
        for key, suspects in by_cell.items():
            tools.progress.begin(key)
            confirmations = _CellConfirmation(journal, tools, run, cells[key]).confirm(suspects, nights)
            journal.note(confirmations=(*journal.record.confirmations, *confirmations))
            tools.progress.step(key, ", ".join(c.decision.value for c in confirmations))
    finally:
        tools.progress.finish()


class _CellConfirmation:
    """The confirmations of one cell."""

    def __init__(self, journal: Journal, tools: ConfirmationTools, run: RunRecord, cell: Cell) -> None:
        self._journal, self._tools, self._run, self._cell = journal, tools, run, cell

    def confirm(self, suspects: Sequence[Suspect], nights: Nights) -> tuple[Confirmation, ...]:
        """Return one confirmation per suspect."""
        confirmations: list[Confirmation] = []
        by_good: dict[str, list[Suspect]] = {}
        for suspect in suspects:
            if metric_named(suspect.metric).exact or suspect.trigger is Trigger.GARBAGE:
                confirmations.append(self._by_record(suspect))
            elif suspect.good_sha256 == suspect.sha256:
                confirmations.append(same_file(suspect))
            else:
                good = last_good(self._tools.history, self._results, nights[suspect.series], suspect)
                # Suspects with the same good artifact share one session: it measures all metrics at once.
                by_good.setdefault(good or "", []).append(suspect)
        for good, group in by_good.items():
            confirmations += self._by_pairs(good, group) if good else [unconfirmed(s, NONE_KEPT) for s in group]
        return tuple(confirmations)

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

    def _by_pairs(self, good: str, suspects: Sequence[Suspect]) -> tuple[Confirmation, ...]:
        jobs = self._job(good), self._job(suspects[0].sha256)
        if jobs[0] is None or jobs[1] is None:
            return tuple(unconfirmed(suspect, NONE_KEPT) for suspect in suspects)
        pair = jobs[0], jobs[1]
        try:
            with ExitStack() as stack:
                device = stack.enter_context(open_device(self._cell.device, self._tools.checked.spec.settings))
                for job in pair:
                    if job.artifact.path is not None and job.artifact.manifest.sha256 is not None:
                        deploy(device, job.artifact.path, job.artifact.manifest.sha256)
                gates = stack.enter_context(gates_of({self._cell.device: device}, self._results))
                gate = gates[self._cell.device]
                return confirm_by_pairs(suspects, pair, gate, self._journal, plan=self._tools.plan)
        except DeviceError as error:
            return tuple(unconfirmed(suspect, f"the device was lost: {error}") for suspect in suspects)

    def _job(self, sha256: str) -> Job | None:
        """A job for tonight's cell with the kept artifact of that digest; None without the artifact or its model."""
        tools, cell = self._tools, self._cell
        path = kept_file(tools.history, self._results, sha256)
        model, artifact = tools.outcome.models.get(cell.model), tools.outcome.artifacts.get(cell.build)
        if path is None or model is None or artifact is None:
            return None
        return Job(
            cell=cell,
            card=next(card for card in tools.checked.cards if card.name == cell.model),
            artifact=Artifact(manifest=replace(artifact.manifest, sha256=sha256, bytes=path.stat().st_size), path=path),
            model=model,
            profile=PROFILES[ProfileName.STANDARD],
            timeout_s=tools.checked.spec.timeout,
        )


def _measurement(run: RunRecord, cell: str) -> Measurement | None:
    return next((m for m in run.measurements if m.cell == cell), None)
