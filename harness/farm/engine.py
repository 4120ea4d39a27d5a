"""Measures the cells of a run on the devices of a farm: queues each on its device, and takes what comes back.

The store is the truth: a cell is done once its measurement is stored, whatever the queue believes. The queue gets a
window of two cells per device, so that a device is never idle and a run that ends leaves little behind. What a device
could not finish is tried again as another attempt, which the journal counts.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from harness.errors import DeviceError, StoreError
from harness.farm.calls import Dropped, Queue, QueuedCell, RunPost, Since
from harness.farm.depot import CLOCK_S
from harness.farm.errands import CellErrand, Errand, Taken
from harness.farm.events import Event, EventKind
from harness.farm.files import FileGoneError
from harness.farm.link import DepotError, JournalLostError
from harness.farm.parcel import ParcelError
from harness.farm.status import DeviceState, FarmStatus
from harness.farm.work import Packed, Work
from harness.measure.job import Job
from harness.measure.parallel import Losses, Sink
from harness.progress import Progress
from harness.spec.phone_settings import PhoneSettings
from harness.system.files import file_sha256

# Cells that a device has in the queue: the one it runs and the next.
WINDOW = 2
MOST_ATTEMPTS = 3
# A cell whose task ended without a word in the journal is queued again after this time.
SILENT_S = 10.0
# How often devices that are away are looked for.
LOOK_S = 5.0
WAIT_S = 1.0
# How long more events are waited for once there is one. Each round costs as much as a cell; a device that has ended
# one has the next in the queue.
GATHER_S = 0.25
# How many results are stored in one go. After a kill, at most this many are read again.
MOST_TAKEN = 64
# How often a run whose devices have nothing to do asks whether a file has been built.
FEED_S = 0.2

log = logging.getLogger(__name__)


class TaskState(StrEnum):
    """What the queue says about a task. ``BROKEN``: it will never end, because a worker or the scheduler has gone."""

    WAITING = "waiting"
    ENDED = "ended"
    BROKEN = "broken"


class TaskQueue(Protocol):
    """The queue of an engine. `harness.farm.dask_queue` has the one that is used."""

    def submit(self, works: Sequence[Work], *, priority: int) -> Sequence[object]:
        """Queue each work on the worker that has its device, in this order, and return a ticket for each.

        Raises `DepotError` without a queue.
        """

    def state(self, ticket: object) -> TaskState:
        """Return what became of a ticket."""

    def release(self, ticket: object) -> None:
        """Forget a ticket; work that has not started never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmRun:
    """Whose cells these are. ``measured`` are the cells that have a measurement already and are wanted again.

    ``patience_s``: how long a device may be away, or the farm out of reach, before the cells that wait are given up.
    ``fetched`` is the folder for parcels on their way to the store.
    """

    run: str
    fetched: Path
    settings: PhoneSettings
    measured: frozenset[str] = frozenset()
    priority: int = 0
    patience_s: float = 600.0
    user: str = field(default_factory=lambda: _user())


class Feed(Protocol):
    """Errands that become ready while others run, because their files are still being built."""

    @property
    def open(self) -> bool:
        """Whether more may come."""

    def take(self) -> Sequence[Errand]:
        """Return the errands that have become ready since the last call, at once."""


class NoFeed:
    """Nothing more comes."""

    open = False

    def take(self) -> Sequence[Errand]:
        return ()


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """A cell that is not done yet."""

    errand: Errand
    packed: Packed
    ticket: object | None = None
    attempts: int = 0
    silent_s: float | None = None


