"""Reads and lists runs only if they have the signature that is required."""

from __future__ import annotations

from pathlib import Path

from harness.errors import SignatureError
from harness.store.listing import ListedRun, RunStatus, listed_run
from harness.store.reader import find_run, read_folder
from harness.store.records import RunRecord


def load_signed_run(root: Path, name: str, key_file: str | None) -> RunRecord:
    """Read a run, after verifying it with the public key in ``key_file``; None requires no signature.

    Raises as `harness.store.reader.load_run` does, and `SignatureError`.
    """
    folder = find_run(root, name)
    if key_file is not None:
        from harness.signing.require import require_signatures

        require_signatures([folder], Path(key_file).expanduser())
    return read_folder(folder)


def listed_signed_run(folder: Path, key_file: str | None) -> ListedRun:
    """Return the run in ``folder`` for a list, with its id alone if the key in ``key_file`` has not signed it.

    Raises `SignatureError` for a key that cannot be used.
    """
    if key_file is not None:
        from harness.signing.bundle import verify
        from harness.signing.keys import read_trusted_key

        key = read_trusted_key(Path(key_file).expanduser())
        try:
            verify(folder, key)
        except SignatureError:
            return ListedRun(id=folder.name, status=RunStatus.UNSIGNED, cells={})
    return listed_run(folder)
