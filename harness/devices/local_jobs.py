"""The folders of jobs on this computer: the artifacts by their digests, and the job of the launch in flight."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import DeviceError
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import REQUEST_FILE, RunRequest, encode


class LocalJobs:
    """Keeps artifacts and jobs in a temporary folder, which is made on first use; ``kind`` is part of its name.

    ``parent`` is where to make it, by default the system's place. All methods raise `DeviceError` if it cannot be
    written.
    """

    def __init__(self, kind: str, parent: Path | None = None) -> None:
        self._kind, self._parent = kind, parent
        self._root: Path | None = None

    def folder(self, name: str) -> Path:
        """Return the folder ``name`` of the temporary folder."""
        with _storage(self._parent or Path(tempfile.gettempdir())):
            if self._root is None:
                self._root = make_scratch(self._kind, self._parent)
            folder = self._root / name
            folder.mkdir(exist_ok=True)
        return folder

    def push(self, path: Path, sha256: str) -> bool:
        """Keep a file under its digest; return False if it was there already."""
        place = self.folder("artifacts") / sha256
        if place.exists():
            return False
        with _storage(place.parent):
            _link_or_copy(path, place)
        return True

    def job(self, request: RunRequest, inputs: Path, *, device: str) -> Path:
        """Make the job's folder, replacing that of the previous launch; ``device`` is named in an error."""
        artifacts = self.folder("artifacts")
        for part in request.artifact.files:
            if not (artifacts / part.sha256).exists():
                msg = f"artifact {part.sha256!r} is not on device {device!r}: push it before the launch"
                raise DeviceError(msg)
        job = self.folder("job")
        with _storage(job):
            shutil.rmtree(job)
            job.mkdir()
            (job / REQUEST_FILE).write_bytes(encode(request))
            for part in request.artifact.files:
                _link_or_copy(artifacts / part.sha256, job / _plain(part.file))
            _link_or_copy(inputs, job / _plain(request.inputs.file))
        return job

    def clean(self) -> None:
        """Remove everything."""
        if self._root is not None:
            remove_scratch(self._root)
            self._root = None


def _plain(name: str) -> str:
    """Return ``name`` if it is a plain file name. Raises `DeviceError` for a path, which could leave the folder."""
    if Path(name).name != name:
        msg = f"the job names the file {name!r}: it must be a plain name inside the job's folder"
        raise DeviceError(msg)
    return name


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard-link where the file system allows it, else copy and rename, so ``target`` is never a partial file."""
    try:
        target.hardlink_to(source)
    except OSError:
        temporary = target.with_name(f"{target.name}.tmp")
        shutil.copyfile(source, temporary)
        temporary.replace(target)


@contextlib.contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Turn an `OSError` into a `DeviceError` that names the folder."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write a job into {str(folder)!r}: {error.strerror or error}; free some space or set TMPDIR"
        raise DeviceError(msg) from error
