"""Reads a run only if it has the signature that is required."""

from __future__ import annotations

from pathlib import Path

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
