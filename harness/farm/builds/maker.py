"""A build host: asks the depot for builds, makes each group of them in a process, and hands over what was made.

A model is code, and this runs it: whoever has a certificate of the farm can run code here.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.artifacts.cache import KINDS, Cache
from harness.artifacts.sealed import KEY_VARIABLE
from harness.errors import PhonebenchError, StoreError
from harness.farm.builds.calls import BuildReport, EntryKind, EntryRef, GivenBuild, MakerPost, TakeBuilds
from harness.farm.builds.process import Ended, ProcessJob
from harness.farm.builds.versions import host_versions
from harness.farm.builds.work import MODULES, entry_of, keep_entry, place_files, require_signed_source
from harness.farm.files import KEEP_S, remove_unused
from harness.farm.link import DepotError, ask_patiently
from harness.farm.work import FileRef
from harness.system.child_process import child_environment
from harness.system.decoding import decode_json
from harness.system.files import storage_errors

LOOK_S = 1.0
# Groups that are made at the same time: one process of a converter each, at most as many as a run starts.
AT_ONCE = max(1, min(2, os.cpu_count() or 1))
# Building must not take the processor from an agent that measures on the same host.
NICENESS = 10
LAST_BYTES = 2000
COMMAND = (sys.executable, "-P", "-m", "harness.farm.builds.process")

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """The part of a `BuildWork` that is needed to fetch what it needs."""

    source: str
    entries: tuple[EntryRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The part of a `ModelSource` that is needed to fetch the model."""

    files: tuple[FileRef, ...]


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Builds that one process makes; ``open`` are those that have not ended."""

    builds: tuple[GivenBuild, ...]
    open: set[str]
    process: subprocess.Popen[bytes] | None = None
    stopped: bool = False
    thread: threading.Thread | None = field(default=None)

    def stop(self) -> None:
        """End the process, or do not start it."""
        self.stopped = True
        if self.process is not None:
            self.process.kill()


class Maker:
    """Makes builds in ``folder`` for the agent ``agent`` until ``stopping`` is set.

    ``trusted`` is the file of the public key that must have signed each model, None for any model.
    """

    def __init__(
        self, agent: str, post: MakerPost, folder: Path, stopping: threading.Event, *, trusted: Path | None = None
    ) -> None:
        self._agent, self._post, self._stopping, self._trusted = agent, post, stopping, trusted
        self._files, self._rooms, self._root = folder / "files", folder / "rooms", folder / "cache"
        # Rooms of an agent that was killed.
        shutil.rmtree(self._rooms, ignore_errors=True)
        with storage_errors(folder):
            for path in (self._files, self._rooms):
                path.mkdir(parents=True, exist_ok=True)
        self._batches: list[_Batch] = []

    def run(self) -> None:
        """Serve until the agent stops. Raises `DepotError` if the depot refuses this host for good."""
        try:
            while not self._stopping.is_set():
                try:
                    self.look()
                except DepotError as error:
                    if error.for_good:
                        raise
                    log.info("%s", error)
                self._stopping.wait(LOOK_S)
        finally:
            for batch in self._batches:
                batch.stop()
            for batch in self._batches:
                if batch.thread is not None:
                    batch.thread.join()
            # Nobody has to wait until this host counts as silent.
            with contextlib.suppress(DepotError):
                self._post.take_builds(TakeBuilds(agent=self._agent, versions=host_versions(), free=0, leaving=True))

    def look(self) -> None:
        """Say once what is being made here, and start what the depot gives. Raises `DepotError`."""
        self._batches = [one for one in self._batches if one.thread is not None and one.thread.is_alive()]
        taking = TakeBuilds(
            agent=self._agent,
            versions=host_versions(),
            free=AT_ONCE - len(self._batches),
            building=tuple(key for batch in self._batches for key in sorted(batch.open)),
        )
        given = self._post.take_builds(taking)
        for batch in self._batches:
            if batch.open and batch.open <= set(given.unwanted):
                batch.stop()
        for group in given.groups:
            batch = _Batch(builds=group, open={build.key for build in group})
            batch.thread = threading.Thread(target=self._make, args=(batch,), daemon=True)
            self._batches.append(batch)
            batch.thread.start()

    # -- one group

    def _make(self, batch: _Batch) -> None:
        room = Path(tempfile.mkdtemp(dir=self._rooms))
        try:
            reason = self._made_in(room, batch)
        except (PhonebenchError, OSError, ValueError) as error:
            reason = str(error)
        finally:
            shutil.rmtree(room, ignore_errors=True)
        for key in tuple(batch.open):
            # A depot that refuses this host for good refuses `run` as well, which ends with the error.
            with contextlib.suppress(DepotError):
                self._report(batch, BuildReport(agent=self._agent, key=key, reason=reason))

    def _made_in(self, room: Path, batch: _Batch) -> str:
        """Make a group in its room; return why builds that have not ended by then never will."""
        remove_unused(self._files)
        works = [self._fetch(build.work) for build in batch.builds]
        heads = [decode_json(work.read_bytes(), Works) for work in works]
        source = self._fetch(heads[0].source)
        place_files(decode_json(source.read_bytes(), Files).files, self._fetch, room)
        (room / MODULES).mkdir(exist_ok=True)
        if self._trusted is not None:
            require_signed_source(room, self._trusted)
        cache = Cache(self._root)
        remove_old_entries(cache)
        for entry in dict.fromkeys(entry for head in heads for entry in head.entries):
            # A network that steps made is a pickle, so it is code that no signature covers: it is made here then.
            if entry.kind is EntryKind.PREPARED or (entry.kind is EntryKind.VARIANT and self._trusted is None):
                keep_entry(cache, entry, self._fetch)
                _note_use(cache, entry.kind, entry.key)
        job = ProcessJob(root=str(room), cache=str(self._root), source=str(source), works=tuple(map(str, works)))
        return self._run(room, job, batch, cache)

    def _run(self, room: Path, job: ProcessJob, batch: _Batch, cache: Cache) -> str:
        (room / "job.json").write_bytes(msgspec.json.encode(job))
        said = room / "log"
        with said.open("wb") as log_file:
            process = subprocess.Popen(
                [*COMMAND, str(room / "job.json")],
                cwd=room / MODULES,
                env=_environment(room / MODULES),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,
            )
        batch.process = process
        if batch.stopped:
            process.kill()
        if hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        assert process.stdout is not None
        try:
            with process.stdout as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        self._hand_over(batch, decode_json(line, Ended), cache)
            code = process.wait()
        finally:
            # What cannot be handed over ends the group, and its process with it.
            process.kill()
            process.wait()
        last = said.read_bytes()[-LAST_BYTES:].decode(errors="replace").strip().rpartition("\n")[2]
        return last if code > 0 and last else f"the process that builds ended with exit code {code}"

    def _hand_over(self, batch: _Batch, ended: Ended, cache: Cache) -> None:
        entries = []
        for kind, key in ended.entries:
            packed = entry_of(cache, kind, key)
            if packed is None:
                continue
            _note_use(cache, kind, key)
            entry, places = packed
            for sha256, path in places.items():
                self._patiently(functools.partial(self._post.offer, path, sha256))
            entries.append(entry)
        reason = ended.reason or ("" if entries else "it disappeared from the cache of the build host")
        self._report(batch, BuildReport(agent=self._agent, key=ended.key, entries=tuple(entries), reason=reason))

    def _report(self, batch: _Batch, report: BuildReport) -> None:
        if not batch.stopped:
            self._patiently(lambda: self._post.report_build(report))
        batch.open.discard(report.key)

    def _fetch(self, sha256: str) -> Path:
        path = self._patiently(lambda: self._post.fetch(sha256, self._files))
        if path is None:
            msg = "the build host was stopped"
            raise StoreError(msg)
        return path

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer | None:
        """Ask the depot until it answers; None if the agent stops before. Raises `DepotError` if waiting is no help."""
        return ask_patiently(ask, self._stopping, note=functools.partial(log.info, "%s"))


def remove_old_entries(cache: Cache) -> None:
    """Remove entries that no build has used for `KEEP_S`: nobody clears the cache of a build host by hand."""
    limit = time.time() - KEEP_S
    for kind in KINDS:
        for folder in (cache.root / kind).glob("*/*"):
            # Another group may be removing it at this moment.
            with contextlib.suppress(FileNotFoundError):
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)


def _note_use(cache: Cache, kind: EntryKind, key: str) -> None:
    with contextlib.suppress(OSError):
        os.utime(cache.folder(kind.value, key))


def _environment(modules: Path) -> dict[str, str]:
    """The environment of the process: the model's own modules on the path, after ours, and no key of this host."""
    environment = child_environment(threads=1)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(modules))))
    environment.pop(KEY_VARIABLE, None)
    return environment
