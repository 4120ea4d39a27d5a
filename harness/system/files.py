"""What a disk does to us, in words: one translation of operating-system errors for the cache and the results."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what a full or forbidden disk raises into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            msg = f"no space left for {str(folder)!r}: free some, or choose another folder"
            raise StoreError(msg) from error
        if error.errno in _FORBIDDEN:
            msg = f"cannot write to {str(folder)!r} ({error.strerror}): make it writable, or choose another folder"
            raise StoreError(msg) from error
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` under a private name and rename it, so that nobody ever sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
