"""A whole run: spec → plan → artifacts → devices → measurements → store → report, and the same run resumed.

The one decision: everything that can be refused is refused before the first model loads, and from then on whatever
goes wrong costs one cell and is stored with its reason.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__
from harness.artifacts.build import BuildOrder, BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import RUNNABLE, Artifact, ArtifactState
from harness.artifacts.sources.made_variant import find_varied
from harness.devices.device import Device
from harness.devices.registry import DeviceKind, expand_devices, list_devices, open_device, parse_device_key
from harness.errors import IncompleteError, InterruptedRunError, StoreError, UsageError
from harness.measure.cell import Job, unmeasured
from harness.measure.gate import Gate
from harness.measure.parallel import Table, measure_jobs
from harness.model.card import ModelCard, ModelOptions
from harness.model.read_parts import with_parts
from harness.model.resolve import resolve
from harness.plan.cells import Build, Cell, Plan
from harness.plan.formats import PACKAGES, TENSORFLOWS
from harness.plan.plan import make_plan
from harness.progress import Progress
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus, Measurement
from harness.spec.phone_settings import AS_IT_IS, check_binaries
from harness.spec.profiles import PROFILES
from harness.spec.spec import Spec
from harness.store.probes import keep_probes, read_probes
from harness.store.records import AB_FILE, ModelFacts, RunHead, RunRecord
from harness.store.writer import RunWriter, create_run, new_run_id, reopen_run
from harness.system.clock import utc_now
from harness.system.packages import versions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run keeps things."""

    results: Path
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A spec with its models found and its plan made: all that can be known without loading anything."""

    spec: Spec
    cards: tuple[ModelCard, ...]
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How a run departs from the whole of its spec in the order of its plan: what a nightly job asks for.

    ``run_id``: the id it gets, so that it is known before anything can fail. ``cells``: only those, by key. ``order``:
    seed of the order in which cells are measured, so that no cell always follows the same neighbour.
    """

    run_id: str | None = None
    cells: frozenset[str] | None = None
    order: str | None = None


WHOLE = Part()


def check(spec: Spec, *, to_run: bool = True) -> Checked:
    """Resolve every name of ``spec`` and make the plan, to run or just to build. Raises `UsageError`, `DeviceError`.

    To run, what stands for the phones that are there (``android:all``) becomes a device each.
    """
    kinds = {parse_device_key(device).kind for device in spec.device}
    if spec.settings != AS_IT_IS and kinds != {DeviceKind.ANDROID}:
        given = f"clocks {spec.clocks.value!r}, cores {spec.cores.value!r} and runner {spec.runner.value!r}"
        msg = f"{given} are for phones: name android devices alone"
        raise UsageError(msg)
    if to_run:
        check_binaries(spec.settings)
        spec = replace(spec, device=expand_devices(spec.device))
    options = ModelOptions(random_weights=spec.random_weights, inputs=spec.input, data=spec.data, seed=spec.seed)
    cards = tuple(resolve(reference, options) for reference in spec.model)
    if spec.parts:
        cards = _with_parts(cards)
    return Checked(spec=spec, cards=cards, plan=make_plan(spec, cards, to_run=to_run))


def _with_parts(cards: tuple[ModelCard, ...]) -> tuple[ModelCard, ...]:
    """Return each card followed by those of its parts, which may have been named as well."""
    if not any(card.parts for card in cards):
        msg = f"parts is asked for, and no model has any ({', '.join(c.name for c in cards)}): leave it out"
        raise UsageError(msg)
    found = {card.name: card for whole in cards for card in with_parts(whole)}
    return tuple(found.values())


def order_of(checked: Checked, builds: tuple[Build, ...]) -> BuildOrder:
    """Return ``builds`` with the models and recipes that they need."""
    return BuildOrder(cards=checked.cards, builds=builds, recipes=checked.spec.recipes())


def build(spec: Spec, places: Places, progress: Progress) -> tuple[Checked, BuildOutcome]:
    """Make every artifact of ``spec`` without running any."""
    checked = check(spec, to_run=False)
    return checked, build_artifacts(order_of(checked, checked.plan.builds), Cache(places.cache), progress)


