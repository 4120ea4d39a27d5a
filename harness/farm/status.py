"""The state of a farm at one moment: which devices it has, who runs what, what waits and why, and for how long."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from harness.farm.builds.calls import FarmBuild
from harness.farm.events import Event, EventKind
from harness.records.device import DeviceInfo

# How many waiting cells are listed one by one; the counts cover all of them.
MOST_LISTED = 1000


class DeviceState(StrEnum):
    """Whether a device can take work."""

    IDLE = "idle"
    BUSY = "busy"
    AWAY = "away"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmHost:
    """A host agent. ``clock_s`` is how far its clock is ahead of the scheduler's, in seconds."""

    name: str
    seen_at: str
    present: bool
    roles: tuple[str, ...] = ()
    clock_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmDevice:
    """A device of the farm.

    ``host`` is the agent that it is connected to. ``run``, ``cell``, ``user`` and ``since`` are set while it is busy.
    ``waiting`` counts the cells that wait for it; ``left_s`` is how long these take and the cell that runs, None if
    nothing has shown yet how long a cell takes. ``reason`` says why it is away.
    """

    key: str
    host: str
    state: DeviceState
    info: DeviceInfo | None = None
    run: str = ""
    cell: str = ""
    user: str = ""
    since: str = ""
    attempt: int = 0
    waiting: int = 0
    left_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCell:
    """A cell that waits, and why."""

    run: str
    cell: str
    device: str
    user: str
    reason: str
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmRun:
    """A run on the farm. ``open``: the program that queued it is still there to take the results."""

    run: str
    user: str
    priority: int
    queued_at: str
    open: bool
    cells: int
    done: int
    running: int
    waiting: int
    dropped: int
    left_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmStatus:
    """A farm at the moment ``at`` (ISO 8601, UTC). ``left_s``: when everything that is queued will have ended.

    ``waiting`` lists at most `MOST_LISTED` cells; ``waiting_cells`` counts all of them. ``builds`` are those that are
    being made on build hosts, or wait for one.
    """

    at: str
    scheduler: str
    hosts: tuple[FarmHost, ...] = ()
    devices: tuple[FarmDevice, ...] = ()
    runs: tuple[FarmRun, ...] = ()
    waiting: tuple[WaitingCell, ...] = ()
    waiting_cells: int = 0
    left_s: float | None = None
    builds: tuple[FarmBuild, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A device as its agent announced it. ``reason`` says why it cannot take work, empty if it can."""

    info: DeviceInfo
    host: str
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class _Cell:
    queued: Event
    last: Event
    seconds: float | None = None


class Board:
    """Follows a journal, event by event. One lookup per event, so that a thousand phones cost little."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._closed: set[str] = set()
        for event in events:
            self.note(event)

    def note(self, event: Event) -> None:
        """Take in one event, in the order of the journal."""
        if event.kind is EventKind.CLOSED:
            self._closed.add(event.run)
            return
        key = event.run, event.cell
        cell = self._cells.get(key)
        if event.kind is EventKind.QUEUED:
            self._closed.discard(event.run)
            self._cells[key] = _Cell(queued=event, last=event)
        elif cell is not None and cell.last.kind is not EventKind.DONE:
            cell.last = event
            if event.kind is EventKind.DONE:
                cell.seconds = event.seconds

    def forget(self, run: str) -> None:
        """Forget everything about a run."""
        self._cells = {key: cell for key, cell in self._cells.items() if key[0] != run}
        self._closed.discard(run)

    def is_done(self, run: str, cell: str) -> bool:
        """Return whether the result of a cell is stored."""
        known = self._cells.get((run, cell))
        return known is not None and known.last.kind is EventKind.DONE

    def is_closed(self, run: str) -> bool:
        """Return whether nobody takes the results of a run any more."""
        return run in self._closed

    def is_wanted(self, run: str, cell: str) -> bool:
        """Return whether a program waits for the result of a cell."""
        known = self._cells.get((run, cell))
        return run not in self._closed and known is not None and known.last.kind is not EventKind.DROPPED

    def status(
        self, now: datetime, members: Mapping[str, Member], hosts: Sequence[FarmHost], *, scheduler: str = ""
    ) -> FarmStatus:
        """Return the state at ``now``; ``members`` are the devices that are there, by their keys."""
        paces = self._paces()
        waiting = [c for c in self._cells.values() if _waits(c) and c.queued.run not in self._closed]
        busy = {c.last.device: c for c in self._cells.values() if c.last.kind is EventKind.STARTED}
        queued = Counter(cell.queued.device for cell in waiting)
        lefts = _lefts(now, waiting, busy, paces)
        keys = dict.fromkeys((*members, *queued))
        devices = tuple(_device(key, members.get(key), busy.get(key), queued[key], lefts.get(key)) for key in keys)
        known = {device.key: device for device in devices}
        return FarmStatus(
            at=_text(now),
            scheduler=scheduler,
            hosts=tuple(hosts),
            devices=devices,
            runs=self._runs(lefts),
            waiting=tuple(_waiting(cell, known[cell.queued.device]) for cell in waiting[:MOST_LISTED]),
            waiting_cells=len(waiting),
            left_s=max((left for left in lefts.values() if left is not None), default=None) if lefts else 0.0,
        )

    def _paces(self) -> dict[str, float]:
        """The typical seconds of a cell, by run; a run without a result yet has none."""
        seconds: dict[str, list[float]] = {}
        for (run, _), cell in self._cells.items():
            if cell.seconds is not None:
                seconds.setdefault(run, []).append(cell.seconds)
        return {run: statistics.fmean(values) for run, values in seconds.items()}

    def _runs(self, lefts: Mapping[str, float | None]) -> tuple[FarmRun, ...]:
        runs: dict[str, list[_Cell]] = {}
        for (run, _), cell in self._cells.items():
            runs.setdefault(run, []).append(cell)
        return tuple(_run(run, cells, lefts, is_open=run not in self._closed) for run, cells in runs.items())


def _waits(cell: _Cell) -> bool:
    return cell.last.kind in (EventKind.QUEUED, EventKind.LOST)


def _lefts(
    now: datetime, waiting: Sequence[_Cell], busy: Mapping[str, _Cell], paces: Mapping[str, float]
) -> dict[str, float | None]:
    """How long each device that has work is busy, in seconds; None where no cell has shown how long one takes."""
    usual = statistics.fmean(paces.values()) if paces else None
    lefts: dict[str, float | None] = {}
    for cell in (*busy.values(), *waiting):
        pace = paces.get(cell.queued.run, usual)
        done_s = 0.0 if _waits(cell) else (now - datetime.fromisoformat(cell.last.at)).total_seconds()
        before = lefts.get(cell.queued.device, 0.0)
        device = cell.queued.device
        lefts[device] = None if pace is None or before is None else before + max(pace - done_s, 0.0)
    return lefts


def _device(key: str, member: Member | None, busy: _Cell | None, waiting: int, left_s: float | None) -> FarmDevice:
    away = "no agent has it" if member is None else member.reason
    state = DeviceState.AWAY if away else DeviceState.BUSY if busy else DeviceState.IDLE
    device = FarmDevice(
        key=key,
        host=member.host if member else "",
        state=state,
        info=member.info if member else None,
        waiting=waiting,
        left_s=left_s if waiting or busy else 0.0,
        reason=away,
    )
    if busy is None or away:
        return device
    started, queued = busy.last, busy.queued
    return FarmDevice(
        key=key,
        host=device.host,
        state=state,
        info=device.info,
        run=started.run,
        cell=started.cell,
        user=queued.user,
        since=started.at,
        attempt=started.attempt,
        waiting=waiting,
        left_s=left_s,
    )


def _waiting(cell: _Cell, device: FarmDevice) -> WaitingCell:
    return WaitingCell(
        run=cell.queued.run,
        cell=cell.queued.cell,
        device=cell.queued.device,
        user=cell.queued.user,
        reason=_why(cell, device),
        attempt=cell.last.attempt + (cell.last.kind is EventKind.LOST),
    )


def _why(cell: _Cell, device: FarmDevice) -> str:
    if device.state is DeviceState.AWAY:
        return f"device {device.key!r} is away: {device.reason}"
    if cell.last.kind is EventKind.LOST:
        return f"will be tried again: {cell.last.reason}"
    if device.state is DeviceState.BUSY:
        ahead = f", and {device.waiting - 1} more wait for it" if device.waiting > 1 else ""
        return f"device {device.key!r} measures {device.cell} of {device.user or 'another run'}{ahead}"
    return "about to start"


def _run(run: str, cells: Sequence[_Cell], lefts: Mapping[str, float | None], *, is_open: bool) -> FarmRun:
    kinds = Counter(cell.last.kind for cell in cells)
    first = cells[0].queued
    pending = [cell for cell in cells if _waits(cell) or cell.last.kind is EventKind.STARTED]
    left = [lefts.get(cell.queued.device) for cell in pending]
    known = [value for value in left if value is not None]
    return FarmRun(
        run=run,
        user=first.user,
        priority=first.priority,
        queued_at=first.at,
        open=is_open,
        cells=len(cells),
        done=kinds[EventKind.DONE],
        running=kinds[EventKind.STARTED],
        waiting=kinds[EventKind.QUEUED] + kinds[EventKind.LOST],
        dropped=kinds[EventKind.DROPPED],
        left_s=0.0 if not pending else max(known) if len(known) == len(left) else None,
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
