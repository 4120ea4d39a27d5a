"""One device of an agent: opens it, runs one cell at a time on it, and hands over what the launches left.

A parcel is on this host's disk before anybody is told of it, and stays there until the depot has it. Whether a cell
still has to run is asked right before it starts, because its result may have arrived in the meantime.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.devices.device import Device
from harness.errors import DeviceError, PhonebenchError, SignatureError, StoreError
from harness.farm.calls import AgentPost, Claim, Outcome
from harness.farm.files import remove_unused
from harness.farm.link import DepotError, ask_patiently
from harness.farm.parcel import ParcelWriter
from harness.farm.work import Rival, Work, require_signed, unpack_job
from harness.measure.cell import launch_cell
from harness.measure.gate import Gate
from harness.measure.job import Job, Ran
from harness.measure.pairs import RanPairs, launch_pairs
from harness.spec.phone_settings import PhoneSettings
from harness.system.clock import utc_now
from harness.system.decoding import decode_json
from harness.system.files import storage_errors, write_whole

# A device that has lost so many cells in a row is not trusted until it has been opened again.
LOSSES_IN_A_ROW = 2

Opener = Callable[[str, PhoneSettings], AbstractContextManager[Device]]
_Answer = TypeVar("_Answer")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all devices of an agent share: its name, the depot, its folder, how a device is opened, and when to stop.

    ``spool`` holds parcels until the depot has them, ``files`` what was fetched. ``slots`` limits how many devices work
    at the same time. ``trusted`` is the file of the public key that must have signed each artifact, None for any.
    """

    agent: str
    post: AgentPost
    spool: Spool
    files: Path
    opener: Opener
    stopping: threading.Event = field(default_factory=threading.Event)
    slots: threading.Semaphore | None = None
    trusted: Path | None = None


class Spool:
    """Results that the depot does not have yet: a parcel each, and beside it how the attempt ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for part in folder.glob(".parcel-*"):
                part.unlink()
        self._lock = threading.Lock()

    def keep(self, outcome: Outcome) -> None:
        """Note that the parcel of ``outcome``, which is in the folder, waits for the depot."""
        with storage_errors(self.folder):
            write_whole(self.folder / f"{outcome.parcel}.json", msgspec.json.encode(outcome))

    def waiting(self) -> tuple[Outcome, ...]:
        """Return what waits; a record that cannot be read is left alone."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                found.append(decode_json(path.read_bytes(), Outcome))
        return tuple(found)

    def has(self, run: str, cell: str) -> bool:
        """Return whether the result of a cell waits here."""
        return any((one.run, one.cell) == (run, cell) for one in self.waiting())

    def hand_over(self, post: AgentPost) -> None:
        """Give everything that waits to the depot. Raises `DepotError` while it cannot be reached.

        A damaged parcel is set aside, or all that follow it would wait for ever.
        """
        with self._lock:
            for outcome in self.waiting():
                try:
                    self.hand_over_one(outcome, post)
                except DepotError:
                    raise
                except StoreError as error:
                    log.warning("%s; it stays in %s", error, self.folder)
                    record = self.folder / f"{outcome.parcel}.json"
                    record.replace(record.with_suffix(".damaged"))

    def hand_over_one(self, outcome: Outcome, post: AgentPost) -> None:
        """Give one result to the depot and forget it. Raises `DepotError`."""
        parcel = self.folder / outcome.parcel
        if parcel.is_file():
            post.deliver(outcome, parcel)
        (self.folder / f"{outcome.parcel}.json").unlink(missing_ok=True)
        parcel.unlink(missing_ok=True)