def run(spec: Spec, places: Places, progress: Progress, *, part: Part = WHOLE) -> RunRecord:
    """Do everything ``spec`` asks for, or ``part`` of it, and return the stored run.

    Raises `UsageError`, `DeviceError` or `StoreError` before anything is measured; `InterruptedRunError` on Ctrl-C.
    """
    checked = _only(check(spec), part)
    tools = Tools(cache=Cache(places.cache), progress=progress)
    head = new_head(checked.spec, checked.plan, part.run_id)
    with create_run(places.results, head) as writer, resumable(writer):
        enter_holes(checked.plan, writer)
        with opened(checked, writer) as gates:
            cells = _ordered(checked.plan.cells, part)
            return _finished(checked, cells, Bench(writer=writer, gates=gates, tools=tools))


def _only(checked: Checked, part: Part) -> Checked:
    if part.cells is None:
        return checked
    cells = tuple(cell for cell in checked.plan.cells if cell.key in part.cells)
    return replace(checked, plan=Plan(cells=cells, holes=()))


def _ordered(cells: tuple[Cell, ...], part: Part) -> tuple[Cell, ...]:
    return cells if part.order is None else tuple(random.Random(part.order).sample(cells, len(cells)))


def resume(name: str, places: Places, progress: Progress) -> RunRecord:
    """Go on with the cells of a stored run that never got to a device. Raises as `run` does."""
    tools = Tools(cache=Cache(places.cache), progress=progress)
    with reopen_run(places.results, name) as writer, resumable(writer):
        _refuse_pairs(writer)
        checked, missing = gone_on(writer)
        with opened(checked, writer) as gates:
            return _finished(checked, missing, Bench(writer=writer, gates=gates, tools=tools))


def gone_on(writer: RunWriter) -> tuple[Checked, tuple[Cell, ...]]:
    """Return what a stored run was asked for, and its cells that never got to a device; its holes are stored.

    Raises `UsageError` when the installed packages have changed since.
    """
    _refuse_change("the installed packages have", writer.head.versions, _versions())
    checked = check(writer.head.spec)
    enter_holes(writer.head.plan, writer)
    done = {measurement.cell for measurement in writer.record().measurements if not _never_ran(measurement)}
    return checked, tuple(cell for cell in writer.head.plan.cells if cell.key not in done)


def enter_holes(plan: Plan, writer: RunWriter) -> None:
    """Store the holes of ``plan`` with their reasons, each once."""
    known = {measurement.cell for measurement in writer.record().measurements}
    for hole in plan.holes:
        if hole.cell.key not in known:
            writer.add(unmeasured(hole.cell, CellStatus.UNSUPPORTED, hole.reason, utc_now))


def _refuse_pairs(writer: RunWriter) -> None:
    """Raise `UsageError` for a session of pairs: measuring one cell after the other would be another experiment."""
    if (writer.folder / AB_FILE).exists():
        msg = f"run {writer.head.id!r} is a session of phonebench ab, which cannot be gone on with: start it again"
        raise UsageError(msg)


def _never_ran(measurement: Measurement) -> bool:
    """Whether a cell failed before it got to a device: a full disk or a model that has been mended is worth a retry."""
    return measurement.status is CellStatus.FAILED and measurement.failure is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where artifacts come from, and who is told how it goes."""

    cache: Cache
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A run that is held for writing, the gates of the devices that are open for it, and the tools of the build."""

    writer: RunWriter
    gates: dict[str, Gate]
    tools: Tools


@contextmanager
def opened(checked: Checked, writer: RunWriter) -> Iterator[dict[str, Gate]]:
    """Open the devices of a run, store what they are, and give each its gate. Raises `DeviceError`."""
    with ExitStack() as stack:
        devices = {key: stack.enter_context(open_device(key, checked.spec.settings)) for key in checked.spec.device}
        writer.update(devices=tuple(device.info for device in devices.values()))
        with gates_of(devices, writer.folder.parent) as gates:
            yield gates