class FarmEngine:
    """Measures cells on a farm; ``post`` is the depot and ``tasks`` the queue."""

    def __init__(
        self, run: FarmRun, post: RunPost, tasks: TaskQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run, self._post, self._tasks, self._clock = run, post, tasks, clock
        self._offered: set[str] = set()
        self._after = 0
        self._reached_s = clock()
        self._looked_s = 0.0
        self._away_since: dict[str, float] = {}
        self._left_over = False
        self._clocks = _Clocks()
        self._left: dict[str, Event] | None = None

    def measure(self, jobs: Sequence[Job], sink: Sink, progress: Progress) -> tuple[Losses, ...]:
        """Measure every job and store each measurement as it comes; return the losses of each device.

        What earlier attempts of the run left on the farm is taken first, so nothing is measured again. Raises
        `StoreError` when a result cannot be stored.
        """
        progress.start("measure", len(jobs))
        return self.run_errands([CellErrand(job=job, sink=sink) for job in jobs], progress)

    def run_errands(
        self, errands: Sequence[Errand], progress: Progress, *, window: int = WINDOW, feed: Feed | None = None
    ) -> tuple[Losses, ...]:
        """Run every errand on its device, and return the losses of each device. ``progress`` has started.

        ``window``: how many of them a device has in the queue. ``feed`` gives more while these run. Raises
        `StoreError` when a result cannot be stored.
        """
        # Patience begins now: files may have been built for hours since the farm was joined.
        self._reached_s = self._clock()
        # What earlier attempts left is read anew: it may have grown since the last call.
        self._left = None
        table = _Table(window=window, progress=progress, feed=feed or NoFeed())
        try:
            self._add(errands, table)
            while table.waiting or table.feed.open:
                self._add(table.feed.take(), table)
                if table.waiting:
                    self._step(table)
                else:
                    time.sleep(FEED_S)
        finally:
            self._left_over = self._left_over or bool(table.waiting)
            for cell in table.waiting.values():
                if cell.ticket is not None:
                    self._tasks.release(cell.ticket)
            progress.finish()
        return tuple(table.losses.values())

    @property
    def took_all(self) -> bool:
        """Whether every cell so far has its result in the store, so that nothing of it is needed on the farm."""
        return not self._left_over

    def close(self) -> None:
        """Leave the farm. What runs for this run is ended, unless it had finished anyway."""
        with contextlib.suppress(StoreError):
            self._post.drop(Dropped(run=self._run.run, finished=not self._left_over))

    # -- one round

    def _add(self, errands: Sequence[Errand], table: _Table) -> None:
        """Take errands into the table, and what earlier attempts of the run left of them."""
        if not errands:
            return
        # Patience does not run out while nothing is wanted of the farm.
        self._reached_s = self._clock() if not table.waiting else self._reached_s
        added: dict[str, _Waiting] = {}
        for one in errands:
            packed = one.pack(self._run.run, self._run.settings, table.digests.of)
            added[one.key] = _Waiting(errand=one, packed=packed)
            table.losses.setdefault(one.device, Losses(device=one.device))
        table.waiting.update(added)
        self._take_history(table)
        self._queue_all({key: one for key, one in added.items() if key in table.waiting}, table)

    def _step(self, table: _Table) -> None:
        try:
            self._fill(table)
            since = Since(run=self._run.run, after=self._after, wait_s=WAIT_S, gather_s=GATHER_S)
            events = self._post.events(since)
            done = [event for event in events if event.kind is EventKind.DONE and event.cell in table.waiting]
            # One request for all of them costs the depot a fraction of one for each.
            if len(done) > 1:
                self._post.prefetch([event.parcel for event in done], self._run.fetched)
            try:
                for event in events:
                    self._after += 1
                    self._take(event, table)
            finally:
                self._store(table)
            self._check_tickets(table)
            self._look(table)
            self._reached_s = self._clock()
        except JournalLostError as error:
            log.warning("%s; what has no result yet is queued again", error)
            self._begin_again(table)
        except DepotError as error:
            self._be_patient(table, error)

    def _begin_again(self, table: _Table) -> None:
        """Queue everything again at a depot that has lost its journals and its files."""
        self._after, self._left = 0, {}
        self._offered.clear()
        for cell in table.waiting.values():
            self._let_go(cell)
        self._queue_all(table.waiting, table)

    def _take_history(self, table: _Table) -> None:
        """Take the results that an earlier attempt of this run left on the farm."""
        if self._left is None:
            events = self._patiently(table, lambda: self._post.events(Since(run=self._run.run))) or ()
            self._after = len(events)
            self._left = {event.cell: event for event in events if event.kind is EventKind.DONE}
        try:
            for cell in [cell for cell in self._left if cell in table.waiting]:
                event = self._left.pop(cell)
                if cell not in self._run.measured:
                    self._patiently(table, functools.partial(self._finish, event, table))
        finally:
            self._store(table)

    def _queue_all(self, cells: Mapping[str, _Waiting], table: _Table) -> None:
        queued = (
            QueuedCell(cell=key, device=one.errand.device, again=key in self._run.measured)
            for key, one in cells.items()
        )
        self._queue(tuple(queued), table)

    def _queue(self, cells: tuple[QueuedCell, ...], table: _Table) -> None:
        run = self._run
        if cells:
            queue = Queue(run=run.run, user=run.user, cells=cells, priority=run.priority)
            self._patiently(table, lambda: self._post.queue(queue))

    def _patiently(self, table: _Table, ask: Callable[[], Any]) -> Any:
        """Ask the depot until it answers, or until patience ends, which gives up every cell."""
        while table.waiting:
            try:
                answer = ask()
            except DepotError as error:
                self._be_patient(table, error)
            else:
                self._reached_s = self._clock()
                return answer
        return None

    def _be_patient(self, table: _Table, error: DepotError) -> None:
        self._store(table)
        if error.for_good or self._clock() - self._reached_s > self._run.patience_s:
            for key in tuple(table.waiting):
                self._give_up(key, str(error), table, tell=False)
            return
        log.info("%s", error)
        time.sleep(WAIT_S)

    def _fill(self, table: _Table) -> None:
        """Give every device as many cells as fit into its window, in the order of the plan."""
        room: dict[str, int] = {}
        next_ones = []
        for key, cell in tuple(table.waiting.items()):
            device = cell.errand.device
            room.setdefault(device, table.window)
            if room[device] <= 0:
                continue
            if cell.ticket is None and not cell.errand.may_start():
                self._drop(key, "it was too late to start it", table)
                continue
            room[device] -= 1
            if cell.ticket is None:
                next_ones.append(cell)
        if next_ones:
            self._submit(next_ones)

    def _submit(self, cells: Sequence[_Waiting]) -> None:
        for sha256, path in (source for cell in cells for source in cell.packed.sources.items()):
            if sha256 not in self._offered:
                self._post.offer(path, sha256)
                self._offered.add(sha256)
        # In one message: each costs the queue as much as several cells.
        tickets = self._tasks.submit([cell.packed.work for cell in cells], priority=self._run.priority)
        for cell, ticket in zip(cells, tickets, strict=True):
            cell.silent_s, cell.ticket = None, ticket

    # -- what comes back

    def _take(self, event: Event, table: _Table) -> None:
        cell = table.waiting.get(event.cell)
        if cell is None:
            # Left by an earlier attempt of the run, for an errand that may still come.
            if event.kind is EventKind.DONE and self._left is not None:
                self._left[event.cell] = event
            return
        match event.kind:
            case EventKind.STARTED:
                table.progress.begin(event.cell)
            case EventKind.DONE:
                self._patiently(table, lambda: self._finish(event, table))
            case EventKind.LOST if event.cell not in table.taken:
                self._note_loss(cell, event, table)
            case _:
                pass

    def _finish(self, event: Event, table: _Table) -> None:
        """Fetch a parcel and read what is in it, to be stored with what others left."""
        if event.cell in table.taken:
            return
        cell = table.waiting[event.cell]
        try:
            parcel = self._post.fetch(event.parcel, self._run.fetched)
        except FileGoneError as error:
            self._measure_again(cell, replace(event, reason=str(error)), table)
            return
        try:
            taken = cell.errand.take(parcel, self._clocks.ahead_s(event.agent, self._post.status))
        except ParcelError as error:
            self._discard(parcel)
            self._measure_again(cell, replace(event, reason=str(error)), table)
            return
        table.taken[event.cell] = parcel, taken
        if len(table.taken) >= MOST_TAKEN:
            self._store(table)

    def _store(self, table: _Table) -> None:
        """Store the measurements that have been taken, and only then let go of their parcels and cells."""
        by_sink: dict[int, list[Taken]] = {}
        for _, taken in table.taken.values():
            by_sink.setdefault(id(taken.sink), []).append(taken)
        for several in by_sink.values():
            if (sink := several[0].sink) is not None:
                sink.add_all([taken.measurement for taken in several if taken.measurement is not None])
        for key in tuple(table.taken):
            parcel, taken = table.taken.pop(key)
            self._discard(parcel)
            table.losses[table.waiting[key].errand.device].in_a_row.clear()
            self._forget(key, table)
            table.progress.step(key, taken.words)

    def _discard(self, parcel: Path) -> None:
        """Remove our copy of a parcel: the store has what was in it, and two of them would double the size of a run."""
        if parcel.parent == self._run.fetched:
            parcel.unlink(missing_ok=True)

    def _measure_again(self, cell: _Waiting, event: Event, table: _Table) -> None:
        """Queue a cell again whose result is damaged or gone, as an attempt that was lost."""
        self._note_loss(cell, event, table)
        if event.cell in table.waiting:
            # Asked until it is answered: to begin again from the parcel would count another attempt.
            self._queue((QueuedCell(cell=event.cell, device=cell.errand.device, again=True),), table)

    def _note_loss(self, cell: _Waiting, event: Event, table: _Table) -> None:
        cell.attempts += 1
        if event.final or cell.attempts >= MOST_ATTEMPTS:
            self._give_up(event.cell, event.reason, table, one_cell=event.final)
            return
        log.info("%s will be tried again: %s", event.cell, event.reason)
        # One reason is that the depot has lost a file of it. It is not sent again if it is there.
        self._offered.difference_update(cell.packed.sources)
        self._let_go(cell)

    def _give_up(self, key: str, reason: str, table: _Table, *, one_cell: bool = False, tell: bool = True) -> None:
        cell = table.waiting[key]
        table.losses[cell.errand.device].add(DeviceError(reason, one_cell=one_cell))
        cell.errand.give_up(reason)
        self._drop(key, reason, table, tell=tell)
        self._left_over = True

    def _drop(self, key: str, reason: str, table: _Table, *, tell: bool = True) -> None:
        if tell:
            with contextlib.suppress(DepotError):
                self._post.drop(Dropped(run=self._run.run, cell=key, reason=reason))
        self._forget(key, table)
        table.progress.step(key, f"not run: {reason}")

    def _forget(self, key: str, table: _Table) -> None:
        cell = table.waiting.pop(key)
        self._let_go(cell)

    def _let_go(self, cell: _Waiting) -> None:
        # A result that the queue holds would be computed again when its worker goes.
        if cell.ticket is not None:
            self._tasks.release(cell.ticket)
            cell.ticket = None

    def _check_tickets(self, table: _Table) -> None:
        """Queue cells again whose tasks broke, or ended without a word in the journal."""
        now_s = self._clock()
        for cell in table.waiting.values():
            if cell.ticket is None:
                continue
            state = self._tasks.state(cell.ticket)
            if state is TaskState.ENDED:
                cell.silent_s = now_s if cell.silent_s is None else cell.silent_s
            silent = cell.silent_s is not None and now_s - cell.silent_s > SILENT_S
            if state is TaskState.BROKEN or silent:
                self._let_go(cell)

    def _look(self, table: _Table) -> None:
        """Give up the cells of devices that have been away for too long."""
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        status = self._post.status()
        self._clocks.note(status)
        away = {one.key: one.reason for one in status.devices if one.state is DeviceState.AWAY}
        self._away_since = {key: self._away_since.get(key, now_s) for key in away}
        gone = {key for key, since_s in self._away_since.items() if now_s - since_s > self._run.patience_s}
        for key, cell in tuple(table.waiting.items()):
            device = cell.errand.device
            if device in gone:
                self._give_up(key, f"device {device!r} is away: {away[device]}", table)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What is not done of one call of `FarmEngine.run_errands`, and what is shown of it.

    ``taken`` are the cells whose parcels have been read and whose measurements are stored next.
    """

    window: int
    progress: Progress
    feed: Feed
    waiting: dict[str, _Waiting] = field(default_factory=dict)
    losses: dict[str, Losses] = field(default_factory=dict)
    taken: dict[str, tuple[Path, Taken]] = field(default_factory=dict)
    digests: _Digests = field(default_factory=lambda: _Digests())


class _Clocks:
    """How far the clocks of agents are ahead of ours, so that all times of a run are by one clock."""

    def __init__(self) -> None:
        self._ahead_s: dict[str, float] = {}

    def note(self, status: FarmStatus) -> None:
        """Learn from a status that has just arrived."""
        depot_s = (datetime.fromisoformat(status.at) - datetime.now(UTC)).total_seconds()
        self._ahead_s |= {host.name: host.clock_s + depot_s for host in status.hosts}

    def ahead_s(self, agent: str, ask: Callable[[], FarmStatus]) -> float:
        """Return how many seconds an agent's clock is ahead of ours; 0 if the difference is small or unknown."""
        if agent not in self._ahead_s:
            self.note(ask())
        ahead_s = self._ahead_s.setdefault(agent, 0.0)
        return ahead_s if abs(ahead_s) > CLOCK_S else 0.0


class _Digests:
    """Digests of files that several jobs share, each computed once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file's content."""
        if path not in self._known:
            self._known[path] = file_sha256(path)
        return self._known[path]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
