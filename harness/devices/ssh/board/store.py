"""What phonebench keeps on a board: files and unpacked archives, each under its digest, within a budget.

Nothing is trusted that was not whole: a file has its name only once its digest was computed here, and a folder only
once everything in it is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

BUDGET_BYTES = 4 << 30
# A system whose disk is completely full misbehaves.
RESERVE_BYTES = 64 << 20
_CHUNK = 1 << 20

# Passes a number of bytes on; returns False if they end too early.
Copy = Callable[[int, Callable[[bytes], None]], bool]


class FullError(Exception):
    """There is no room for a file."""

    kind = "full"


class ChangedError(Exception):
    """A file arrived whole, and is another one than was announced."""

    kind = "refused"


class Store:
    """The files and folders below one folder of the board."""

    def __init__(self, root: Path, *, budget_bytes: int = BUDGET_BYTES) -> None:
        self.files, self.trees = root / "files", root / "trees"
        self._budget_bytes = budget_bytes
        # What this session has verified or sent; never removed to make room.
        self._used: set[str] = set()
        self._tree_bytes: dict[Path, int] = {}

    def sweep(self) -> None:
        """Create the folders, and remove what an interrupted transfer left."""
        for folder in (self.files, self.trees):
            folder.mkdir(parents=True, exist_ok=True)
            for half in folder.glob("*.tmp"):
                _remove(half)

    def missing(self, files: list[str], trees: list[str]) -> list[str]:
        """Return which digests are not here. A file of an earlier session counts once its digest was computed again."""
        absent = [name for name in files if not self._is_intact(name)]
        absent += [name for name in trees if not (self.trees / name).is_dir()]
        for name in {*files, *trees}.difference(absent):
            self._used.add(name)
            for folder in (self.files, self.trees):
                if (folder / name).exists():
                    os.utime(folder / name)
        return absent

    def make_room(self, size: int) -> None:
        """Remove what was not used for longest until ``size`` more bytes fit. Raises `FullError`."""
        sizes = {path: self._size(path) for path in self._kept()}
        kept = sorted((p for p in sizes if p.name not in self._used), key=lambda p: p.stat().st_mtime)
        while kept and (sum(sizes.values()) + size > self._budget_bytes or self.free_bytes() < size + RESERVE_BYTES):
            oldest = kept.pop(0)
            del sizes[oldest]
            _remove(oldest)
        free = self.free_bytes()
        if free < size + RESERVE_BYTES:
            msg = f"{free >> 20} MiB free in {str(self.files.parent)!r}, {(size + RESERVE_BYTES) >> 20} MiB are needed"
            raise FullError(msg)

    def free_bytes(self) -> int:
        """Return the bytes that this user may still write."""
        facts = os.statvfs(self.files)
        return facts.f_bavail * facts.f_frsize

    def receive(self, sha256: str, size: int, copy: Copy) -> bool:
        """Store the next ``size`` bytes as ``sha256``; False if they ended early. Raises `OSError`, `ChangedError`."""
        half = self.files / f"{sha256}.tmp"
        digest, failure = hashlib.sha256(), None
        with half.open("wb", buffering=0) as file:

            def write(data: bytes) -> None:
                nonlocal failure
                digest.update(data)
                # After a failure the rest is still taken from the line, or the two sides would be out of step.
                if failure is None:
                    failure = _write(file.fileno(), data)

            # Not flushed to the disk: the next session computes the digest again, so a power cut does no harm.
            whole = copy(size, write)
        if not whole or failure is not None or digest.hexdigest() != sha256:
            half.unlink(missing_ok=True)
            if failure is not None:
                raise failure
            if whole:
                msg = f"a file of {size} bytes arrived changed: it has not the digest {sha256}"
                raise ChangedError(msg)
            return False
        half.replace(self.files / sha256)
        self._used.add(sha256)
        return True

    def unpack(self, sha256: str) -> None:
        """Replace an archive by the folder of its content."""
        half = self.trees / f"{sha256}.tmp"
        _remove(half)
        with zipfile.ZipFile(self.files / sha256) as archive:
            archive.extractall(half)
        # Before the rename: after a power cut the name must not refer to empty files.
        os.sync()
        half.replace(self.trees / sha256)
        (self.files / sha256).unlink()

    def _is_intact(self, sha256: str) -> bool:
        path = self.files / sha256
        if sha256 in self._used and path.is_file():
            return True
        try:
            with path.open("rb") as file:
                intact = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False
        if not intact:
            path.unlink()
        return intact

    def _kept(self) -> list[Path]:
        return [*self.files.iterdir(), *self.trees.iterdir()]

    def _size(self, path: Path) -> int:
        """The bytes of a file or a folder; a folder never changes, so its files are counted once."""
        if not path.is_dir():
            return path.stat().st_size
        if path not in self._tree_bytes:
            self._tree_bytes[path] = sum(part.lstat().st_size for part in path.rglob("*") if part.is_file())
        return self._tree_bytes[path]


def _write(descriptor: int, data: bytes) -> OSError | None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        return error
    return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
