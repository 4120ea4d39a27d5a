"""The files in the runner app's documents, each named by its digest. When space runs out, the oldest go first.

An iPhone computes no digests for a computer. The runner app does, before it loads a file; where it finds another one,
the file is sent again. So a file of the right size and name is taken for intact until the app says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.hold import Tether
from harness.errors import DeviceError, IosTrouble
from harness.wire import ArtifactRef

BUDGET_BYTES = 4 << 30
# Must stay free beyond the file's own size, because a job copies nothing but writes outputs.
RESERVE_BYTES = 256 << 20
# Slower than any cable, so this only bounds the wait.
_SLOWEST_BYTES_PER_S = 500_000
# The longest wait for an answer while an iPhone is being closed.
_CLOSING_S = 10.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the store; ``stored_at`` is in seconds of the iPhone's clock."""

    name: str
    bytes: int
    stored_at: float


class PhoneStore:
    """The store of one iPhone. All methods raise `IosError`."""

    def __init__(self, tether: Tether, *, budget_bytes: int = BUDGET_BYTES) -> None:
        self._tether, self._budget_bytes = tether, budget_bytes
        # Digests that this session has stored or seen.
        self._there: set[str] = set()

    def put(self, path: Path, sha256: str) -> bool:
        """Store ``path`` under ``sha256``; return False if it was there already."""
        if sha256 in self._there:
            return False
        size = path.stat().st_size
        kept = self.kept()
        if not any(file.name == sha256 and file.bytes == size for file in kept):
            self._make_space(size, kept)
        seconds = 60 + size / _SLOWEST_BYTES_PER_S
        sent = bool(self._tether.call("put", seconds=seconds, path=str(path.resolve()), sha256=sha256))
        self._there.add(sha256)
        return sent

    def holds(self, sha256: str) -> bool:
        """Return whether the file is there. Whether it is intact, the app finds out."""
        if sha256 not in self._there:
            self._there |= {file.name for file in self.kept()}
        return sha256 in self._there

    def check_holds(self, artifact: ArtifactRef) -> None:
        """Raise `DeviceError` unless every file of an artifact is there."""
        for part in artifact.files:
            if not self.holds(part.sha256):
                msg = f"artifact {part.sha256!r} is not on {named(self._tether.udid)}: push it before the launch"
                raise DeviceError(msg)

    def forget(self) -> None:
        """Look for every file again before its next use."""
        self._there.clear()

    def remove(self, *names: str) -> None:
        """Remove files from the store. This also works while the iPhone is being closed."""
        self._there -= set(names)
        tether = self._tether
        if tether.closing.is_set():
            tether.once("remove", seconds=_CLOSING_S, names=list(names))
        else:
            tether.call("remove", names=list(names))

    def kept(self) -> tuple[StoredFile, ...]:
        """Return the files that are there, including partial ones."""
        rows = self._tether.call("kept")
        return tuple(StoredFile(name=row["name"], bytes=row["bytes"], stored_at=row["at"]) for row in rows)

    def free_bytes(self) -> int | None:
        """Return the free space in bytes, None if not reported."""
        free: int | None = self._tether.call("free")
        return free

    def _make_space(self, size: int, kept: tuple[StoredFile, ...]) -> None:
        """Remove the oldest files until the new one fits both the budget and the free space."""
        free, used = self.free_bytes(), sum(file.bytes for file in kept)
        # Only files named by a digest are ours; a person may have put others into the folder.
        removable = sorted(
            (file for file in kept if file.name not in self._there and _DIGEST.match(file.name)),
            key=lambda file: file.stored_at,
        )
        while removable and (used + size > self._budget_bytes or not _fits(size, free)):
            oldest = removable.pop(0)
            self.remove(oldest.name)
            used -= oldest.bytes
            free = None if free is None else free + oldest.bytes
        if not _fits(size, free):
            udid = self._tether.udid
            needed = size + RESERVE_BYTES
            what = f"{named(udid)} has {(free or 0) >> 20} MiB free but {needed >> 20} MiB are needed"
            raise ios_error(IosTrouble.FULL, what, udid=udid)


def _fits(size: int, free: int | None) -> bool:
    return free is None or free >= size + RESERVE_BYTES