class Bench:
    """A device and the work on it.

    ``trouble`` says why it cannot take work at the moment, empty if it can. ``running`` is the run that it works for.
    """

    def __init__(self, key: str, site: Site) -> None:
        self.key, self._site = key, site
        self.trouble = ""
        # The lock, and no accounting, keeps two cells from one device: a worker that was replaced may still have a
        # thread at work.
        self._alone = threading.Lock()
        self._open: _OpenDevice | None = None
        self._losses = 0
        self._ended = ""
        self.running = ""

    def run(self, work: Work) -> str:
        """Run one cell, unless that is no longer needed, and return in a word how it ended."""
        with self._alone, self._site.slots or contextlib.nullcontext():
            if self._site.stopping.is_set():
                return "stopped"
            self._ended, self.running = "", work.run
            try:
                return self._run(work)
            finally:
                self.running = ""

    def close(self) -> None:
        """End a launch in flight, then close the device."""
        self.interrupt("the agent was stopped")
        with self._alone:
            self._close()

    def interrupt(self, reason: str) -> None:
        """End a launch in flight; its cell then has no result, for ``reason``."""
        self._ended = reason
        if self._open is not None:
            with contextlib.suppress(DeviceError):
                self._open.device.clean()

    def _run(self, work: Work) -> str:
        cell = work.cell
        if self._site.spool.has(work.run, cell):
            return "waits"
        claim = Claim(run=work.run, cell=cell, device=self.key, agent=self._site.agent)
        claimed = self._patiently(lambda: self._site.post.claim(claim))
        if claimed is None or not claimed.go:
            return "refused"
        started_s = time.monotonic()
        writer = ParcelWriter(self._site.spool.folder)
        try:
            parcel, reason, final = self._measure(work, writer), "", False
        except PhonebenchError as error:
            writer.discard()
            # What ended from outside says nothing about the next attempt.
            parcel, reason, final = None, str(error), _would_recur(error) and not self._ended
        outcome = Outcome(
            **{name: getattr(claim, name) for name in ("run", "cell", "device", "agent")},
            attempt=claimed.attempt,
            seconds=time.monotonic() - started_s,
            parcel=parcel.name if parcel else "",
            reason=reason,
            final=final,
        )
        return self._report(outcome)

    def _measure(self, work: Work, writer: ParcelWriter) -> Path:
        site, folder = self._site, self._site.files / "work" / self.key.replace("/", "_")
        try:
            shutil.rmtree(folder, ignore_errors=True)
            with storage_errors(site.files):
                remove_unused(site.files)
            jobs = [unpack_job(part, self._fetch, folder / name) for name, part in _parts(work)]
            if site.trusted is not None:
                for job in jobs:
                    require_signed(job, site.trusted)
            opened = self._opened(work.settings)
            with _deadline(opened.device, work.deadline_s) as late:
                ran = _launch(work, jobs, opened, writer)
            if self._ended:
                raise DeviceError(self._ended, one_cell=True)
            if late.is_set():
                msg = f"cell {work.cell!r} took longer than {work.deadline_s:.0f} s and was ended"
                raise DeviceError(msg)
            self._losses = 0
            return writer.finish(work.run, work.cell, ran)
        except DeviceError as error:
            self._note_loss(error)
            raise

    def _fetch(self, sha256: str) -> Path:
        return self._site.post.fetch(sha256, self._site.files)

    def _report(self, outcome: Outcome) -> str:
        """Tell the depot how it ended. A result that cannot be told now waits in the spool."""
        if not outcome.parcel:
            self._patiently(lambda: self._site.post.deliver(outcome, None))
            return "lost"
        self._site.spool.keep(outcome)
        try:
            self._site.spool.hand_over_one(outcome, self._site.post)
        except DepotError as error:
            log.warning("the result of %s waits on this host: %s", outcome.cell, error)
            return "waits"
        return "done"

    def _opened(self, settings: PhoneSettings) -> _OpenDevice:
        """Return the device, opened with ``settings``. Raises `DeviceError`."""
        if self._open is None or self._open.settings != settings:
            self._close()
            context = self._site.opener(self.key, settings)
            device = context.__enter__()
            self._open = _OpenDevice(context=context, device=device, gate=Gate(device), settings=settings)
        return self._open

    def _close(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            with contextlib.suppress(DeviceError):
                opened.context.__exit__(None, None, None)

    def _note_loss(self, error: DeviceError) -> None:
        if error.one_cell:
            return
        self._losses += 1
        # A device that went away is found again by opening it.
        self._close()
        if self._losses >= LOSSES_IN_A_ROW:
            self._losses = 0
            self.trouble = str(error)

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer | None:
        """Ask the depot until it answers; None if the agent stops before. Raises `DepotError` if waiting is no help."""
        waits = functools.partial(log.info, "%s waits for the depot: %s", self.key)
        return ask_patiently(ask, self._site.stopping, note=waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenDevice:
    context: AbstractContextManager[Device]
    device: Device
    gate: Gate
    settings: PhoneSettings


def _parts(work: Work) -> list[tuple[str, Work | Rival]]:
    """The sides of the work, each with the name of its folder: their files may have one name."""
    return [("a", work)] if work.rival is None else [("a", work), ("b", work.rival)]


def _launch(work: Work, jobs: Sequence[Job], opened: _OpenDevice, writer: ParcelWriter) -> Ran | RanPairs:
    if work.rival is None:
        return launch_cell(jobs[0], opened.device, writer, utc_now, opened.gate)
    return launch_pairs((jobs[0], jobs[1]), opened.gate, writer, utc_now, work.rival.plan)


@contextlib.contextmanager
def _deadline(device: Device, seconds: float) -> Iterator[threading.Event]:
    """End the launch in flight on ``device`` after ``seconds``; the event says whether that happened."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(DeviceError):
            device.clean()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _would_recur(error: PhonebenchError) -> bool:
    """Whether another attempt would end the same way: no runner, no signature, or a file that does not fit."""
    return isinstance(error, SignatureError) or (isinstance(error, DeviceError) and error.one_cell)
