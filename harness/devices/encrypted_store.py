"""The files of artifacts on a phone, encrypted for its runner apps. The store holds no file in the clear."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.devices.device import Execution
from harness.devices.encryption import EncryptedCopies, require_cryptography
from harness.errors import DeviceError
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import ArtifactRef, Encryption, EncryptionKey, RunReply, RunRequest

# Slower than any phone decrypts, and the most loads of a file in one launch.
_DECRYPT_BYTES_PER_S, _LOADS = 20_000_000, 4

log = logging.getLogger(__name__)

# Runs a request on the phone once.
Launching = Callable[[RunRequest], Execution]


class FileStore(Protocol):
    """The store of a phone: files named by their digests. All methods raise a `DeviceError`."""

    def holds(self, sha256: str, /) -> bool:
        """Return whether the file is there."""

    def put(self, path: Path, sha256: str, /) -> bool:
        """Store ``path``; return False if it was there already."""

    def remove(self, name: str, /) -> None:
        """Remove a file; one that is missing is no error."""


class EncryptedStore:
    """The encrypted files of one session. All methods but `clear` raise the errors of the store."""

    def __init__(self, store: FileStore) -> None:
        require_cryptography()
        self._store, self._copies = store, EncryptedCopies()
        self._sent: set[str] = set()
        # Each app has a key of its own.
        self._keys: dict[str, EncryptionKey] = {}

    def put(self, path: Path, sha256: str) -> bool:
        """Store an encrypted copy of a file; return False if there is one already.

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
        """Raise `DeviceError` unless an encrypted copy of every file of an artifact is there."""
        for part in artifact.files:
            copy = self._copies.copy_of(part.sha256)
            if copy is None or not self._store.holds(copy.sha256):
                msg = f"artifact {part.sha256!r} is not on the phone, encrypted: push it before the launch"
                raise DeviceError(msg)

    def drop(self, artifact: ArtifactRef) -> None:
        """Remove the copies of an artifact's files, so that `put` sends new ones."""
        for part in artifact.files:
            copy = self._copies.copy_of(part.sha256)
            if copy is not None:
                self._store.remove(copy.sha256)

    def ask_key(self, app: str, request: RunRequest, launch: Launching) -> RunReply | None:
        """Learn the key of an app, which makes it if it has none. ``launch`` runs the request that asks for it.

        Returns the reply if it states no key, and None if the key is known now or was before.
        """
        if app in self._keys:
            return None
        artifact = replace(request.artifact, encryption=Encryption())
        reply = launch(replace(request, artifact=artifact)).reply
        if reply.encryption_key is None:
            return reply
        self._keys[app] = reply.encryption_key
        return None

    def execute(self, app: str, request: RunRequest, launch: Launching) -> Execution:
        """Run a request whose artifact is encrypted for an app. `ask_key` comes before it.

        Where the reply states another key, the app was installed again, or its key was lost. The files stay as they
        are: their keys are wrapped for the new one, and the request runs again.
        """
        execution = launch(self._request(app, request))
        other = execution.reply.encryption_key
        if other in (None, self._keys[app]):
            return execution
        log.warning("the runner app %s has a new key; the artifact is launched again for it", app)
        self._keys[app] = other
        return launch(self._request(app, request))

    def extra_s(self, artifact: ArtifactRef) -> float:
        """Return how much longer a launch may take, because the phone decrypts the artifact before each load."""
        copies = (self._copies.copy_of(part.sha256) for part in artifact.files)
        return _LOADS * sum(copy.plain_bytes for copy in copies if copy) / _DECRYPT_BYTES_PER_S

    def clear(self) -> None:
        """Remove the copies from the phone: their keys are lost with this session. If the phone is gone, they stay."""
        for sha256 in sorted(self._sent):
            try:
                self._store.remove(sha256)
            except DeviceError as error:
                log.info("an encrypted file stays in the store: %s", error)
                return

    def _request(self, app: str, request: RunRequest) -> RunRequest:
        encryption = self._copies.wrapped(request.artifact, self._keys[app])
        return replace(request, artifact=replace(request.artifact, encryption=encryption))
