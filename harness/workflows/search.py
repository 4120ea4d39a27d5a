"""A search: a run that grows. Move after move is built and measured until the walk, the budget or the time is over.

The one decision: every point is a cell of a normal stored run, written before it is built; so a search that was
stopped at any instant is readable, and goes on from what it knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from harness.artifacts.cache import Cache
from harness.devices.registry import delegates_of
from harness.errors import UsageError
from harness.plan.cells import Cell, Hole, Plan, make_cell
from harness.plan.plan import why_not
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
from harness.workflows.bench import Bench, Places, Tools, opened, resumable
from harness.workflows.check import Checked, check
from harness.workflows.head import new_head
from harness.workflows.measure_cells import enter_holes, measure_cells
from harness.workflows.run import gone_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How a search ended: its run, what it found, why it stopped, and the text of its spec file (None: no point)."""

    run: RunRecord
    found: Findings
    ended: str
    spec_text: str | None


def run_search(spec: Spec, goal: Goal, places: Places, progress: Progress) -> Searched:
    """Search for the recipe of one model on one device that meets ``goal``; ``spec`` says which, and how to measure.

    Raises `UsageError`, `DeviceError` or `StoreError` before anything is measured; `InterruptedRunError` on Ctrl-C.
    """
    _check_one(spec)
    checked = check(spec)
    # Of several phones there may be as many as are connected.
    _check_one(checked.spec)
    if checked.cards[0].ready is not None:
        msg = f"{spec.model[0]!r} is a ready-made file, which nothing can be done to: give the model that it is from"
        raise UsageError(msg)
    empty = Plan(cells=(), holes=())
    head = replace(new_head(checked.spec, empty), goal=goal)
    tools = Tools(cache=Cache(places.cache), progress=progress)
    with create_run(places.results, head) as writer, resumable(writer), opened(checked, writer) as gates:
        return _walk(Bench(writer=writer, gates=gates, tools=tools), checked)


def resume_search(name: str, places: Places, progress: Progress, change: Callable[[Goal], Goal]) -> Searched:
    """Go on with a stored search; ``change`` may give it a larger budget. Raises as `search` does."""
    tools = Tools(cache=Cache(places.cache), progress=progress)
    with reopen_run(places.results, name) as writer, resumable(writer):
        if writer.head.goal is None:
            msg = f"the run {writer.head.id!r} is no search; go on with: phonebench run --resume={writer.head.id}"
            raise UsageError(msg)
        writer.grow(writer.head.spec, writer.head.plan, change(writer.head.goal))
        checked, missing = gone_on(writer)
        with opened(checked, writer) as gates:
            bench = Bench(writer=writer, gates=gates, tools=tools)
            if missing:
                measure_cells(checked, missing, bench)
            return _walk(bench, checked)


def _walk(bench: Bench, checked: Checked) -> Searched:
    """Make moves until there is none, or the seconds are over; then write the spec file of what to ship."""
    writer = bench.writer
    goal, formats = _goal(writer), checked.spec.format
    deadline = time.monotonic() + goal.seconds
    while True:
        found = findings(writer.record(), goal)
        move = next_move(found, formats)
        if move is None:
            over = builds_done(found) >= goal.budget
            ended = f"the budget of {goal.budget} builds is used" if over else "there is nothing left to try"
            break
        if time.monotonic() >= deadline:
            ended = f"the {goal.seconds:g} seconds are over"
            break
        _make(move, bench, checked)
    writer.update(finished_at=utc_now())
    run = writer.record()
    text = ship_spec(run.head.spec, found.ship) if found.ship else None
    if text is not None:
        write_text(run, SHIP_FILE, text)
    return Searched(run=run, found=found, ended=ended, spec_text=text)


def _make(move: Move, bench: Bench, checked: Checked) -> None:
    """Store the cells of ``move``, then build and measure them."""
    writer = bench.writer
    progress = bench.tools.progress
    progress.start("search", 1)
    progress.step(move.why, f"{len(move.pairs)} to try")
    progress.finish()
    spec = _with_recipes(writer.head.spec, (recipe for recipe, _ in move.pairs))
    cells, holes = _cells(move.pairs, checked)
    plan = Plan(cells=(*writer.head.plan.cells, *cells), holes=(*writer.head.plan.holes, *holes))
    writer.grow(spec, plan, _goal(writer))
    enter_holes(plan, writer)
    measure_cells(replace(checked, spec=spec, plan=plan), cells, bench)


def _cells(pairs: Iterable[tuple[Recipe, Format]], checked: Checked) -> tuple[tuple[Cell, ...], tuple[Hole, ...]]:
    """The cells of a move, and those of it that cannot be."""
    spec, model = checked.spec, checked.cards[0].name
    cells: list[Cell] = []
    holes: list[Hole] = []
    for recipe, format_ in pairs:
        delegate = (spec.delegate or FORMATS[format_].delegates)[0]
        cell = make_cell(model, recipe.name, format_, delegate, spec.threads[0], spec.device[0], spec.profile)
        reason = why_not(cell, recipe, delegates_of)
        if reason is None:
            cells.append(cell)
        else:
            holes.append(Hole(cell=cell, reason=reason))
    return tuple(cells), tuple(holes)


def _with_recipes(spec: Spec, recipes: Iterable[Recipe]) -> Spec:
    known = {recipe.name: recipe for recipe in spec.recipe}
    known |= {recipe.name: recipe for recipe in recipes}
    return replace(spec, variant=tuple(known), recipe=tuple(known.values()))


def _goal(writer: RunWriter) -> Goal:
    assert writer.head.goal is not None
    return writer.head.goal


def _check_one(spec: Spec) -> None:
    """Raise `UsageError` unless everything that a search keeps fixed is one."""
    for name in ("model", "device", "threads"):
        values = getattr(spec, name)
        if len(values) != 1:
            msg = f"{name} is {list(values)}: a search is of one; start one for each"
            raise UsageError(msg)
    if len(spec.delegate) > 1:
        msg = f"delegate is {[d.value for d in spec.delegate]}: a search is on one; start one for each"
        raise UsageError(msg)
