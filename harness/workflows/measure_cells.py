"""Builds what cells need and measures each; a failure costs one cell."""

from __future__ import annotations

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import RUNNABLE, Artifact, ArtifactState
from harness.artifacts.sources.made_variant import find_varied
from harness.errors import IncompleteError, UsageError
from harness.measure.cell import Job, unmeasured
from harness.measure.gate import Gate
from harness.measure.parallel import Setup, measure_jobs
from harness.model.card import ModelCard
from harness.plan.cells import Cell, Plan
from harness.progress import Progress
from harness.records.measurement import CellStatus, Measurement
from harness.spec.profiles import PROFILES
from harness.store.records import ModelFacts
from harness.store.writer import RunWriter
from harness.system.clock import utc_now
from harness.workflows.bench import Bench, how_to_resume
from harness.workflows.check import Checked, order_of


def enter_holes(plan: Plan, writer: RunWriter) -> None:
    """Store the holes of ``plan`` with their reasons, each once."""
    known = {measurement.cell for measurement in writer.record().measurements}
    for hole in plan.holes:
        if hole.cell.key not in known:
            writer.add(unmeasured(hole.cell, CellStatus.UNSUPPORTED, hole.reason, utc_now))


def measure_cells(checked: Checked, cells: tuple[Cell, ...], bench: Bench) -> None:
    """Build what ``cells`` need and measure each; whatever goes wrong costs one cell and is stored with its reason.

    Raises `UsageError` when a model has changed since the run began, `IncompleteError` when a device is gone.
    """
    writer, tools = bench.writer, bench.tools
    builds = tuple(dict.fromkeys(cell.build for cell in cells))
    outcome = build_artifacts(order_of(checked, builds), tools.cache, tools.progress)
    facts = model_facts(checked.cards, outcome)
    refuse_change("a model or its data has", _digests(writer.head.models), _digests(facts))
    writer.update(models=facts)
    todo = _enter_unbuilt(cells, outcome, writer)
    _measure_all(_jobs(checked, todo, outcome, tools.cache), bench.gates, writer, tools.progress)


def _digests(models: tuple[ModelFacts, ...]) -> dict[str, str]:
    return {model.name: f"{model.weights_sha256} {model.data_sha256}" for model in models}


def refuse_change(what: str, before: dict[str, str], now: dict[str, str]) -> None:
    """Raise `UsageError` when something known of a stored run differs now: its cells would not be comparable."""
    changed = [name for name, value in before.items() if now.get(name) not in (None, value)]
    if changed:
        msg = f"{what} changed since this run began ({', '.join(changed)}): start a new run"
        raise UsageError(msg)


def _enter_unbuilt(cells: tuple[Cell, ...], outcome: BuildOutcome, writer: RunWriter) -> tuple[Cell, ...]:
    """Store the cells whose artifact was not made, with the reason; return the others."""
    todo: list[Cell] = []
    for cell in cells:
        artifact = outcome.artifacts.get(cell.build)
        if artifact is not None and artifact.manifest.state in RUNNABLE:
            todo.append(cell)
            continue
        writer.add(_unbuilt(cell, artifact, outcome))
    return tuple(todo)


def _unbuilt(cell: Cell, artifact: Artifact | None, outcome: BuildOutcome) -> Measurement:
    if artifact is None:
        reason = outcome.model_failures.get(cell.model, "the build did not get to it")
        return unmeasured(cell, CellStatus.FAILED, reason, utc_now)
    status = {
        ArtifactState.BROKEN: CellStatus.BROKEN,
        ArtifactState.UNSUPPORTED: CellStatus.UNSUPPORTED,
    }.get(artifact.manifest.state, CellStatus.FAILED)
    reason = artifact.manifest.reason or "the build gave no reason"
    where = f" (log: {artifact.manifest.log})" if artifact.manifest.log else ""
    return unmeasured(cell, status, reason + where, utc_now)


def _jobs(checked: Checked, cells: tuple[Cell, ...], outcome: BuildOutcome, cache: Cache) -> list[Job]:
    recipes = checked.spec.recipes()
    cards = {card.name: card for card in checked.cards}
    return [
        Job(
            cell=cell,
            card=cards[cell.model],
            artifact=outcome.artifacts[cell.build],
            model=outcome.models[cell.model],
            profile=PROFILES[cell.profile],
            launches=checked.spec.launches,
            timeout_s=checked.spec.timeout,
            varied=find_varied(cache, outcome.models[cell.model], recipes.get(cell.variant)),
        )
        for cell in cells
    ]


def _measure_all(jobs: list[Job], gates: dict[str, Gate], writer: RunWriter, progress: Progress) -> None:
    """Run every job. Raises `IncompleteError` when some did not run, with the reasons."""
    losses = measure_jobs(jobs, Setup(gates=gates, sink=writer, progress=progress))
    pending = sum(lost.cells for lost in losses)
    if not pending:
        return
    told = [reason for lost in losses for reason in (*lost.reasons, *lost.in_a_row[-1:])]
    reasons = "; ".join(dict.fromkeys(told)) or "a device went away for a time"
    msg = f"{reasons}. {pending} of {len(jobs)} cells did not run; {how_to_resume(writer)}"
    raise IncompleteError(msg)


def model_facts(cards: tuple[ModelCard, ...], outcome: BuildOutcome) -> tuple[ModelFacts, ...]:
    """Return what a run stores of its models; a model that could not be prepared has no facts."""
    facts: list[ModelFacts] = []
    for card in cards:
        model = outcome.models.get(card.name)
        if model is None:
            continue
        known = model.facts
        facts.append(
            ModelFacts(
                name=card.name,
                task=card.task.value,
                license=card.license,
                source=card.source,
                whole=card.whole.name if card.whole else None,
                random_weights=card.random_weights,
                weights_sha256=known.weights_sha256,
                data_sha256=None if known.random_inputs else known.data_sha256,
                parameters=known.parameters,
                test_count=known.test_count,
                calibration_count=known.calibration_count,
                labelled=known.labelled,
                float_correct=None if card.random_weights else known.float_correct,
            )
        )
    return tuple(facts)
