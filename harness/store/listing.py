"""The facts that ``phonebench show --list`` shows of each stored run, read without decoding the runs in full."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from harness.records.measurement import CellStatus
from harness.store.reader import list_runs
from harness.store.records import MEASUREMENTS_FILE, MOST_HEAD_BYTES, MOST_MEASUREMENTS_BYTES, RUN_FILE, SCHEMA
from harness.system.decoding import decode_json
from harness.system.small_files import read_small


class RunStatus(StrEnum):
    """How far a run has got.

    ``DAMAGED``: its ``run.json`` cannot be read, or is of another version. ``UNSIGNED``: it does not have the signature
    that is required, so nothing else is said about it.
    """

    FINISHED = "finished"
    UNFINISHED = "not finished"
    DAMAGED = "damaged"
    UNSIGNED = "not signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """One run of the list. Times are ISO 8601, UTC; ``cells`` counts the cells by status, holes included."""

    id: str
    created_at: str | None = None
    finished_at: str | None = None
    models: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    status: RunStatus = RunStatus.DAMAGED
    cells: dict[CellStatus, int]


class _Named(msgspec.Struct):
    name: str


class _Keyed(msgspec.Struct):
    key: str


class _Spec(msgspec.Struct):
    model: tuple[str, ...] = ()
    device: tuple[str, ...] = ()


class _Plan(msgspec.Struct):
    cells: tuple[_Keyed, ...]
    holes: tuple[Any, ...] = ()


class _Head(msgspec.Struct):
    schema: int
    created_at: str
    spec: _Spec
    plan: _Plan
    finished_at: str | None = None
    models: tuple[_Named, ...] = ()
    devices: tuple[_Keyed, ...] = ()


class _Outcome(msgspec.Struct):
    cell: str
    status: CellStatus


def listed_runs(root: Path) -> tuple[ListedRun, ...]:
    """Return the runs in ``root``, oldest first; one that cannot be read is listed as damaged."""
    return tuple(listed_run(root / name) for name in list_runs(root))


def listed_run(folder: Path) -> ListedRun:
    """Return the run in ``folder``; one that cannot be read is listed as damaged."""
    try:
        head = decode_json(read_small(folder / RUN_FILE, MOST_HEAD_BYTES), _Head)
    except (OSError, ValueError, RecursionError):
        return ListedRun(id=folder.name, cells={})
    if head.schema != SCHEMA:
        return ListedRun(id=folder.name, cells={})
    return ListedRun(
        id=folder.name,
        created_at=head.created_at,
        finished_at=head.finished_at,
        # A run that was stopped early has not written its models and devices yet.
        models=tuple(model.name for model in head.models) or head.spec.model,
        devices=tuple(device.key for device in head.devices) or head.spec.device,
        status=RunStatus.UNFINISHED if head.finished_at is None else RunStatus.FINISHED,
        cells=_counts(folder, head.plan),
    )


def _counts(folder: Path, plan: _Plan) -> dict[CellStatus, int]:
    # A hole has a line among the measurements as well; it is counted from the plan alone.
    outcomes = _outcomes(folder)
    counts = Counter(outcomes.get(cell.key, CellStatus.PENDING) for cell in plan.cells)
    counts[CellStatus.UNSUPPORTED] += len(plan.holes)
    return {status: counts[status] for status in CellStatus if counts[status]}


def _outcomes(folder: Path) -> dict[str, CellStatus]:
    """The status of each measured cell; the last measurement of a cell counts."""
    try:
        lines = read_small(folder / MEASUREMENTS_FILE, MOST_MEASUREMENTS_BYTES).splitlines()
    except OSError:
        return {}
    statuses: dict[str, CellStatus] = {}
    for line in lines:
        try:
            outcome = decode_json(line, _Outcome)
        except (ValueError, RecursionError):
            # A line that a kill cut off; its cell counts as pending.
            continue
        statuses[outcome.cell] = outcome.status
    return statuses
