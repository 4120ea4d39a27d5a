"""The files of past nights, kept so that a suspect can be compared with the last good artifact.

They are kept beside the results, named by digest, and not in the cache, which a user may clear. An artifact that does
not change from night to night is kept once. All files together have a budget, and those unused for the longest time are
removed first; so a build that changes every night costs no more than the budget.

Most artifacts are one file. One with companions, or with inputs of its own, is kept as a folder of all its files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.artifacts.manifest import Artifact, ArtifactInputs, Companion
from harness.errors import StoreError
from harness.history.database import History
from harness.history.ingest import keep_artifact
from harness.history.queries import artifact_uri
from harness.history.records import Night
from harness.system.files import file_sha256, files_sha256, storage_errors, write_whole
from harness.workflows.nightly.record import FOLDER, Suspect

ARTIFACTS_FOLDER = "artifacts"
PARTS_FILE = "parts.json"

# The most that the kept files may take together. Files of the current night stay even if they take more.
BUDGET_BYTES = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The content of ``parts.json``: the main file of a kept artifact, its digest, and what else it consists of."""

    file: str = ""
    sha256: str = ""
    companions: tuple[Companion, ...] = ()
    inputs: ArtifactInputs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept artifact: the path of its main file, the digest of that, and its other parts beside it."""

    path: Path
    sha256: str
    parts: Parts = Parts()

    def as_artifact(self, like: Artifact) -> Artifact:
        """Return the artifact with the facts of ``like``, which is made of the same cell's newest file."""
        size = self.path.stat().st_size + sum(part.bytes for part in self.parts.companions)
        manifest = replace(
            like.manifest,
            file=self.parts.file or like.manifest.file,
            sha256=self.sha256,
            bytes=size,
            companions=self.parts.companions,
            inputs=self.parts.inputs,
        )
        return Artifact(manifest=manifest, path=self.path)


def keep_artifacts(
    history: History, results: Path, artifacts: Iterable[Artifact], *, budget_bytes: int = BUDGET_BYTES
) -> None:
    """Copy ``artifacts`` into ``results``, record where they are, and make room. Raises `StoreError`."""
    root = results / FOLDER / ARTIFACTS_FOLDER
    tonight: set[Path] = set()
    for artifact in artifacts:
        path = artifact.path
        if path is None or artifact.manifest.sha256 is None:
            continue
        identity = identity_of(artifact)
        uri = _uri(artifact, identity)
        kept = results / uri
        if not kept.is_file():
            with storage_errors(root):
                _copy(artifact, path, kept)
        entry = kept if kept.parent == root else kept.parent
        with storage_errors(root):
            # The time of an entry says when it was last used, for `_make_room`.
            os.utime(entry)
        tonight.add(entry)
        if artifact_uri(history, identity) != uri:
            keep_artifact(history, identity, uri)
    _make_room(root, tonight, budget_bytes)


def _uri(artifact: Artifact, identity: str) -> str:
    manifest = artifact.manifest
    folder = f"{FOLDER}/{ARTIFACTS_FOLDER}"
    if not manifest.companions and manifest.inputs is None:
        return f"{folder}/{identity}.{manifest.format.value}"
    return f"{folder}/{identity}/{manifest.file}"


def identity_of(artifact: Artifact) -> str:
    """Return the digest by which the history knows ``artifact``, which must have a file."""
    manifest = artifact.manifest
    return files_sha256((manifest.sha256 or "", *(part.sha256 for part in manifest.companions)))


def _copy(artifact: Artifact, path: Path, kept: Path) -> None:
    """Copy the files of ``artifact`` so that ``kept`` appears last: where it is, all others are."""
    manifest = artifact.manifest
    kept.parent.mkdir(parents=True, exist_ok=True)
    if manifest.companions or manifest.inputs is not None:
        inputs = () if manifest.inputs is None else (manifest.inputs.file,)
        for name in (*(part.file for part in manifest.companions), *inputs):
            write_whole(kept.with_name(name), path.with_name(name).read_bytes())
        parts = Parts(
            file=kept.name,
            sha256=manifest.sha256 or "",
            companions=manifest.companions,
            inputs=manifest.inputs,
        )
        write_whole(kept.with_name(PARTS_FILE), msgspec.json.encode(parts))
    write_whole(kept, path.read_bytes())


def _make_room(folder: Path, tonight: set[Path], budget_bytes: int) -> None:
    """Remove what was used longest ago until the rest fits the budget; never what is of tonight."""
    if not folder.is_dir():
        return
    with storage_errors(folder):
        entries = {path: path.stat() for path in folder.iterdir()}
        sizes = {path: _size(path) for path in entries}
        over = sum(sizes.values()) - budget_bytes
        for path in sorted(entries.keys() - tonight, key=lambda path: (entries[path].st_mtime_ns, path.name)):
            if over <= 0:
                break
            _remove(path)
            over -= sizes[path]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def find_kept(history: History, results: Path, identity: str) -> Kept | None:
    """Return the kept artifact of that digest, None if it is not here. Raises `StoreError` if a file has changed."""
    path = _find_file(history, results, identity)
    if path is None:
        return None
    parts = Parts() if path.parent.name == ARTIFACTS_FOLDER else _read_parts(path.with_name(PARTS_FILE))
    sha256 = parts.sha256 or identity
    _check(path, sha256)
    inputs = () if parts.inputs is None else (parts.inputs,)
    for part in (*parts.companions, *inputs):
        _check(path.with_name(part.file), part.sha256)
    return Kept(path=path, sha256=sha256, parts=parts)


def _find_file(history: History, results: Path, identity: str) -> Path | None:
    """The main file: where the history says, or else by its name, since a baseline need not be in the history."""
    uri = artifact_uri(history, identity)
    if uri and (results / uri).is_file():
        return results / uri
    for entry in sorted((results / FOLDER / ARTIFACTS_FOLDER).glob(f"{identity}*")) if identity else ():
        if entry.is_file():
            return entry
        if (entry / PARTS_FILE).is_file():
            return entry / _read_parts(entry / PARTS_FILE).file
    return None


def _read_parts(path: Path) -> Parts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Parts)
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read: {error}; remove its folder, the next night keeps the artifact again"
        raise StoreError(msg) from error


def _check(path: Path, sha256: str) -> None:
    with storage_errors(path.parent):
        digest = file_sha256(path)
    if digest != sha256:
        msg = f"the kept artifact {str(path)!r} has changed: its sha256 is now {digest}; remove the file"
        raise StoreError(msg)


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
        if sha256 != suspect.sha256 and find_kept(history, results, sha256) is not None:
            return sha256
    return None
