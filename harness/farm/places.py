"""The folders of a farm on this host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import UsageError
from harness.system.files import storage_errors
from harness.system.paths import cache_folder


class Role(StrEnum):
    """What a host does for a farm: its devices measure, or it makes the files that they measure."""

    MEASURE = "measure"
    BUILD = "build"


def farm_certs(given: Path | None) -> Path:
    """Return the folder with this host's certificate: ``given``, or the system's place for a user's settings."""
    if given is not None:
        return given
    from platformdirs import user_config_path

    return user_config_path("phonebench") / "farm"


def farm_data(what: str) -> Path:
    """Return the folder where the scheduler or an agent keeps its files."""
    return cache_folder(None) / "farm" / what


@contextmanager
def alone_in(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder of a scheduler or an agent, ``what``: two of them would take each other's files for their own.

    Raises `UsageError` if another one holds it.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        msg = f"another {what} uses the folder {str(folder)!r}: stop it, or give this one another --data"
        raise UsageError(msg) from None
    try:
        yield
    finally:
        lock.release()