def measure_cells(checked: Checked, cells: tuple[Cell, ...], bench: Bench) -> None:
    """Build what ``cells`` need and measure each; whatever goes wrong costs one cell and is stored with its reason.

    Raises `UsageError` when a model has changed since the run began, `IncompleteError` when a device is gone.
    """
    writer, tools = bench.writer, bench.tools
    builds = tuple(dict.fromkeys(cell.build for cell in cells))
    outcome = build_artifacts(order_of(checked, builds), tools.cache, tools.progress)
    facts = model_facts(checked.cards, outcome)
    _refuse_change("a model or its data has", _digests(writer.head.models), _digests(facts))
    writer.update(models=facts)
    todo = _enter_unbuilt(cells, outcome, writer)
    _measure_all(_jobs(checked, todo, outcome, tools.cache), bench.gates, writer, tools.progress)


def _finished(checked: Checked, cells: tuple[Cell, ...], bench: Bench) -> RunRecord:
    measure_cells(checked, cells, bench)
    bench.writer.update(finished_at=utc_now())
    return bench.writer.record()


def _digests(models: tuple[ModelFacts, ...]) -> dict[str, str]:
    return {model.name: f"{model.weights_sha256} {model.data_sha256}" for model in models}


def _refuse_change(what: str, before: dict[str, str], now: dict[str, str]) -> None:
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


@contextmanager
def gates_of(devices: dict[str, Device], results: Path) -> Iterator[dict[str, Gate]]:
    """Give each device its gate with the best probe that ``results`` knows of it, and keep the better one."""
    known = read_probes(results)
    gates = {key: Gate(device, best_probe_ns=known.get(_identity(device.info))) for key, device in devices.items()}
    try:
        yield gates
    finally:
        bests = {_identity(gate.device.info): gate.best_probe_ns for gate in gates.values()}
        keep_probes(results, known | {name: best for name, best in bests.items() if best is not None})


def _identity(info: DeviceInfo) -> str:
    return f"{info.key} {info.model} {info.cpu}"


def _measure_all(jobs: list[Job], gates: dict[str, Gate], writer: RunWriter, progress: Progress) -> None:
    """Run every job. Raises `IncompleteError` when some did not run, with the reasons."""
    left = measure_jobs(jobs, Table(gates=gates, writer=writer, progress=progress))
    pending = sum(lost.cells for lost in left)
    if not pending:
        return
    told = [reason for lost in left for reason in (*lost.reasons, *lost.in_a_row[-1:])]
    reasons = "; ".join(dict.fromkeys(told)) or "a device went away for a time"
    msg = f"{reasons}. {pending} of {len(jobs)} cells did not run; {_how_to_go_on(writer)}"
    raise IncompleteError(msg)


@contextmanager
def resumable(writer: RunWriter) -> Iterator[None]:
    """Make Ctrl-C and a full disk errors that say how to go on; everything measured is stored already."""
    try:
        yield
    except KeyboardInterrupt:
        done = len(writer.record().measurements)
        total = len(writer.head.plan.cells) + len(writer.head.plan.holes)
        msg = f"stopped with {done} of {total} cells done; {_how_to_go_on(writer)}"
        raise InterruptedRunError(msg) from None
    except StoreError as error:
        msg = f"{error}; then {_how_to_go_on(writer)}"
        raise StoreError(msg) from error


def _how_to_go_on(writer: RunWriter) -> str:
    command = "run" if writer.head.goal is None else "search"
    return f"go on with: phonebench {command} --resume={writer.head.id}"


def new_head(spec: Spec, plan: Plan, run_id: str | None = None) -> RunHead:
    """Return the head of a run that begins now, with an id of its own unless one is given."""
    return RunHead(
        id=run_id or new_run_id(datetime.now(UTC)),
        created_at=utc_now(),
        spec=spec,
        plan=plan,
        host=list_devices()[0],
        versions=_versions(),
        commit=_commit(),
    )


def _versions() -> dict[str, str]:
    packages = dict.fromkeys(name for names in (*PACKAGES.values(), TENSORFLOWS) for name in names)
    return {"phonebench": __version__, **versions_of(tuple(packages))}


def _commit() -> str | None:
    """The commit of the folder that the command was called in, since that is the code whose speed is asked for."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


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
