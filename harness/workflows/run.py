"""A whole run: spec → plan → artifacts → devices → measurements → store → report, and the same run resumed.

The one decision: everything that can be refused is refused before the first model loads, and from then on whatever
goes wrong costs one cell and is stored with its reason.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.errors import UsageError
from harness.plan.cells import Cell, Plan
from harness.progress import Progress
from harness.records.measurement import CellStatus, Measurement
from harness.spec.spec import Spec
from harness.store.records import AB_FILE, RunRecord
from harness.store.writer import RunWriter, create_run, reopen_run
from harness.system.clock import utc_now
from harness.workflows.bench import Bench, Places, Tools, opened, resumable
from harness.workflows.check import Checked, check, order_of
from harness.workflows.head import new_head, versions_of_packages
from harness.workflows.measure_cells import enter_holes, measure_cells, refuse_change


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


def build_spec(spec: Spec, places: Places, progress: Progress) -> tuple[Checked, BuildOutcome]:
    """Make every artifact of ``spec`` without running any."""
    checked = check(spec, to_run=False)
    return checked, build_artifacts(order_of(checked, checked.plan.builds), Cache(places.cache), progress)


def run_spec(spec: Spec, places: Places, progress: Progress, *, part: Part = WHOLE) -> RunRecord:
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


def resume_run(name: str, places: Places, progress: Progress) -> RunRecord:
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
    refuse_change("the installed packages have", writer.head.versions, versions_of_packages())
    checked = check(writer.head.spec)
    enter_holes(writer.head.plan, writer)
    done = {measurement.cell for measurement in writer.record().measurements if not _never_ran(measurement)}
    return checked, tuple(cell for cell in writer.head.plan.cells if cell.key not in done)


def _refuse_pairs(writer: RunWriter) -> None:
    """Raise `UsageError` for a session of pairs: measuring one cell after the other would be another experiment."""
    if (writer.folder / AB_FILE).exists():
        msg = f"run {writer.head.id!r} is a session of phonebench ab, which cannot be gone on with: start it again"
        raise UsageError(msg)


def _never_ran(measurement: Measurement) -> bool:
    """Whether a cell failed before it got to a device: a full disk or a model that has been mended is worth a retry."""
    return measurement.status is CellStatus.FAILED and measurement.failure is None


def _finished(checked: Checked, cells: tuple[Cell, ...], bench: Bench) -> RunRecord:
    measure_cells(checked, cells, bench)
    bench.writer.update(finished_at=utc_now())
    return bench.writer.record()
