"""The depot: the journal of a farm, and who holds which device. Its files and builds are modules of their own.

It is a plain object with a folder. On one host the engine and the devices use it directly; on many it stands beside the
scheduler and is served over HTTPS. Everything that matters is on disk before a call returns, so a depot that is killed
and started again continues where it was.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import StoreError
from harness.farm.builds.board import BuildBoard
from harness.farm.calls import (
    Announcement,
    Claim,
    Claimed,
    Dropped,
    Granted,
    Outcome,
    Queue,
    Since,
)
from harness.farm.events import Event, EventKind
from harness.farm.files import FOLDERS, KEEP_S, DepotFiles, remove_unused
from harness.farm.status import Board, FarmHost, FarmStatus, Member
from harness.records.device import DeviceInfo
from harness.system.clock import utc_now
from harness.system.decoding import decode_json
from harness.system.files import plain_name, storage_errors

# The devices of an agent that has been silent for so long are shown as away. What they run may well go on.
PRESENT_S = 45.0
# After this time its cells are tried again, and another agent may have its devices. An agent that hears nothing stops
# its work earlier.
HOLD_S = 120.0
# How often the depot looks for them.
DAY_S = 24 * 3600.0
# Clocks further apart than this are reported.
CLOCK_S = 5.0


class JournalTooShortError(StoreError):
    """The depot has fewer events of a run than whoever asks has read: its folder was emptied.

    Whoever asked from another host gets a `JournalLostError`.
    """


class NameTakenError(StoreError):
    """Another agent has joined the farm under the name of this one."""


@dataclass(slots=True, kw_only=True)
class _Agent:
    """An agent as the depot knows it; times are monotonic seconds of the depot."""

    process: str
    roles: tuple[str, ...]
    devices: dict[str, tuple[DeviceInfo, str]]
    seen_s: float
    seen_at: str
    clock_s: float
    present: bool = True


@dataclass(slots=True)
class _Run:
    """The journal of one run and its open file."""

    path: Path
    events: list[Event] = field(default_factory=list)


class Depot:
    """The depot in ``root``. Several threads may use it. Raises `StoreError` when its folder cannot be written."""

    def __init__(self, root: Path, *, name: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.root, self._name, self._clock = root, name, clock
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        with storage_errors(root):
            for folder in ("runs", *FOLDERS):
                (root / folder).mkdir(parents=True, exist_ok=True)
        self._sweep_files("runs", *FOLDERS)
        self.files = DepotFiles(root)
        self._runs = {path.stem: _Run(path, _read(path)) for path in sorted((root / "runs").glob("*.jsonl"))}
        self._board = Board(event for run in self._runs.values() for event in run.events)
        self._attempts: dict[tuple[str, str], int] = {}
        self._holders: dict[str, Claim] = {}
        self._agents: dict[str, _Agent] = {}
        # Processes whose name another one has taken over. Two agents that take turns would end each other's cells.
        self._replaced: set[str] = set()
        self._owners: dict[str, str] = {}
        self._restore_claims()
        self.builds = BuildBoard(root / "builds", self.files.use, clock)

    # -- what agents ask

    def announce(self, announcement: Announcement) -> Granted:
        """Note an agent and its devices; return those that are its alone.

        Raises `NameTakenError` for an agent whose name another one has taken over.
        """
        with self._lock:
            now_s = self._clock()
            if announcement.process in self._replaced:
                msg = (
                    f"another agent has joined the farm as {announcement.agent!r}: "
                    "give one of the two another name with --name"
                )
                raise NameTakenError(msg)
            before = self._agents.get(announcement.agent)
            if before is not None and before.process != announcement.process:
                # The agent was restarted: nothing that its former process ran goes on.
                self._replaced.add(before.process)
                self._lose_claims(announcement.agent, f"the agent {announcement.agent!r} was restarted")
            self._agents[announcement.agent] = _Agent(
                process=announcement.process,
                roles=announcement.roles,
                devices={one.info.key: (one.info, one.reason) for one in announcement.devices},
                seen_s=now_s,
                seen_at=utc_now(),
                clock_s=announcement.now_s - time.time() if announcement.now_s else 0.0,
            )
            granted = tuple(
                one.info.key for one in announcement.devices if self._grant(announcement.agent, one.info.key)
            )
            for key, owner in list(self._owners.items()):
                if owner == announcement.agent and key not in self._agents[owner].devices:
                    del self._owners[key]
            running = {claim.run for claim in self._holders.values() if claim.agent == announcement.agent}
            return Granted(devices=granted, ended=tuple(sorted(run for run in running if self._board.is_closed(run))))

    def claim(self, claim: Claim) -> Claimed:
        """Let a cell start unless its result is there, its run has been left, or its device is in use."""
        with self._lock:
            if self._board.is_done(claim.run, claim.cell):
                return Claimed(go=False, reason="its result is stored")
            if not self._board.is_wanted(claim.run, claim.cell):
                return Claimed(go=False, reason="nobody waits for it")
            if self._owners.get(claim.device, claim.agent) != claim.agent:
                return Claimed(go=False, reason=f"device {claim.device!r} is held by {self._owners[claim.device]!r}")
            holder = self._holders.get(claim.device)
            if holder == claim:
                # Asked again, because the answer did not arrive.
                return Claimed(go=True, attempt=self._attempts[claim.run, claim.cell] - 1)
            if holder is not None:
                # A device runs one cell at a time, so its agent would have reported the end of the last one.
                self._end(holder, EventKind.LOST, "the agent did not say how it ended")
            attempt = self._attempts.get((claim.run, claim.cell), 0)
            self._attempts[claim.run, claim.cell] = attempt + 1
            self._holders[claim.device] = claim
            self._note(self._event(claim, EventKind.STARTED, attempt=attempt))
            return Claimed(go=True, attempt=attempt)

    def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
        """Note how an attempt ended. A result that is there already stays as it is."""
        if parcel is not None:
            self.files.take_in(parcel, outcome.parcel)
        with self._lock:
            claim = Claim(run=outcome.run, cell=outcome.cell, device=outcome.device, agent=outcome.agent)
            held = self._holders.get(outcome.device) == claim
            if held:
                del self._holders[outcome.device]
            if not (held or outcome.parcel):
                # The attempt was given up before, which counted as its loss.
                return
            if outcome.run not in self._runs or self._board.is_done(outcome.run, outcome.cell):
                return
            kind = EventKind.DONE if outcome.parcel else EventKind.LOST
            if outcome.parcel and not self.files.path_of(outcome.parcel).is_file():
                msg = f"the parcel {outcome.parcel!r} has not arrived: send it again"
                raise StoreError(msg)
            self._note(
                self._event(
                    claim,
                    kind,
                    attempt=outcome.attempt,
                    seconds=outcome.seconds,
                    reason=outcome.reason,
                    parcel=outcome.parcel,
                    final=outcome.final,
                ),
                safely=kind is EventKind.DONE,
            )

    # -- what the owner of a run asks

    def queue(self, queue: Queue) -> None:
        """Note cells that wait from now on; those that have a result are left out, unless it is wanted again."""
        with self._lock:
            at = utc_now()
            self._note(
                *(
                    Event(
                        kind=EventKind.QUEUED,
                        at=at,
                        run=queue.run,
                        cell=one.cell,
                        device=one.device,
                        user=queue.user,
                        priority=queue.priority,
                    )
                    for one in queue.cells
                    # A result may have arrived since the owner of the run last looked.
                    if one.again or not self._board.is_done(queue.run, one.cell)
                )
            )

    def events(self, since: Since) -> tuple[Event, ...]:
        """Return the events of a run after the first ``since.after``, waiting as `Since` says.

        Raises `JournalTooShortError` if the journal is shorter than that.
        """
        with self.changed:
            if self._count(since.run) < since.after:
                msg = f"the journal of run {since.run!r} has gone: the folder {str(self.root)!r} was emptied"
                raise JournalTooShortError(msg)
            found = self.changed.wait_for(lambda: self._count(since.run) > since.after, timeout=since.wait_s)
        if found and since.gather_s:
            time.sleep(since.gather_s)
        with self._lock:
            run = self._runs.get(since.run)
            return tuple(run.events[since.after :]) if run else ()

    def drop(self, dropped: Dropped) -> None:
        """Note that a cell is given up, or that the owner of the run has gone."""
        if not dropped.cell:
            self.builds.drop(dropped.run)
        with self._lock:
            if dropped.run not in self._runs:
                return
            kind = EventKind.DROPPED if dropped.cell else EventKind.CLOSED
            self._note(
                Event(kind=kind, at=utc_now(), run=dropped.run, cell=dropped.cell, reason=dropped.reason), safely=True
            )
            if dropped.finished:
                self._forget(dropped.run)

    def status(self) -> FarmStatus:
        """Return the state of the farm now."""
        with self._lock:
            self.sweep()
            members = {
                key: Member(info=info, host=name, reason=reason or self._silence(name, agent))
                for name, agent in self._agents.items()
                for key, (info, reason) in agent.devices.items()
                if self._owners.get(key) == name
            }
            hosts = [
                FarmHost(
                    name=name,
                    seen_at=agent.seen_at,
                    present=agent.present,
                    roles=agent.roles,
                    clock_s=round(agent.clock_s, 1) if abs(agent.clock_s) > CLOCK_S else 0.0,
                )
                for name, agent in self._agents.items()
            ]
            status = self._board.status(datetime.now(UTC), members, hosts, scheduler=self._name)
            return replace(status, builds=self.builds.status())

    def sweep(self) -> None:
        """Give up the attempts of agents that have been silent for too long, and once a day remove unused files."""
        with self._lock:
            if self._clock() - self._swept_s > DAY_S:
                self._sweep_files(*FOLDERS, "builds")
                self._sweep_runs()
            for name, agent in self._agents.items():
                silent_s = self._clock() - agent.seen_s
                agent.present = silent_s <= PRESENT_S
                if silent_s > HOLD_S:
                    self._lose_claims(name, f"the agent {name!r} has not been heard of for {silent_s:.0f} s")

    # -- the same files for who is on this host, where nothing is copied

    def offer(self, path: Path, sha256: str) -> None:
        """Remember where a file of this host is."""
        self.files.offer(path, sha256)

    def fetch(self, sha256: str, folder: Path) -> Path:  # noqa: ARG002  nothing is copied into it
        """Return the path of a file. Raises `FileGoneError` if there is none."""
        return self.files.fetch(sha256)

    def prefetch(self, sha256s: Sequence[str], folder: Path) -> None:
        """Do nothing: the files are here."""

    # -- inside

    def _silence(self, name: str, agent: _Agent) -> str:
        """Why the devices of an agent cannot be reached; empty if they can."""
        return "" if agent.present else f"its agent {name!r} was last heard of at {agent.seen_at}"

    def _count(self, run: str) -> int:
        return len(self._runs[run].events) if run in self._runs else 0

    def _event(self, claim: Claim, kind: EventKind, **more: Any) -> Event:
        facts: dict[str, Any] = {"run": claim.run, "cell": claim.cell, "device": claim.device, "agent": claim.agent}
        return Event(kind=kind, at=utc_now(), **facts | more)

    def _note(self, *events: Event, safely: bool = False) -> None:
        """Append events to the journals of their runs, with ``safely`` flushed to the disk before this returns."""
        if not events:
            return
        run = self._runs.get(events[0].run)
        if run is None:
            run = self._runs[events[0].run] = _Run(self.root / "runs" / f"{_run_name(events[0].run)}.jsonl")
        with storage_errors(self.root), run.path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
            if safely:
                file.flush()
                os.fsync(file.fileno())
        for event in events:
            run.events.append(event)
            self._board.note(event)
        self.changed.notify_all()

    def _grant(self, agent: str, key: str) -> bool:
        owner = self._owners.get(key)
        if owner is not None and owner != agent:
            other = self._agents.get(owner)
            if other is not None and key in other.devices and self._clock() - other.seen_s < HOLD_S:
                return False
        self._owners[key] = agent
        return True

    def _end(self, claim: Claim, kind: EventKind, reason: str) -> None:
        self._holders.pop(claim.device, None)
        if not self._board.is_done(claim.run, claim.cell):
            attempt = self._attempts.get((claim.run, claim.cell), 1) - 1
            self._note(self._event(claim, kind, reason=reason, attempt=attempt))

    def _lose_claims(self, agent: str, reason: str) -> None:
        for claim in [claim for claim in self._holders.values() if claim.agent == agent]:
            self._end(claim, EventKind.LOST, reason)

    def _restore_claims(self) -> None:
        """Find out from the journals which attempts were under way when the depot ended."""
        for run in self._runs.values():
            for event in run.events:
                claim = Claim(run=event.run, cell=event.cell, device=event.device, agent=event.agent)
                if event.kind is EventKind.STARTED:
                    self._attempts[event.run, event.cell] = event.attempt + 1
                    self._holders[event.device] = claim
                elif self._holders.get(event.device) == claim:
                    del self._holders[event.device]

    def _forget(self, run: str) -> None:
        """Remove the parcels of a finished run; its journal stays."""
        for event in self._runs[run].events:
            if event.parcel:
                self.files.forget(event.parcel)

    def _sweep_runs(self) -> None:
        """Forget runs whose journals nobody has written to for `KEEP_S`, or they would fill the memory."""
        limit = time.time() - KEEP_S
        for name, run in list(self._runs.items()):
            with contextlib.suppress(FileNotFoundError):
                if run.path.stat().st_mtime >= limit:
                    continue
                run.path.unlink()
            del self._runs[name]
            self._board.forget(name)
            self._attempts = {key: count for key, count in self._attempts.items() if key[0] != name}
            self._holders = {device: claim for device, claim in self._holders.items() if claim.run != name}

    def _sweep_files(self, *folders: str) -> None:
        self._swept_s = self._clock()
        for folder in folders:
            remove_unused(self.root / folder)


def _run_name(run: str) -> str:
    return plain_name(run, "a run is called", "so it has no journal")


def _read(path: Path) -> list[Event]:
    """Read a journal; a last line that a kill cut off does not count, and is removed."""
    with storage_errors(path.parent), path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
    events = []
    for line in data.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            events.append(decode_json(line, Event))
    return events
