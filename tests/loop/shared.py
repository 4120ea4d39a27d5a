"""What test processes share: expensive things are made once per session, or kept until their sources change."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

from tests.loop.imports import ROOT, read_graph

KEPT = ROOT / ".pytest_cache" / "kept"


class SharedFolder:
    """A folder that every test process of the session sees."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def folder(self, name: str) -> Path:
        """Return a folder that all processes may read and write at any time."""
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


def kept(name: str, sources: Iterable[Path], make: Callable[[Path], object], folder: Path) -> None:
    """Fill ``folder`` with what ``make`` made last time; make it again if ``sources`` have changed since."""
    KEPT.mkdir(parents=True, exist_ok=True)
    store = KEPT / name
    stamp, current = store.with_suffix(".sha256"), _digest(sources)
    with FileLock(store.with_suffix(".lock")):
        if not stamp.exists() or stamp.read_text() != current:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(store, ignore_errors=True)
            store.mkdir()
            make(store)
            stamp.write_text(current)
        shutil.copytree(store, folder, dirs_exist_ok=True)


def sources_of_artifacts(model: str) -> list[Path]:
    """Return every file that the artifacts of a bundled model are built from."""
    code = [ROOT / node for node in read_graph().used_by("harness/artifacts/build.py")]
    return [
        *code,
        *(path for path in (ROOT / "models" / model).rglob("*") if path.is_file()),
        ROOT / "requirements.lock",
    ]


def _digest(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(sources):
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
