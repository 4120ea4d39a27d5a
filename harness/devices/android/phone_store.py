"""The files on a phone, each under its digest: checked on the phone, renamed when whole, oldest out first.

Nothing is resumed and nothing is trusted: a file has its name only after the phone itself computed its digest, and a
file of an earlier session is computed again before it is used.
"""

from __future__ import annotations

import logging
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.texts import parse_free_bytes
from harness.errors import DeviceError, PhoneError, PhoneTrouble
from harness.wire import ArtifactRef

FOLDER = "/data/local/tmp/phonebench"
BUDGET_BYTES = 4 << 30
# What must stay free beside twice the file: a phone that is full to the last byte misbehaves.
RESERVE_BYTES = 64 << 20
_HASH_BYTES_PER_S = 20_000_000
# How large a file is taken to be whose size is not known, to bound the time of its digest.
_UNKNOWN_BYTES = 8 << 30
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file in the store: its name, its bytes, and when it was last used, in seconds of the phone's clock."""

    name: str
    bytes: int
    used_at: int


class PhoneStore:
    """The store of one phone. All methods raise `PhoneError`."""

    def __init__(self, cable: Cable, *, budget_bytes: int = BUDGET_BYTES) -> None:
        self._cable = cable
        self._budget_bytes = budget_bytes
        self._sure: set[str] = set()

    def put(self, path: Path, sha256: str) -> bool:
        """Make ``path`` the file ``sha256`` of the store; False when it was there already, and whole."""
        size = path.stat().st_size
        if sha256 in self._sure:
            return False
        if self._is_whole(sha256, size):
            self._sure.add(sha256)
            return False
        self._make_space(size)
        self._send(path, sha256)
        self._sure.add(sha256)
        return True

    def holds(self, sha256: str) -> bool:
        """Whether the file is there and whole; computed on the phone unless this session knows."""
        if sha256 not in self._sure and self._is_whole(sha256, _UNKNOWN_BYTES):
            self._sure.add(sha256)
        return sha256 in self._sure

    def check_holds(self, artifact: ArtifactRef) -> None:
        """Raise `DeviceError` unless every file of an artifact is there and whole."""
        for part in artifact.files:
            if not self.holds(part.sha256):
                msg = f"artifact {part.sha256!r} is not on {named(self._cable.serial)}: push it before the launch"
                raise DeviceError(msg)

    def forget(self) -> None:
        """Be sure of nothing any more: the phone was away, and what happened to it meanwhile is not known."""
        self._sure.clear()

    def remove(self, name: str) -> None:
        """Remove a file of the store."""
        self._sure.discard(name)
        self._cable.check(f"rm -f {FOLDER}/{shlex.quote(name)}")

    def kept(self) -> tuple[Kept, ...]:
        """Return the files that are there, halves and all."""
        # Android 8 has stat; a folder without files leaves the pattern as it is, which then is no file.
        text = self._cable.run(f"cd {FOLDER} && stat -c '%n %s %Y' *").text
        rows = (line.rsplit(" ", 2) for line in text.splitlines())
        return tuple(Kept(name=row[0], bytes=int(row[1]), used_at=int(row[2])) for row in rows if len(row) == 3)

    def free_bytes(self) -> int | None:
        """Return how much space the phone has for the store, None when it does not tell."""
        return parse_free_bytes(self._cable.run(f"df -k {FOLDER}").text)

    def prepare(self) -> None:
        """Make the folder, and take away halves that an earlier push left."""
        self._cable.check(f"mkdir -p {FOLDER} && chmod 755 {FOLDER} && rm -f {FOLDER}/*.part")

    def _is_whole(self, sha256: str, size: int) -> bool:
        name = f"{FOLDER}/{sha256}"
        command = f"[ -f {name} ] && sha256sum {name} && touch {name}"
        done = self._cable.run(command, seconds=_hash_s(size))
        found = done.text.split()[:1]
        if found and found != [sha256]:
            log.warning("the file %s on %s has changed; it is sent anew", sha256, self._cable.serial)
            self.remove(sha256)
        return found == [sha256]

    def _make_space(self, size: int) -> None:
        """Remove the oldest files until the new one fits the budget and the phone."""
        free = self.free_bytes()
        kept = sorted((file for file in self.kept() if file.name not in self._sure), key=lambda file: file.used_at)
        used = sum(file.bytes for file in self.kept())
        while kept and (used + size > self._budget_bytes or not _fits(size, free)):
            oldest = kept.pop(0)
            # What is not ours stays: the folder may hold something that a person put there.
            if not _DIGEST.match(oldest.name):
                continue
            self.remove(oldest.name)
            used -= oldest.bytes
            free = None if free is None else free + oldest.bytes
        if not _fits(size, free):
            what = f"{named(self._cable.serial)} has {(free or 0) >> 20} MiB free, {_needed(size) >> 20} are needed"
            raise phone_error(PhoneTrouble.FULL, what, serial=self._cable.serial, command=f"df {FOLDER}")

    def _send(self, path: Path, sha256: str) -> None:
        part = f"{FOLDER}/{sha256}.part"
        try:
            self._cable.push(path, part)
            text = self._cable.check(f"sha256sum {part}", seconds=_hash_s(path.stat().st_size))
        except PhoneError as error:
            self._tidy(part, error)
            raise
        found = text.split()[:1]
        if found != [sha256]:
            self._cable.check(f"rm -f {part}")
            what = f"{path.name!r} came onto {named(self._cable.serial)} as {found}, {sha256} was sent"
            raise phone_error(PhoneTrouble.REFUSED, what, serial=self._cable.serial, command=f"push {path.name}")
        self._cable.check(f"chmod 644 {part} && mv {part} {FOLDER}/{sha256}")

    def _tidy(self, part: str, error: PhoneError) -> None:
        """Take away half a file where the phone still answers, so that a full phone is not left full."""
        if error.trouble not in (PhoneTrouble.FULL, PhoneTrouble.REFUSED):
            return
        try:
            self._cable.run(f"rm -f {part}")
        except DeviceError as second:
            log.info("the half of a file stays on %s: %s", self._cable.serial, second)


def _fits(size: int, free: int | None) -> bool:
    return free is None or free >= _needed(size)


def _needed(size: int) -> int:
    # Twice, because the runtime may make a file of its own from it (a compiled or a cached model).
    return 2 * size + RESERVE_BYTES


def _hash_s(size: int) -> float:
    return 20 + size / _HASH_BYTES_PER_S
