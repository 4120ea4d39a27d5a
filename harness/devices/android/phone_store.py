"""The files on a phone, each named by its digest. When space runs out, the oldest are removed first.

No transfer is resumed and no file is trusted. A file gets its name only after the phone itself has computed its digest,
and the digest of a file from an earlier session is computed again before the file is used.
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
from harness.system.text import whole_number
from harness.wire import ArtifactRef

FOLDER = "/data/local/tmp/phonebench"
BUDGET_BYTES = 4 << 30
# Must stay free beyond twice the file's size: a phone that is completely full misbehaves.
RESERVE_BYTES = 64 << 20
# Slower than any phone hashes, so this only bounds the wait.
_HASH_BYTES_PER_S = 20_000_000
# The size assumed for a file of unknown size, to limit the time for its digest.
_UNKNOWN_BYTES = 8 << 30
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the store; ``used_at`` is when it was last used, in seconds of the phone's clock."""

    name: str
    bytes: int
    used_at: int


class PhoneStore:
    """The store of one phone. All methods raise `PhoneError`."""

    def __init__(self, cable: Cable, *, budget_bytes: int = BUDGET_BYTES) -> None:
        self._cable = cable
        self._budget_bytes = budget_bytes
        # Digests that this session has verified.
        self._verified: set[str] = set()

    def put(self, path: Path, sha256: str) -> bool:
        """Store ``path`` under ``sha256``; return False if it was there already, and intact."""
        size = path.stat().st_size
        if sha256 in self._verified:
            return False
        if self._is_intact(sha256, size):
            self._verified.add(sha256)
            return False
        self._make_space(size)
        self._send(path, sha256)
        self._verified.add(sha256)
        return True

    def holds(self, sha256: str) -> bool:
        """Return whether the file is there and intact; the phone computes its digest once per session."""
        if sha256 not in self._verified and self._is_intact(sha256, _UNKNOWN_BYTES):
            self._verified.add(sha256)
        return sha256 in self._verified

    def check_holds(self, artifact: ArtifactRef) -> None:
        """Raise `DeviceError` unless every file of an artifact is there and intact."""
        for part in artifact.files:
            if not self.holds(part.sha256):
                msg = f"artifact {part.sha256!r} is not on {named(self._cable.serial)}: push it before the launch"
                raise DeviceError(msg)

    def forget(self) -> None:
        """Verify every file again before its next use: the phone was away, and anything may have happened to it."""
        self._verified.clear()

    def remove(self, name: str) -> None:
        """Remove a file of the store."""
        self._verified.discard(name)
        self._cable.check(f"rm -f {FOLDER}/{shlex.quote(name)}")

    def kept(self) -> tuple[StoredFile, ...]:
        """Return the files that are there, including partial ones."""
        # Android 8 has stat. In an empty folder the shell leaves the pattern as it is, and stat finds no such file.
        text = self._cable.run(f"cd {FOLDER} && stat -c '%n %s %Y' *").text
        return parse_kept(text)

    def free_bytes(self) -> int | None:
        """Return the free space for the store in bytes, None if not reported."""
        return parse_free_bytes(self._cable.run(f"df -k {FOLDER}").text)

    def prepare(self) -> None:
        """Create the folder, and remove what an earlier session left: partial files, and the texts of its launches."""
        self._cable.check(f"mkdir -p {FOLDER} && chmod 755 {FOLDER} && rm -f {FOLDER}/*.part {FOLDER}/j*.am*")

    def _is_intact(self, sha256: str, size: int) -> bool:
        name = f"{FOLDER}/{sha256}"
        # Touched, because the oldest files are removed first.
        command = f"[ -f {name} ] && sha256sum {name} && touch {name}"
        digest = self._cable.run(command, seconds=_hash_s(size)).text.split()[:1]
        if digest and digest != [sha256]:
            log.warning("the file %s on %s has changed; it will be sent again", sha256, self._cable.serial)
            self.remove(sha256)
        return digest == [sha256]

    def _make_space(self, size: int) -> None:
        """Remove the oldest files until the new one fits both the budget and the free space."""
        free = self.free_bytes()
        kept = sorted((file for file in self.kept() if file.name not in self._verified), key=lambda file: file.used_at)
        used = sum(file.bytes for file in self.kept())
        while kept and (used + size > self._budget_bytes or not _fits(size, free)):
            oldest = kept.pop(0)
            # Only files named by a digest are ours; a person may have put others into the folder.
            if not _DIGEST.match(oldest.name):
                continue
            self.remove(oldest.name)
            used -= oldest.bytes
            free = None if free is None else free + oldest.bytes
        if not _fits(size, free):
            what = (
                f"{named(self._cable.serial)} has {(free or 0) >> 20} MiB free but {_needed(size) >> 20} MiB are needed"
            )
            raise phone_error(PhoneTrouble.FULL, what, serial=self._cable.serial, command=f"df {FOLDER}")

    def _send(self, path: Path, sha256: str) -> None:
        # Under another name until the phone has verified it: a file with a digest as its name is complete.
        part = f"{FOLDER}/{sha256}.part"
        try:
            self._cable.push(path, part)
            text = self._cable.check(f"sha256sum {part}", seconds=_hash_s(path.stat().st_size))
        except PhoneError as error:
            self._tidy(part, error)
            raise
        digest = text.split()[:1]
        if digest != [sha256]:
            self._cable.check(f"rm -f {part}")
            what = f"{path.name!r} arrived damaged on {named(self._cable.serial)}: got {digest}, expected {sha256}"
            raise phone_error(PhoneTrouble.REFUSED, what, serial=self._cable.serial, command=f"push {path.name}")
        self._cable.check(f"chmod 644 {part} && mv {part} {FOLDER}/{sha256}")

    def _tidy(self, part: str, error: PhoneError) -> None:
        """Remove a partial file if the phone still answers, so that a full phone is not left full."""
        if error.trouble not in (PhoneTrouble.FULL, PhoneTrouble.REFUSED):
            return
        try:
            self._cable.run(f"rm -f {part}")
        except DeviceError as removal_error:
            log.info("a partial file stays on %s: %s", self._cable.serial, removal_error)


def parse_kept(text: str) -> tuple[StoredFile, ...]:
    """Return the files in lines of name, size and time; a line of a name with a line break in it is left out."""
    files = []
    for line in text.splitlines():
        name, *numbers = line.rsplit(" ", 2)
        size, used_at = map(whole_number, numbers) if len(numbers) == 2 else (None, None)
        if size is not None and used_at is not None:
            files.append(StoredFile(name=name, bytes=size, used_at=used_at))
    return tuple(files)


def _fits(size: int, free: int | None) -> bool:
    return free is None or free >= _needed(size)


def _needed(size: int) -> int:
    # Twice, because a runtime may write its own copy, such as a compiled or cached model.
    return 2 * size + RESERVE_BYTES


def _hash_s(size: int) -> float:
    return 20 + size / _HASH_BYTES_PER_S
