"""The files of artifacts on a phone, encrypted for its runner apps. The store holds no file in the clear."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from harness.devices.android.phone_store import PhoneStore
from harness.devices.encryption import EncryptedCopies, require_cryptography
from harness.errors import DeviceError, PhoneError
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import ArtifactRef, Encryption, EncryptionKey, RunRequest

# Slower than any phone decrypts, and the most loads of a file in one launch.
_DECRYPT_BYTES_PER_S, _LOADS = 20_000_000, 4

log = logging.getLogger(__name__)


class EncryptedStore:
    """The encrypted files of one session. All methods but `clear` raise `PhoneError`."""

    def __init__(self, store: PhoneStore) -> None:
        require_cryptography()
        self._store, self._copies = store, EncryptedCopies()
        self._sent: set[str] = set()

    def put(self, path: Path, sha256: str) -> bool:
        """Store an encrypted copy of a file; return False if there is one already, and intact.

        Also raises `StoreError` if this computer has no room for the copy.
        """
        copy = self._copies.copy_of(sha256)
        if copy is not None and self._store.holds(copy.sha256):
            return False
        # A run without encryption may have left it.
        self._store.remove(sha256)
        folder = make_scratch("encrypted")
        try:
            copy = self._copies.encrypt(path, sha256, folder / "artifact")
            self._sent.add(copy.sha256)
            return self._store.put(folder / "artifact", copy.sha256)
        finally:
            remove_scratch(folder)

    def check_holds(self, artifact: ArtifactRef) -> None:
        """Raise `DeviceError` unless an encrypted copy of every file of an artifact is there and intact."""
        for part in artifact.files:
            copy = self._copies.copy_of(part.sha256)
            if copy is None or not self._store.holds(copy.sha256):
                msg = f"artifact {part.sha256!r} is not on the phone, encrypted: push it before the launch"
                raise DeviceError(msg)

    def request(self, request: RunRequest, key: EncryptionKey | None) -> RunRequest:
        """Return the request for an app with that key; without one, the request that asks the app for its key."""
        artifact = request.artifact
        encryption = Encryption() if key is None else self._copies.wrapped(artifact, key)
        return replace(request, artifact=replace(artifact, encryption=encryption))

    def extra_s(self, artifact: ArtifactRef) -> float:
        """Return how much longer a launch may take, because the phone decrypts the artifact before each load."""
        copies = (self._copies.copy_of(part.sha256) for part in artifact.files)
        return _LOADS * sum(copy.plain_bytes for copy in copies if copy) / _DECRYPT_BYTES_PER_S

    def clear(self) -> None:
        """Remove the copies from the phone: their keys are lost with this session. If the phone is gone, they stay."""
        for sha256 in sorted(self._sent):
            try:
                self._store.remove(sha256)
            except PhoneError as error:
                log.info("an encrypted file stays in the store: %s", error)
                return
