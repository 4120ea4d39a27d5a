"""What the test processes of one session share: each costly thing is made once, by the first process that needs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


class SharedFolder:
    """A folder that every test process of the session sees."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def folder(self, name: str) -> Path:
        """Return a folder that all processes read and write at any time."""
        path = self._path / name
        path.mkdir(exist_ok=True)
        return path

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the folder ``name``, which ``make`` fills the first time; other processes wait until it has.

        What is in the folder must not contain its own path, because it is renamed when it is complete.
        """
        finished = self._path / name
        with FileLock(self._path / f"{name}.lock"):
            if not finished.exists():
                begun = self._path / f"{name}.begun"
                # Left by a process that was killed or whose ``make`` failed.
                shutil.rmtree(begun, ignore_errors=True)
                begun.mkdir()
                make(begun)
                begun.rename(finished)
        return finished


def session_folder(base: Path) -> SharedFolder:
    """Return the folder of the session whose temporary folder, in this process, is ``base``."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    path = (base.parent if parallel else base) / "shared"
    path.mkdir(exist_ok=True)
    return SharedFolder(path)
