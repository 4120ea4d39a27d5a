"""The whole chain of ``phonebench ab``: sides → artifacts → one device → pairs → a stored run with both cells.

The result is a run like any other, with one cell per side and the pairs beside it in ``ab.json``. So reports, exports
and comparisons work on it without knowing about A/B sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from harness.artifacts.build import BuildOrder, BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import RUNNABLE
from harness.artifacts.needs import why_missing
from harness.artifacts.sources.made_variant import find_varied
from harness.artifacts.sources.prepared_model import as_prepared
from harness.devices.device import Device
from harness.devices.registry import kind_of, offer_of, open_device
from harness.errors import BuildError, DeviceError, IncompleteError, InterruptedRunError, RunError, UsageError
from harness.measure.deploy import deploy_artifact
from harness.measure.job import Job, Seen
from harness.measure.pairs import (
    PairObserver,
    PairPlan,
    PairResult,
    PairSession,
    SideFailedError,
    Sides,
    run_pairs,
    summarise_pairs,
)
from harness.measure.summary import failed_measurement, good_measurement
from harness.model.card import ModelCard, ModelOptions
from harness.model.distinct import with_distinct_names
from harness.model.ready import why_not_ready
from harness.model.resolve import resolve
from harness.plan.cells import Cell, Plan
from harness.plan.plan import make_plan
from harness.progress import Progress
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.read import make_spec
from harness.spec.recipe import AS_IS
from harness.spec.shorthand import recipes_of
from harness.spec.spec import Spec
from harness.store.records import AB_FILE, RunRecord
from harness.store.writer import RunWriter, create_run, write_text
from harness.system.clock import utc_now
from harness.workflows.ab.on_farm import device_for, run_on_farm
from harness.workflows.ab.reference import ABReference, parse_reference
from harness.workflows.bench import Places, gates_of
from harness.workflows.durations import pairs_estimate
from harness.workflows.farmed import farmed
from harness.workflows.head import new_head
from harness.workflows.measure_cells import model_facts
from harness.workflows.signatures import bundle_for, refuse_unsigned, verify_models

# 1 (2026-11): the first.
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ABRequest:
    """What to compare, and where. ``common`` applies to both sides: threads, delegate, prompt, data and so on."""

    a: str
    b: str
    device: str
    plan: PairPlan
    common: Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class ABRecord:
    """The content of ``ab.json``: the cells of both sides, and the session, None until it ends."""

    schema: int = SCHEMA
    a: str
    b: str
    cell_a: str
    cell_b: str
    session: PairSession | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One side, resolved: its cell and the card of its model."""

    cell: Cell
    card: ModelCard


def run_ab(
    request: ABRequest, places: Places, progress: Progress, *, say: Callable[[str], None] = lambda _: None
) -> tuple[RunRecord, ABRecord]:
    """Compare the two sides and return the stored run and the record of the session.

    Once both sides are known to be possible, ``say`` gets a sentence about how long the session takes.
    Raises `UsageError` or `DeviceError` before anything is built, `BuildError` if a side cannot be built, `RunError` if
    it fails on the device, `IncompleteError` if the device is lost, and `InterruptedRunError` on Ctrl-C. Whatever was
    measured by then is stored.
    """
    request = replace(request, device=device_for(request.device, places))
    kind_of(request.device)
    sides = _sides(request)
    say(pairs_estimate(request.plan.pairs, request.plan.most_pairs))
    spec = _spec_of(request, sides)
    plan = Plan(cells=(sides[0].cell, sides[1].cell), holes=())
    with create_run(places.results, new_head(spec, plan)) as writer:
        record = ABRecord(a=request.a, b=request.b, cell_a=sides[0].cell.key, cell_b=sides[1].cell.key, session=None)
        # Written before the first pair, so an interrupted session can be recognised by its ab.json.
        _keep(writer, record)
        if places.farm.place is not None:
            session = _farmed(request, sides, places, progress, writer)
        else:
            with open_device(request.device) as device:
                writer.update(devices=(device.info,))
                jobs = _jobs(request, sides, places, progress, writer)
                session = _session(request, jobs, device, writer, progress)
        record = replace(record, session=session)
        _keep(writer, record)
        writer.update(finished_at=utc_now())
        return writer.record(), record


