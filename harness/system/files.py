"""Writes files whole or not at all, digests them, and turns the errors of the operating system into sentences."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@contextmanager
def storage_errors(folder: Path, *, runs_other_code: bool = False) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StoreError` that names ``folder`` and says what to do.

    ``runs_other_code``: the block also runs converters or user code, so an error that says nothing about the disk, such
    as a missing file, is theirs and passes through.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            msg = f"no space left for {str(folder)!r}: free some, or choose another folder"
            raise StoreError(msg) from error
        if runs_other_code and error.errno not in _FORBIDDEN:
            raise
        reason = error.strerror or str(error)
        msg = f"cannot write to {str(folder)!r} ({reason}): make it writable, or choose another folder"
        raise StoreError(msg) from error


def write_whole(path: Path, data: bytes, *, wait: bool = True) -> None:
    """Write ``data`` under a private name and rename it, so that no reader ever sees half of it. Raises `OSError`.

    Without ``wait`` for the disk, a power cut may leave an empty file.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            if wait:
                file.flush()
                # Before the rename: after a power cut the name must not refer to an empty file.
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def all_or_nothing(paths: Iterable[Path]) -> Iterator[None]:
    """Remove those of ``paths`` that the block makes, and the folders above that it makes for them, if it fails.

    What was there before stays. ``paths`` may be files and folders.
    """
    new = [path for path in paths if not path.exists()]
    above = {folder for path in new for folder in path.parents if not folder.exists()}
    try:
        yield
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
        for folder in sorted(above, key=lambda folder: len(folder.parts), reverse=True):
            # It may hold what another process has put there by now.
            with suppress(OSError):
                folder.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Create ``folder`` and try whether a file can be made in it, before somebody works for what is written there.

    Raises `StoreError`.
    """
    trial = folder / f".{os.getpid()}.trial"
    with storage_errors(folder), all_or_nothing((trial,)):
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()


def is_plain_name(name: str) -> bool:
    """Return whether ``name`` is a name in a folder, and neither a path, which could lead out of it, nor hidden."""
    return bool(name) and Path(name).name == name and not name.startswith(".") and "\0" not in name


def plain_name(name: str, what: str, hence: str) -> str:
    """Return ``name`` if it is a plain name, see `is_plain_name`; `StoreError` otherwise.

    Names that other hosts send become parts of paths. ``what`` and ``hence`` make the sentence: ``a run is called``
    NAME, which is not a plain name, ``so it has no journal``.
    """
    if not is_plain_name(name):
        msg = f"{what} {name!r}, which is not a plain name, {hence}"
        raise StoreError(msg)
    return name


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(digests: Sequence[str]) -> str:
    """Return the digest of several files, given theirs, the main one first; that of a single file is its own."""
    return digests[0] if len(digests) == 1 else json_sha256(list(digests))


def json_sha256(values: Any) -> str:
    """Return the SHA-256, in hexadecimal, of plain ``values`` as JSON. The order of keys does not count."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
