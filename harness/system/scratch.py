"""Temporary folders that do not pile up: the next process removes what a killed one left behind.

A lock file beside each folder tells whether it is still in use: the system frees the lock when its process dies.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

# A new folder is left alone for so long: its process may not have locked it yet.
GRACE_SECONDS = 600

_held: dict[Path, FileLock] = {}
_roots: list[Path] = []


def use_root(folder: Path) -> None:
    """Make new folders in ``folder`` from now on, instead of the system's folder for temporary files."""
    _roots[:] = [folder]


def make_scratch(kind: str, parent: Path | None = None) -> Path:
    """Return a new private folder in ``parent``; abandoned ones of ``kind`` are removed.

    ``parent`` is by default that of `use_root`, else the system's folder for temporary files.
    """
    root = parent or (_roots[0] if _roots else Path(tempfile.gettempdir()))
    prefix = f"phonebench-{kind}-"
    _sweep(root, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    lock = FileLock(_lock_path(folder))
    lock.acquire()
    _held[folder] = lock
    return folder


def remove_scratch(folder: Path) -> None:
    """Remove a folder made by `make_scratch`."""
    shutil.rmtree(folder, ignore_errors=True)
    lock = _held.pop(folder, None)
    if lock is not None:
        lock.release()
    _lock_path(folder).unlink(missing_ok=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _sweep(root: Path, prefix: str) -> None:
    limit = time.time() - GRACE_SECONDS
    for folder in root.glob(f"{prefix}*"):
        if folder.suffix == ".lock" or folder in _held:
            continue
        try:
            if folder.stat().st_mtime > limit:
                continue
            with FileLock(_lock_path(folder), timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            # In use, owned by another user, or being removed by another process.
            continue
        _lock_path(folder).unlink(missing_ok=True)
