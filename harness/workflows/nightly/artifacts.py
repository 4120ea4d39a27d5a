"""The files of past nights, kept so that a suspect can be compared with the last good artifact.

They are kept beside the results, named by digest, and not in the cache, which a user may clear. An artifact that does
not change from night to night is kept once. All files together have a budget, and those unused for the longest time are
removed first; so a build that changes every night costs no more than the budget.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.artifacts.manifest import Artifact
from harness.errors import StoreError
from harness.history.database import History
from harness.history.ingest import keep_artifact
from harness.history.queries import artifact_uri
from harness.history.records import Night
from harness.system.files import file_sha256, storage_errors, write_whole
from harness.workflows.nightly.record import FOLDER, Suspect

ARTIFACTS_FOLDER = "artifacts"

# The most that the kept files may take together. Files of the current night stay even if they take more.
BUDGET_BYTES = 8 << 30


def keep_artifacts(
    history: History, results: Path, artifacts: Iterable[Artifact], *, budget_bytes: int = BUDGET_BYTES
) -> None:
    """Copy ``artifacts`` into ``results``, record where they are, and make room. Raises `StoreError`."""
    tonight: set[Path] = set()
    for artifact in artifacts:
        sha256, path = artifact.manifest.sha256, artifact.path
        if path is None or sha256 is None:
            continue
        uri = f"{FOLDER}/{ARTIFACTS_FOLDER}/{sha256}.{artifact.manifest.format.value}"
        kept = results / uri
        if not kept.is_file():
            with storage_errors(kept.parent):
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_whole(kept, path.read_bytes())
        with storage_errors(kept.parent):
            # The time of a file says when it was last used, for `_make_room`.
            os.utime(kept)
        tonight.add(kept)
        if artifact_uri(history, sha256) != uri:
            keep_artifact(history, sha256, uri)
    _make_room(results / FOLDER / ARTIFACTS_FOLDER, tonight, budget_bytes)


def _make_room(folder: Path, tonight: set[Path], budget_bytes: int) -> None:
    """Remove the files whose last night was longest ago until the rest fits the budget; never tonight's."""
    if not folder.is_dir():
        return
    with storage_errors(folder):
        facts = {path: path.stat() for path in folder.iterdir() if path.is_file()}
        over = sum(fact.st_size for fact in facts.values()) - budget_bytes
        for path in sorted(facts.keys() - tonight, key=lambda path: (facts[path].st_mtime_ns, path.name)):
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= facts[path].st_size


def kept_file(history: History, results: Path, sha256: str) -> Path | None:
    """Return the kept file with that digest, None if it is not here. Raises `StoreError` if its content has changed."""
    uri = artifact_uri(history, sha256)
    path = results / uri if uri else None
    if path is None or not path.is_file():
        return None
    with storage_errors(path.parent):
        digest = file_sha256(path)
    if digest != sha256:
        msg = f"the kept artifact {str(path)!r} has changed: its sha256 is now {digest}; remove the file"
        raise StoreError(msg)
    return path


def last_good(history: History, results: Path, nights: Sequence[Night], suspect: Suspect) -> str | None:
    """Return the digest of the kept artifact to compare tonight's with, or None; ``nights`` are oldest first.

    That is the newest one up to the suspect's good run. If none of those is kept any more, it is the oldest kept one
    between that run and the change.
    """
    runs = [night.run for night in nights]
    first_bad = runs.index(suspect.first_run) if suspect.first_run in runs else len(runs)
    sure = runs.index(suspect.good_run) + 1 if suspect.good_run in runs else first_bad
    order = (*reversed(nights[:sure]), *nights[sure:first_bad])
    for sha256 in dict.fromkeys(night.artifact_sha256 for night in order):
        if sha256 != suspect.sha256 and kept_file(history, results, sha256) is not None:
            return sha256
    return None
