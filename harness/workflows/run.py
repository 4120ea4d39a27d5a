"""A whole run from spec to stored measurements, and the same run resumed.

Everything that can be refused is refused before the first model loads. From then on a failure costs one cell and is
stored with its reason.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.errors import IncompleteError, UsageError
from harness.plan.cells import Cell, Plan
from harness.progress import Progress
from harness.records.measurement import CellStatus, Measurement
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.store.reader import ticket_of
from harness.store.records import AB_FILE, RunRecord
from harness.store.writer import RunWriter, create_run, reopen_run
from harness.system.clock import utc_now
from harness.wire import FailureKind
from harness.workflows.bench import Places, resumable
from harness.workflows.check import Checked, check, only_on, order_of
from harness.workflows.farmed import Held, expander, open_run
from harness.workflows.head import new_head, versions_of_packages
from harness.workflows.measure_cells import measure_cells, refuse_change, store_holes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a nightly job changes about a run: its id, which cells it measures, and their order.

    ``run_id``: set by the caller, so that it is known before anything can fail. ``cells``: the keys of the cells to
    measure, None for all. ``order``: the seed that shuffles the cells, so that none always runs after the same one.
    """

    run_id: str | None = None
    cells: frozenset[str] | None = None
    order: str | None = None


WHOLE = Part()
NOBODY: Mapping[str, str] = MappingProxyType({})


def build_spec(spec: Spec, places: Places, progress: Progress) -> tuple[Checked, BuildOutcome]:
    """Build every artifact of ``spec`` without running any. Raises `UsageError` or `StoreError`."""
    checked = check(spec, to_run=False)
    return checked, build_artifacts(order_of(checked, checked.plan.builds), Cache(places.cache), progress)


def run_spec(spec: Spec, places: Places, progress: Progress, *, part: Part = WHOLE) -> RunRecord:
    """Measure every cell of ``spec``, or only ``part`` of it, and return the stored run.

    Raises `UsageError`, `DeviceError` or `StoreError` before anything is measured; `InterruptedRunError` on Ctrl-C.
    """
    checked = _selected(check(spec, expand=expander(places)), part)
    cache = Cache(places.cache)
    head = new_head(checked.spec, checked.plan, part.run_id)
    with create_run(places.results, head) as writer, resumable(writer, places):
        # Before the devices open, which may fail: the reasons of holes are results too.
        store_holes(checked.plan, writer)
        with open_run(checked, writer, Held(places=places, cache=cache, progress=progress)) as run:
            measure_cells(checked, _ordered(checked.plan.cells, part), run)
        return _finished(writer)


def _selected(checked: Checked, part: Part) -> Checked:
    if part.cells is None:
        return checked
    cells = tuple(cell for cell in checked.plan.cells if cell.key in part.cells)
    return replace(checked, plan=Plan(cells=cells, holes=()))


def _ordered(cells: tuple[Cell, ...], part: Part) -> tuple[Cell, ...]:
    return cells if part.order is None else tuple(random.Random(part.order).sample(cells, len(cells)))


def resume_run(
    name: str,
    places: Places,
    progress: Progress,
    *,
    require_signature: str | None = None,
    away: Mapping[str, str] = NOBODY,
) -> RunRecord:
    """Measure the cells of a stored run that have not reached a device yet. Raises as `run_spec` does.

    ``require_signature`` replaces that of the stored spec, which somebody may have changed. Only devices with such
    cells are opened, and none of those that are ``away``, by their keys: raises `IncompleteError` with their reasons
    once the others are done.
    """
    cache = Cache(places.cache)
    with reopen_run(places.results, name) as writer, resumable(writer, places):
        _refuse_pairs(writer)
        _refuse_imported(writer)
        _refuse_sent(writer)
        checked, pending = pending_cells(writer, places, require_signature)
        here = tuple(cell for cell in pending if cell.device not in away)
        if here:
            devices = tuple(dict.fromkeys(cell.device for cell in here))
            checked = replace(checked, spec=only_on(devices, checked.spec))
            with open_run(checked, writer, Held(places=places, cache=cache, progress=progress)) as run:
                measure_cells(checked, here, run)
        if len(here) < len(pending):
            gone = {cell.device: away[cell.device] for cell in pending if cell.device in away}
            counts = f"{len(pending) - len(here)} of {len(pending)} cells did not run"
            msg = f"{'; '.join(dict.fromkeys(gone.values()))}. {counts}; {places.how_to_resume(writer.head)}"
            raise IncompleteError(msg, lost=gone)
        return _finished(writer)


def pending_cells(
    writer: RunWriter, places: Places, require_signature: str | None = None
) -> tuple[Checked, tuple[Cell, ...]]:
    """Return the spec of a stored run, checked again, and its cells that have not run, or not by their own fault.

    Its holes are stored, if a kill came before that. Raises `UsageError` when the installed packages have changed.
    """
    refuse_change("the installed packages have", writer.head.versions, versions_of_packages())
    spec = writer.head.spec
    spec = replace(spec, require_signature=require_signature or spec.require_signature)
    checked = check(spec, expand=expander(places))
    store_holes(writer.head.plan, writer)
    done = {measurement.cell for measurement in writer.record().measurements if not _worth_a_retry(measurement)}
    return checked, tuple(cell for cell in writer.head.plan.cells if cell.key not in done)


def _refuse_imported(writer: RunWriter) -> None:
    if writer.head.spec.profile is ProfileName.IMPORTED:
        msg = f"run {writer.head.id!r} was imported, so there is nothing to resume: name another run"
        raise UsageError(msg)


def _refuse_pairs(writer: RunWriter) -> None:
    """Raise `UsageError` for an A/B session: cells measured one after the other would be another experiment."""
    if (writer.folder / AB_FILE).exists():
        msg = f"run {writer.head.id!r} is an A/B session, which cannot be resumed; start a new one"
        raise UsageError(msg)


def _refuse_sent(writer: RunWriter) -> None:
    """Raise `UsageError` for a run whose launches are made in a cloud."""
    ticket = ticket_of(writer.folder)
    if ticket is not None:
        msg = f"run {writer.head.id!r} was sent to a cloud; to complete it: phonebench cloud fetch {ticket}"
        raise UsageError(msg)


# Failures that say nothing about the file: the device had no memory or space, or something ended the runner.
_ENVIRONMENT = (FailureKind.OOM, FailureKind.STORAGE, FailureKind.LOST)


def _worth_a_retry(measurement: Measurement) -> bool:
    """Whether the cell may run now: it failed before it reached a device, or for what the device or a signal did."""
    if measurement.status is not CellStatus.FAILED:
        return False
    return measurement.failure is None or measurement.failure.kind in _ENVIRONMENT


def _finished(writer: RunWriter) -> RunRecord:
    writer.update(finished_at=utc_now())
    return writer.record()
