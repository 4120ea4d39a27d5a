"""Locks a phone, so that two runs on this computer never measure on it at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import DeviceError


@contextlib.contextmanager
def occupied(serial: str, busy: DeviceError) -> Iterator[None]:
    """Hold the lock of the phone with this serial number. Raises ``busy`` if another run holds it."""
    # A digest, because the serial of a network phone contains characters that a file name cannot have.
    name = hashlib.sha256(serial.encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"phonebench-phone-{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise busy from error
    try:
        yield
    finally:
        lock.release()
