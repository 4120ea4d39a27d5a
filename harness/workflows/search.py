"""A search: a run that grows, move by move, until the walk, the budget or the time is used up.

Every point is a cell of a normal stored run and is stored before it is built. So a search that is stopped at any moment
can be read, and resumes from the points it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from harness.artifacts.cache import Cache
from harness.artifacts.needs import why_missing
from harness.devices.registry import offer_of
from harness.errors import UsageError
from harness.plan.cells import Cell, Hole, Plan, make_cell
from harness.plan.plan import why_not, why_not_model
from harness.progress import Progress
from harness.search.points import Findings, findings
from harness.search.ship import SHIP_FILE, ship_spec
from harness.search.walk import Move, builds_done, next_move
from harness.spec.formats import FORMATS
from harness.spec.goal import Goal
from harness.spec.recipe import Recipe
from harness.spec.spec import Spec
from harness.store.records import RunRecord
from harness.store.writer import RunWriter, create_run, reopen_run, write_text
from harness.system.clock import utc_now
from harness.wire import Format
from harness.workflows.bench import OpenRun, Places, resumable
from harness.workflows.check import Checked, check
from harness.workflows.farmed import Held, open_run
from harness.workflows.head import new_head
from harness.workflows.measure_cells import measure_cells, store_holes
from harness.workflows.run import pending_cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How a search ended: its run, its points, why it stopped, and the spec file of what to ship, None if nothing."""

    run: RunRecord
    findings: Findings
    ended: str
    spec_text: str | None


def run_search(spec: Spec, goal: Goal, places: Places, progress: Progress) -> Searched:
    """Search for the recipe that meets ``goal``, for the one model and device of ``spec``, measured as ``spec`` says.

    Raises `UsageError`, `DeviceError` or `StoreError` before anything is measured; `InterruptedRunError` on Ctrl-C.
    """
    _check_one(spec)
    checked = check(spec)
    # Once more, since a key such as android:all has become a device per connected phone.
    _check_one(checked.spec)
    if checked.cards[0].ready is not None:
        msg = f"{spec.model[0]!r} is a ready-made file, which no recipe can change; name the model it was exported from"
        raise UsageError(msg)
    if checked.cards[0].language is not None:
        msg = (
            f"{spec.model[0]!r} is a language model, which a search does not prune. Its precisions are few enough to "
            "measure all of them, which also recommends one by perplexity: phonebench run "
            f"{spec.model[0]} --variant fp32,int4,8da4w"
        )
        raise UsageError(msg)
    empty = Plan(cells=(), holes=())
    head = replace(new_head(checked.spec, empty), goal=goal)
    cache = Cache(places.cache)
    held = Held(places=places, cache=cache, progress=progress)
    with create_run(places.results, head) as writer, resumable(writer, places), open_run(checked, writer, held) as run:
        return _walk(run, checked)


def resume_search(
    name: str,
    places: Places,
    progress: Progress,
    change: Callable[[Goal], Goal],
    *,
    require_signature: str | None = None,
) -> Searched:
    """Resume a stored search; ``change`` may raise the budget of its goal. Raises as `run_search` does.

    ``require_signature`` is as for `harness.workflows.run.resume_run`.
    """
    cache = Cache(places.cache)
    with reopen_run(places.results, name) as writer, resumable(writer, places):
        if writer.head.goal is None:
            msg = f"run {writer.head.id!r} is not a search; {places.how_to_resume(writer.head)}"
            raise UsageError(msg)
        # First, so that a larger budget is stored even if the search stops again at once.
        writer.grow(writer.head.spec, writer.head.plan, change(writer.head.goal))
        checked, pending = pending_cells(writer, places, require_signature)
        with open_run(checked, writer, Held(places=places, cache=cache, progress=progress)) as run:
            if pending:
                measure_cells(checked, pending, run)
            return _walk(run, checked)


def _walk(open_run: OpenRun, checked: Checked) -> Searched:
    """Make moves until none is left or the time is up; then write the spec file of what to ship."""
    writer = open_run.writer
    goal, formats = _goal(writer), checked.spec.format
    deadline = time.monotonic() + goal.seconds
    while True:
        current = findings(writer.record(), goal)
        move = next_move(current, formats)
        if move is None:
            used_up = builds_done(current) >= goal.budget
            ended = f"the budget of {goal.budget} builds is used up" if used_up else "there is nothing left to try"
            break
        if time.monotonic() >= deadline:
            ended = f"the {goal.seconds:g} seconds are up"
            break
        _make(move, open_run, checked)
    writer.update(finished_at=utc_now())
    run = writer.record()
    text = ship_spec(run.head.spec, current.ship) if current.ship else None
    if text is not None:
        write_text(run, SHIP_FILE, text)
    return Searched(run=run, findings=current, ended=ended, spec_text=text)


def _make(move: Move, run: OpenRun, checked: Checked) -> None:
    """Store the cells of ``move``, then build and measure them."""
    writer, progress = run.writer, run.progress
    progress.start("search", 1)
    progress.step(move.why, f"{len(move.pairs)} to try")
    progress.finish()
    spec = _with_recipes(writer.head.spec, (recipe for recipe, _ in move.pairs))
    cells, holes = _cells(move.pairs, checked)
    plan = Plan(cells=(*writer.head.plan.cells, *cells), holes=(*writer.head.plan.holes, *holes))
    writer.grow(spec, plan, _goal(writer))
    store_holes(plan, writer)
    measure_cells(replace(checked, spec=spec, plan=plan), cells, run)


def _cells(pairs: Iterable[tuple[Recipe, Format]], checked: Checked) -> tuple[tuple[Cell, ...], tuple[Hole, ...]]:
    """Return the cells of a move that can run, and its holes."""
    spec, card = checked.spec, checked.cards[0]
    cells: list[Cell] = []
    holes: list[Hole] = []
    for recipe, format_ in pairs:
        delegate = (spec.delegate or FORMATS[format_].delegates)[0]
        cell = make_cell(card.name, recipe.name, format_, delegate, spec.threads[0], spec.device[0], spec.profile)
        reason = why_not_model(card, cell, recipe) or why_not(cell, recipe, offer_of)
        reason = reason or why_missing(card, cell.build, recipe.steps)
        if reason is None:
            cells.append(cell)
        else:
            holes.append(Hole(cell=cell, reason=reason))
    return tuple(cells), tuple(holes)


def _with_recipes(spec: Spec, recipes: Iterable[Recipe]) -> Spec:
    by_name = {recipe.name: recipe for recipe in (*spec.recipe, *recipes)}
    return replace(spec, variant=tuple(by_name), recipe=tuple(by_name.values()))


def _goal(writer: RunWriter) -> Goal:
    assert writer.head.goal is not None
    return writer.head.goal


def _check_one(spec: Spec) -> None:
    """Raise `UsageError` unless there is exactly one of everything that a search keeps fixed."""
    for name in ("model", "device", "threads"):
        values = getattr(spec, name)
        if len(values) != 1:
            msg = f"{name} is {list(values)}, but a search takes one; start a search for each"
            raise UsageError(msg)
    if len(spec.delegate) > 1:
        msg = f"delegate is {[d.value for d in spec.delegate]}, but a search takes one; start a search for each"
        raise UsageError(msg)