def _sides(request: ABRequest) -> tuple[_Side, _Side]:
    a, b = (_side(parse_reference(text), request) for text in (request.a, request.b))
    if a.card.name == b.card.name and a.card != b.card:
        # Two files with the same name need different ones, or both sides would be the same cell.
        a, b = map(_named, (a, b), with_distinct_names((a.card, b.card)))
    return (
        # A run cannot have two cells with one key, and both sides may be the same artifact.
        replace(a, cell=replace(a.cell, key=f"{a.cell.key}-side-a")),
        replace(b, cell=replace(b.cell, key=f"{b.cell.key}-side-b")),
    )


def _named(side: _Side, card: ModelCard) -> _Side:
    return _Side(cell=replace(side.cell, model=card.name), card=card)


def _side(reference: ABReference, request: ABRequest) -> _Side:
    """Resolve one side to a cell. Raises `UsageError` with the reason if the cell is not possible."""
    common = request.common
    values = {
        "model": [reference.model],
        "device": [request.device],
        "threads": [reference.threads or common.threads[0]],
        "profile": ProfileName.STANDARD.value,
        "random_weights": common.random_weights,
        "input": list(common.input),
        "data": common.data,
        "seed": common.seed,
        "prompt": [common.prompt[0]],
        "new_tokens": common.new_tokens,
    }
    if reference.format is not None:
        values |= {"format": [reference.format], "variant": [reference.variant]}
    delegate = reference.delegate or (common.delegate[0].value if common.delegate else None)
    values |= {"delegate": [delegate]} if delegate else {}
    values |= {"recipe": common.recipe} if common.recipe else {}
    spec = make_spec(values, where=repr(reference.text))
    options = ModelOptions(random_weights=spec.random_weights, inputs=spec.input, data=spec.data, seed=spec.seed)
    card = resolve(reference.model, options)
    verify_models((card,), common)
    plan = make_plan(spec, (card,), offer_of)
    if not plan.cells:
        msg = f"{reference.text!r} cannot run on {request.device!r}: {plan.holes[0].reason}"
        raise UsageError(msg)
    if card.ready is not None and (reason := why_not_ready(card)) is not None:
        msg = f"{reference.text!r} cannot run: {reason}"
        raise UsageError(msg)
    cell = plan.cells[0]
    steps = spec.recipes()[cell.variant].steps if card.ready is None else ()
    if missing := why_missing(card, cell.build, steps):
        msg = f"{reference.text!r} cannot be built: {missing}"
        raise BuildError(msg)
    return _Side(cell=cell, card=card)


def _spec_of(request: ABRequest, sides: tuple[_Side, _Side]) -> Spec:
    """The spec that is stored with the run."""
    cells = [side.cell for side in sides]
    variants = tuple(dict.fromkeys(c.variant for c in cells if c.variant != AS_IS))
    spec = replace(
        request.common,
        model=tuple(dict.fromkeys(c.model for c in cells)),
        device=(request.device,),
        format=tuple(dict.fromkeys(c.format for c in cells)),
        delegate=tuple(dict.fromkeys(c.delegate for c in cells)),
        threads=tuple(dict.fromkeys(c.threads for c in cells if c.threads)),
        profile=ProfileName.STANDARD,
    )
    return replace(spec, variant=variants) if variants else spec


def _jobs(
    request: ABRequest, sides: tuple[_Side, _Side], places: Places, progress: Progress, writer: RunWriter
) -> tuple[Job, Job]:
    """Build both artifacts. Raises `BuildError` with the reason if one cannot be built."""
    cards = tuple({side.card.name: side.card for side in sides}.values())
    builds = tuple(dict.fromkeys(side.cell.build for side in sides))
    cache = Cache(places.cache)
    recipes = recipes_of((build.variant for build in builds if build.variant != AS_IS), request.common.recipe)
    # Again, because the sides may have other names by now.
    verified = verify_models(cards, request.common)
    outcome = build_artifacts(BuildOrder(cards=cards, builds=builds, recipes=recipes), cache, progress)
    refuse_unsigned(outcome.artifacts.values(), verified)
    writer.update(models=model_facts(cards, outcome))
    a, b = (_job(side, outcome, request.common) for side in sides)
    varied = [find_varied(cache, job.model, recipes.get(job.cell.variant)) for job in (a, b)]
    return replace(a, varied=varied[0]), replace(b, varied=varied[1])


