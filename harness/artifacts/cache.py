"""The cache: complete folders, found by a key made from everything that decides their content.

An entry is made in a private folder and then renamed into place, so a kill at any moment leaves either a complete entry
or none, and several processes can share a cache. Entries are checked when they are read; a damaged one is deleted and
made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from harness.artifacts.manifest import SCHEMA, Artifact, Manifest, check_files, read_record
from harness.artifacts.sealed import KEY_VARIABLE, is_sealed, seal_for
from harness.errors import SignatureError
from harness.system.files import storage_errors

log = logging.getLogger(__name__)

MANIFEST_FILE = "manifest.json"
# The kinds of entries, each with its own folder.
KINDS = ("artifacts", "prepared", "variants", "scans", "calibrations")
# A staging folder older than this belongs to a process that was killed.
STALE_SECONDS = 24 * 3600
# Results name the log of a build that failed. After this time nobody is likely to read it any more.
LOG_SECONDS = 30 * 24 * 3600

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUsage:
    """How much the cache holds."""

    entries: int
    bytes: int


class Cache:
    """The entries in ``root``, with one folder per kind. Raises `StoreError` if it cannot write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seal = seal_for(root)
        with storage_errors(root):
            for name in (*KINDS, "staging", "locks", "logs"):
                (root / name).mkdir(parents=True, exist_ok=True)
        self._sweep()

    @property
    def environment(self) -> dict[str, str]:
        """Variables for processes that build: converters must not leave plain files if the cache is encrypted."""
        return {} if self._seal is None else self._seal.environment

    @property
    def logs(self) -> Path:
        """The folder for the logs of build workers."""
        return self.root / "logs"

    def artifact(self, key: str) -> Artifact | None:
        """Return the artifact stored under ``key``, or None. A damaged entry is deleted."""
        return self.entry("artifacts", key, _read_artifact)

    def entry(self, kind: str, key: str, read: Callable[[Path], _Entry]) -> _Entry | None:
        """Return what ``read`` returns for the folder of ``key``, or None if there is none.

        If ``read`` raises `ValueError` or `OSError`, the entry is damaged and is deleted.
        """
        folder = self.folder(kind, key)
        if not folder.is_dir():
            return None
        sealed = is_sealed(folder)
        if sealed and self._seal is None:
            msg = f"the cache {str(self.root)!r} is encrypted: set {KEY_VARIABLE} to its key"
            raise SignatureError(msg)
        if self._seal is not None and not sealed:
            # Made before there was a key. It is made again, and then lies here encrypted.
            return None
        try:
            return read(folder if self._seal is None else self._seal.open(folder))
        except (ValueError, OSError) as error:
            log.warning("the cache entry %s is damaged (%s); it will be made again", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
            return None

    def folder(self, kind: str, key: str) -> Path:
        """Return where the entry of ``key`` is or would be."""
        # Two levels, because thousands of entries in one folder are slow to list.
        return self.root / kind / key[:2] / key

    def find_or_make(self, kind: str, key: str, read: Callable[[Path], _Entry], make: Callable[[Path], None]) -> _Entry:
        """Return the entry of ``key``; if there is none, ``make`` writes its files to a private folder first.

        Only one process makes an entry; others wait for it and then read it. Errors of ``make`` are passed on.
        """
        with self.lock(key):
            entry = self.entry(kind, key, read)
            if entry is not None:
                return entry
            with self.making(kind, key) as folder:
                make(folder)
            made = self.folder(kind, key)
            return read(made if self._seal is None else self._seal.open(made))

    def lock(self, key: str) -> FileLock:
        """Return the lock to hold while making ``key``. The system releases it if the process dies."""
        return FileLock(self.root / "locks" / f"{key}.lock")

    @contextmanager
    def making(self, kind: str, key: str) -> Iterator[Path]:
        """Yield a private folder, which becomes the entry of ``key`` if the block ends without an exception."""
        with storage_errors(self.root, runs_other_code=True):
            staging = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-{os.getpid()}-", dir=self._staging))
            try:
                yield staging
                self._keep(staging, self.folder(kind, key))
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    @property
    def _staging(self) -> Path:
        """Where entries are made: on the disk of the cache, or in memory if they must not lie there in the clear."""
        return self.root / "staging" if self._seal is None else self._seal.staging

    def _keep(self, made: Path, target: Path) -> None:
        """Move what was made to its place, encrypted if there is a key. It appears by one rename."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._seal is not None:
            closed = Path(tempfile.mkdtemp(prefix=f"{target.name[:12]}-{os.getpid()}-", dir=self.root / "staging"))
            try:
                self._seal.close(made, closed)
                self._replace(closed, target)
            finally:
                shutil.rmtree(closed, ignore_errors=True)
            return
        self._replace(made, target)

    def _replace(self, made: Path, target: Path) -> None:
        _sync_folder(made)
        # A damaged entry may be in the way, and a folder cannot replace one that is not empty.
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)

    def adopt(self, pid: int) -> Manifest | None:
        """Make an entry of the artifact that a process of ours had finished when its runtime crashed it.

        Returns its manifest, which says so, or None if the process died in the middle of something else.
        """
        for folder in self._staging.glob(f"*-{pid}-*"):
            # Only an artifact that is being verified has its manifest already.
            if not (folder / MANIFEST_FILE).is_file():
                continue
            try:
                manifest = _read_artifact(folder).manifest
            except (ValueError, OSError) as error:
                log.warning("the artifact that crashed process %d cannot be kept: %s", pid, error)
                continue
            target = self.folder("artifacts", manifest.key)
            with storage_errors(self.root):
                self._keep(folder, target)
            return manifest
        return None

    def discard(self, pid: int) -> None:
        """Delete the private folders of a process of ours that was killed, and so could not do it itself."""
        for folder in self._staging.glob(f"*-{pid}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def usage(self) -> CacheUsage:
        """Count the entries and their bytes."""
        folders = [f for kind in KINDS for f in (self.root / kind).glob("*/*")]
        return CacheUsage(entries=len(folders), bytes=sum(_sizes(self.root)))

    def clear(self) -> CacheUsage:
        """Delete every entry and log, and return how much there was. Locks held by a running build stay."""
        before = self.usage()
        with storage_errors(self.root):
            # Not the locks: without the lock that it holds, a running build would be joined by a second one.
            for name in (*KINDS, "logs"):
                shutil.rmtree(self.root / name, ignore_errors=True)
                (self.root / name).mkdir(parents=True, exist_ok=True)
        return before

    def _sweep(self) -> None:
        now = time.time()
        for folder in (self.root / "staging").iterdir():
            # Another process may finish with the folder and remove it at this very moment.
            with contextlib.suppress(FileNotFoundError):
                if folder.stat().st_mtime < now - STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
        for file in self.logs.iterdir():
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < now - LOG_SECONDS:
                    file.unlink()


def _sizes(root: Path) -> Iterator[int]:
    """The sizes of the files below ``root``. Files that disappear during the count are ignored."""
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield Path(folder, name).lstat().st_size


def _read_artifact(folder: Path) -> Artifact:
    manifest = read_record(folder / MANIFEST_FILE, Manifest, SCHEMA)
    if manifest.file is None:
        return Artifact(manifest=manifest, path=None)
    digests = {manifest.file: manifest.sha256} | {part.file: part.sha256 for part in manifest.companions}
    if manifest.inputs is not None:
        digests[manifest.inputs.file] = manifest.inputs.sha256
    check_files(folder, digests)
    return Artifact(manifest=manifest, path=folder / manifest.file)


def _sync_folder(folder: Path) -> None:
    """Flush every file of ``folder`` to disk, so that no renamed entry has empty files after a power cut."""
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
