"""The phone's storage: one folder of this computer, which is full when it holds as much as the phone would."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.viphone.state import IPhoneState


class NoSpaceError(OSError):
    """The storage is full."""


class Storage:
    """Where the phone keeps what: ``media`` for AFC, ``crashes`` for reports, and a folder per app and container."""

    def __init__(self, root: Path, state: IPhoneState) -> None:
        self.root, self._state = root, state
        self.media, self.crashes = root / "Media", root / "CrashReporter"
        self.bundles, self.data = root / "Bundle", root / "Data"
        self.full_after_bytes: int | None = None
        for folder in (self.media / "PublicStaging", self.crashes, self.bundles, self.data):
            folder.mkdir(parents=True, exist_ok=True)

    def used_bytes(self) -> int:
        """What all files hold together."""
        return sum(_size(file) for file in self.root.rglob("*"))

    def free_bytes(self) -> int:
        """What is left; never below 0."""
        return max(self._state.capacity_bytes - self.used_bytes(), 0)

    def take(self, size: int) -> int:
        """How many of these bytes may still be written: all, or fewer, with which the storage is full."""
        room = self.free_bytes()
        if self.full_after_bytes is not None:
            room = min(room, self.full_after_bytes)
            self.full_after_bytes = max(self.full_after_bytes - size, 0)
        return min(size, room)

    def need(self, size: int) -> None:
        """Raise `NoSpaceError` if that much is not left."""
        if self.take(size) < size:
            msg = f"{size} bytes are needed"
            raise NoSpaceError(msg)

    def remove_app(self, bundle_id: str) -> None:
        """Remove an app with its data."""
        for folder in (self.bundles, self.data):
            shutil.rmtree(folder / bundle_id, ignore_errors=True)


def _size(file: Path) -> int:
    # Files come and go while they are counted.
    try:
        return file.lstat().st_size if not file.is_dir() else 0
    except OSError:
        return 0