def _job(side: _Side, outcome: BuildOutcome, common: Spec) -> Job:
    artifact = outcome.artifacts.get(side.cell.build)
    model = outcome.models.get(side.cell.model)
    if artifact is None or model is None or artifact.manifest.state not in RUNNABLE:
        reason = artifact.manifest.reason if artifact else outcome.model_failures.get(side.cell.model)
        msg = f"{side.cell.key!r} cannot be compared: {reason or 'its artifact could not be built'}"
        raise BuildError(msg)
    profile = PROFILES[ProfileName.STANDARD]
    card = as_prepared(side.card, model)
    return Job(
        cell=side.cell,
        card=card,
        artifact=artifact,
        model=model,
        profile=profile,
        timeout_s=common.timeout,
        signature=bundle_for(artifact, side.card, common),
    )


def _farmed(
    request: ABRequest, sides: tuple[_Side, _Side], places: Places, progress: Progress, writer: RunWriter
) -> PairSession:
    """Run the pairs on the device of a farm, and store the measurements of both sides."""
    with farmed(writer, (request.device,), places.farm) as farm:
        assert farm.engine is not None, "a farm has an engine"
        writer.update(devices=farm.infos)
        jobs = _jobs(request, sides, places, progress, writer)
        ran = run_on_farm(jobs, farm.engine, writer, request.plan, progress)
    for side, job, seen in (("A", jobs[0], ran.a), ("B", jobs[1], ran.b)):
        _store(writer, job, seen, began=ran.started_at, failed=side == ran.failed)
    if ran.failed:
        raise _side_failed(ran.failed, request.device, ran.a if ran.failed == "A" else ran.b)
    return summarise_pairs(list(ran.pairs), request.plan)


def _side_failed(side: str, device: str, seen: Seen) -> RunError:
    why = seen.last.failure.message if seen.last and seen.last.failure else "the runner measured no latency"
    return RunError(f"side {side} failed on {device!r}: {why}")


def _session(
    request: ABRequest, jobs: tuple[Job, Job], device: Device, writer: RunWriter, progress: Progress
) -> PairSession:
    """Run the pairs. However the session ends, the measurements of both sides are stored."""
    for job in jobs:
        deploy_artifact(device, job.artifact)
    seen, began = Sides(observer=_progress_of(progress)), utc_now()
    failed: list[str] = []
    progress.start("pairs", request.plan.most_pairs)
    try:
        with gates_of({request.device: device}, writer.folder.parent) as gates:
            gate = gates[request.device]
            return run_pairs(jobs, gate, writer, request.plan, sides=seen)
    except SideFailedError as error:
        failed.append(str(error))
        raise _side_failed(str(error), request.device, seen.a if failed == ["A"] else seen.b) from error
    except KeyboardInterrupt:
        stored = f"stored in run {writer.head.id!r}"
        msg = f"stopped after {len(seen.pairs)} pairs, {stored}; a session cannot be resumed, so start a new one"
        raise InterruptedRunError(msg) from None
    except DeviceError as error:
        msg = f"{error}. {len(seen.pairs)} pairs are stored in run {writer.head.id!r}; start a new session"
        raise IncompleteError(msg) from error
    finally:
        progress.finish()
        for side, job, one in (("A", jobs[0], seen.a), ("B", jobs[1], seen.b)):
            _store(writer, job, one, began=began, failed=side in failed)


def _store(writer: RunWriter, job: Job, seen: Seen, *, began: str, failed: bool) -> None:
    if failed:
        writer.add(failed_measurement(job, seen, began, utc_now()))
    elif seen.launched:
        writer.add(good_measurement(job, seen, began, utc_now()))


def _progress_of(progress: Progress) -> PairObserver:
    def step(pair: PairResult, number: int, most: int) -> None:
        outcome = f"B is {100 * (pair.b_ns / pair.a_ns - 1):+.1f} % vs. A" if pair.a_ns and pair.b_ns else ""
        progress.step(f"pair {number} of at most {most}, {pair.order}", pair.dropped or outcome)

    return step


def _keep(writer: RunWriter, record: ABRecord) -> None:
    write_text(writer.record(), AB_FILE, msgspec.json.format(msgspec.json.encode(record), indent=1).decode())
