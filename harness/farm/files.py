"""The files of a depot, by their digests: those that arrived in its folder, and those elsewhere on this host."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError
from harness.system.files import file_sha256, plain_name, storage_errors

# Files and journals are removed after this time without use.
KEEP_S = 14 * 24 * 3600.0
# Below the folder of a depot: whole files, and those that have arrived in part.
FOLDERS = ("files", "parts")


class FileGoneError(StoreError):
    """The depot has no such file, because it was removed or never sent, or only a damaged one."""


class DepotFiles:
    """The files of the depot in ``root``. Several threads may use it.

    Every method that takes a digest (SHA-256, in hexadecimal) raises `StoreError` for one that is a path.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        # Files of this host that are used where they are.
        self._places: dict[str, Path] = {}
        # Files that arrive, each with its lock and how many threads want it.
        self._arriving: dict[str, tuple[threading.Lock, int]] = {}

    def path_of(self, sha256: str) -> Path:
        """Return where a file is, or would be."""
        return self._places.get(sha256) or self._own(sha256)

    def offer(self, path: Path, sha256: str) -> None:
        """Remember where a file of this host is."""
        self._places[sha256] = path

    def fetch(self, sha256: str) -> Path:
        """Return the path of a file. Raises `FileGoneError` if there is none."""
        path = self.path_of(sha256)
        if not path.is_file():
            msg = f"the depot has no file {sha256!r}: it was removed, or never sent"
            raise FileGoneError(msg)
        return path

    def use(self, sha256: str) -> bool:
        """Return whether a file is there; it then counts as used, so it is kept for another `KEEP_S`."""
        with contextlib.suppress(OSError):
            os.utime(self.path_of(sha256))
            return True
        return False

    def received(self, sha256: str) -> int | None:
        """Return how many bytes of a file have arrived; None if it is complete, which then counts as used."""
        if self.use(sha256):
            return None
        part = self._part(sha256)
        return part.stat().st_size if part.is_file() else 0

    def receive(self, sha256: str, offset: int, data: bytes, *, last: bool) -> int | None:
        """Append ``data`` at ``offset`` of a file that arrives in pieces; return what `received` returns.

        A piece that does not fit the end is ignored. With ``last``, the digest is checked, and a file that does not
        match is removed, so that it is sent again from its start. Raises `StoreError` if it cannot be written.
        """
        part = self._part(sha256)
        with self._lock_of(sha256), storage_errors(self._root):
            arrived = self.received(sha256)
            if arrived is None or offset != arrived:
                return arrived
            with part.open("ab") as file:
                file.write(data)
                if last:
                    file.flush()
                    os.fsync(file.fileno())
            if not last:
                return arrived + len(data)
            return self._complete(part, sha256)

    def take_in(self, path: Path, sha256: str) -> None:
        """Keep a file of this host, which its owner may remove afterwards. Raises `StoreError`."""
        place = self._own(sha256)
        with storage_errors(self._root), contextlib.suppress(FileExistsError):
            try:
                place.hardlink_to(path)
            except FileExistsError:
                raise
            except OSError:
                # On another file system, or on one without hard links.
                _copy_whole(path, place)

    def forget(self, sha256: str) -> None:
        """Remove a file that is no longer needed."""
        self._places.pop(sha256, None)
        self._own(sha256).unlink(missing_ok=True)

    def _own(self, sha256: str) -> Path:
        return self._root / "files" / _digest(sha256)

    def _part(self, sha256: str) -> Path:
        return self._root / "parts" / _digest(sha256)

    def _complete(self, part: Path, sha256: str) -> int | None:
        if file_sha256(part) != sha256:
            part.unlink()
            return 0
        part.replace(self._own(sha256))
        return None

    @contextlib.contextmanager
    def _lock_of(self, sha256: str) -> Iterator[None]:
        """Hold a file that arrives, so that two senders of it take turns.

        One lock for all files would make every sender wait for the seconds that a large one takes.
        """
        with self._lock:
            lock, users = self._arriving.get(sha256, (threading.Lock(), 0))
            self._arriving[sha256] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                users = self._arriving[sha256][1] - 1
                self._arriving[sha256] = lock, users
                if not users:
                    del self._arriving[sha256]


def remove_unused(folder: Path) -> None:
    """Remove the files in ``folder`` that nobody has used for `KEEP_S`."""
    limit = time.time() - KEEP_S
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink()


def _digest(sha256: str) -> str:
    return plain_name(sha256, "a file is named by", "so it is not looked for")


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a file under a private name and rename it, once it is on disk."""
    handle, name = tempfile.mkstemp(prefix=".copy-", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as copy, source.open("rb") as file:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
