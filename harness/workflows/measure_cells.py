"""Builds the artifacts of a run's cells and measures the cells; a failure costs one cell."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.artifacts.build import BuildOrder, BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import RUNNABLE, Artifact, ArtifactState
from harness.artifacts.sealed import KEY_VARIABLE
from harness.artifacts.sources.made_variant import find_varied
from harness.artifacts.sources.prepared_model import PreparedModel, as_prepared
from harness.errors import IncompleteError, UsageError
from harness.farm.builds.ahead import BuildsAhead, usable_hosts
from harness.farm.errands import CellErrand
from harness.measure.cell import unmeasured
from harness.measure.job import Job
from harness.measure.parallel import Losses, Setup, measure_jobs
from harness.model.card import ModelCard
from harness.plan.cells import Cell, Plan
from harness.readers.read import read_graph
from harness.records.measurement import CellStatus, Measurement
from harness.spec.profiles import PROFILES
from harness.store.records import ModelFacts
from harness.store.writer import RunWriter
from harness.system.clock import utc_now
from harness.workflows.bench import FarmBuilds, OpenRun
from harness.workflows.check import Checked, order_of
from harness.workflows.signatures import bundle_for, refuse_unsigned

log = logging.getLogger(__name__)


def store_holes(plan: Plan, writer: RunWriter) -> None:
    """Store the holes of ``plan`` with their reasons; those that are stored already stay as they are."""
    stored = {measurement.cell for measurement in writer.record().measurements}
    for hole in plan.holes:
        if hole.cell.key not in stored:
            writer.add(unmeasured(hole.cell, CellStatus.UNSUPPORTED, hole.reason, utc_now))


def measure_cells(checked: Checked, cells: tuple[Cell, ...], run: OpenRun) -> None:
    """Build the artifacts of ``cells`` and measure each cell; a failure costs one cell and is stored with its reason.

    Raises `UsageError` when a model has changed since the run began, `IncompleteError` when a device went away.
    """
    builds = tuple(dict.fromkeys(cell.build for cell in cells))
    if run.builds is not None and builds_elsewhere(order_of(checked, builds), run.builds):
        measure_while_building(checked, cells, run)
    else:
        _measure_all(build_jobs(checked, cells, run), run)


def build_jobs(checked: Checked, cells: tuple[Cell, ...], run: OpenRun) -> list[Job]:
    """Build the artifacts of ``cells`` and return what is to be measured; the other cells are stored with the reason.

    Raises `UsageError` when a model has changed since the run began.
    """
    builds = tuple(dict.fromkeys(cell.build for cell in cells))
    outcome = build_artifacts(order_of(checked, builds), run.cache, run.progress)
    refuse_unsigned(outcome.artifacts.values(), checked.verified)
    _store_facts(checked, outcome, run)
    return _ready_jobs(checked, cells, outcome, run)


def measure_while_building(checked: Checked, cells: tuple[Cell, ...], run: OpenRun) -> None:
    """Measure each cell on the farm once its file was built there. Raises as `measure_cells`."""
    assert run.builds is not None
    assert run.engine is not None
    builds = tuple(dict.fromkeys(cell.build for cell in cells))
    # That of the command, which may be more than the stored spec of a resumed run requires.
    orderer = replace(run.builds.orderer, signed=checked.spec.require_signature is not None)
    ahead = BuildsAhead(order_of(checked, builds), run.cache, run.builds.post, orderer, run.progress)
    run.progress.start("measure", len(cells))
    ahead.start()
    feed = _Built(checked=checked, cells=cells, run=run, ahead=ahead)
    try:
        losses = run.engine.run_errands((), run.progress, feed=feed)
    finally:
        ahead.close()
    _refuse_losses(losses, len(cells), run)


@dataclass(slots=True, kw_only=True)
class _Built:
    """What the engine gets to do: the cells whose files have been built."""

    checked: Checked
    cells: tuple[Cell, ...]
    run: OpenRun
    ahead: BuildsAhead
    models: dict[str, PreparedModel] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.ahead.open

    def take(self) -> list[CellErrand]:
        jobs = [job for outcome in self.ahead.take() for job in self._jobs(outcome)]
        return [CellErrand(job=job, sink=self.run.writer) for job in jobs]

    def _jobs(self, outcome: BuildOutcome) -> list[Job]:
        refuse_unsigned(outcome.artifacts.values(), self.checked.verified)
        if not outcome.models.keys() <= self.models.keys():
            self.models |= outcome.models
            _store_facts(self.checked, BuildOutcome(models=self.models), self.run)
        cells = tuple(cell for cell in self.cells if cell.build in outcome.artifacts)
        jobs = _ready_jobs(self.checked, cells, outcome, self.run)
        measured = {job.cell.key for job in jobs}
        for cell in cells:
            if cell.key not in measured:
                self.run.progress.step(cell.key, "not built")
        return jobs


def _store_facts(checked: Checked, outcome: BuildOutcome, run: OpenRun) -> None:
    """Store what is known of the models so far, before any cell of theirs is measured.

    A resumed run compares the digests with these. It may build only some of its models.
    """
    facts, before = model_facts(checked.cards, outcome), run.writer.head.models
    refuse_change("a model or its data has", _digests(before), _digests(facts))
    known = {one.name: one for one in (*before, *facts)}
    order = [card.name for card in checked.cards]
    run.writer.update(models=tuple(known[name] for name in dict.fromkeys((*order, *known)) if name in known))


def _ready_jobs(checked: Checked, cells: tuple[Cell, ...], outcome: BuildOutcome, run: OpenRun) -> list[Job]:
    """Store the cells whose artifact was not made, and return the jobs of the others."""
    runnable = _store_unbuilt(cells, outcome, run.writer)
    _keep_graphs(runnable, outcome, run.writer)
    return _jobs(checked, runnable, outcome, run.cache)


def builds_elsewhere(order: BuildOrder, builds: FarmBuilds) -> bool:
    """Return whether a farm has hosts that can build ``order``; those that cannot are reported."""
    if os.environ.get(KEY_VARIABLE):
        log.info("the files are built here: the cache is encrypted, and a build host would see the model")
        return False
    return bool(usable_hosts(order, builds.post))


def _digests(models: tuple[ModelFacts, ...]) -> dict[str, str]:
    return {model.name: f"{model.weights_sha256} {model.data_sha256}" for model in models}


def refuse_change(what: str, before: dict[str, str], now: dict[str, str]) -> None:
    """Raise `UsageError` when a value in ``before`` differs in ``now``: old and new cells would not be comparable.

    A name that ``now`` lacks is no change. ``what`` begins the sentence, such as ``the installed packages have``.
    """
    changed = [name for name, value in before.items() if now.get(name) not in (None, value)]
    if changed:
        msg = f"{what} changed since this run began ({', '.join(changed)}): start a new run"
        raise UsageError(msg)


def _store_unbuilt(cells: tuple[Cell, ...], outcome: BuildOutcome, writer: RunWriter) -> tuple[Cell, ...]:
    """Store the cells whose artifact was not made, with the reason; return the others."""
    runnable: list[Cell] = []
    for cell in cells:
        artifact = outcome.artifacts.get(cell.build)
        if artifact is not None and artifact.manifest.state in RUNNABLE:
            runnable.append(cell)
            continue
        writer.add(_unbuilt(cell, artifact, outcome))
    return tuple(runnable)


def _keep_graphs(cells: tuple[Cell, ...], outcome: BuildOutcome, writer: RunWriter) -> None:
    """Store the network in each file: the report draws it, and the cache may be empty by then."""
    # Before anything is measured, because reading takes processor time of this computer.
    for artifact in {cell.build: outcome.artifacts[cell.build] for cell in cells}.values():
        sha256, path = artifact.manifest.sha256, artifact.path
        graph = read_graph(path, artifact.manifest.format) if path is not None else None
        if graph is not None and graph.nodes and sha256 is not None:
            writer.keep_graph(graph, sha256)


def _unbuilt(cell: Cell, artifact: Artifact | None, outcome: BuildOutcome) -> Measurement:
    if artifact is None:
        reason = outcome.model_failures.get(cell.model, "the build did not reach it")
        return unmeasured(cell, CellStatus.FAILED, reason, utc_now)
    status = {
        ArtifactState.BROKEN: CellStatus.BROKEN,
        ArtifactState.UNSUPPORTED: CellStatus.UNSUPPORTED,
    }.get(artifact.manifest.state, CellStatus.FAILED)
    reason = artifact.manifest.reason or "the build gave no reason"
    where = f" (log: {artifact.manifest.log})" if artifact.manifest.log else ""
    where += f"; the file is kept: {artifact.path}" if artifact.path else ""
    return unmeasured(cell, status, reason + where, utc_now)


def _jobs(checked: Checked, cells: tuple[Cell, ...], outcome: BuildOutcome, cache: Cache) -> list[Job]:
    recipes = checked.spec.recipes()
    cards = {card.name: card for card in checked.cards}
    return [
        Job(
            cell=cell,
            card=as_prepared(cards[cell.model], outcome.models[cell.model]),
            artifact=outcome.artifacts[cell.build],
            model=outcome.models[cell.model],
            profile=PROFILES[cell.profile],
            launches=checked.spec.launches,
            timeout_s=checked.spec.timeout,
            varied=find_varied(cache, outcome.models[cell.model], recipes.get(cell.variant)),
            operators=checked.spec.operators,
            signature=bundle_for(outcome.artifacts[cell.build], cards[cell.model], checked.spec),
        )
        for cell in cells
    ]


def _measure_all(jobs: list[Job], run: OpenRun) -> None:
    """Run every job. Raises `IncompleteError` when some did not run, with the reasons."""
    near = [job for job in jobs if job.cell.device in run.gates]
    losses = measure_jobs(near, Setup(gates=run.gates, sink=run.writer, progress=run.progress)) if near else ()
    if run.engine is not None:
        far = [job for job in jobs if job.cell.device not in run.gates]
        losses += run.engine.measure(far, run.writer, run.progress)
    _refuse_losses(losses, len(jobs), run)


def _refuse_losses(losses: Sequence[Losses], cells: int, run: OpenRun) -> None:
    """Raise `IncompleteError` when some of ``cells`` did not run, with the reasons."""
    pending = sum(lost.cells for lost in losses)
    if not pending:
        return
    gone = {lost.device: lost.gone for lost in losses if lost.gone}
    reasons = dict.fromkeys(reason for lost in losses for reason in (*lost.reasons, *lost.in_a_row[-1:]))
    why = "; ".join(reasons) or "a device was away for a time"
    # What concerns one cell, such as a missing signature, is the same for a run that is resumed as it is.
    first = "once the reason is gone, " if any(lost.reasons for lost in losses) else ""
    msg = f"{why}. {pending} of {cells} cells did not run; {first}{run.places.how_to_resume(run.writer.head)}"
    raise IncompleteError(msg, lost=gone)


def model_facts(cards: tuple[ModelCard, ...], outcome: BuildOutcome) -> tuple[ModelFacts, ...]:
    """Return what a run stores about its models; a model that could not be prepared is left out."""
    facts: list[ModelFacts] = []
    for card in cards:
        model = outcome.models.get(card.name)
        if model is None:
            continue
        prepared, random_weights = model.facts, as_prepared(card, model).random_weights
        facts.append(
            ModelFacts(
                name=card.name,
                task=card.task.value,
                license=card.license,
                source=card.source,
                whole=card.whole.name if card.whole else None,
                metric=card.metric,
                random_weights=random_weights,
                weights_sha256=prepared.weights_sha256,
                data_sha256=None if prepared.random_inputs else prepared.data_sha256,
                parameters=prepared.parameters,
                test_count=prepared.test_count,
                calibration_count=prepared.calibration_count,
                labelled=prepared.labelled,
                float_correct=None if random_weights else prepared.float_correct,
                float_answers=None if random_weights else prepared.float_answers,
                inputs=prepared.inputs,
            )
        )
    return tuple(facts)
