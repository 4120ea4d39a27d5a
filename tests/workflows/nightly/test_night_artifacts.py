"""The files of past nights: kept by digest, within a budget."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.manifest import Artifact
from harness.history.database import open_history
from harness.history.ingest import append
from harness.workflows.nightly.artifacts import ARTIFACTS_FOLDER, keep_artifacts, last_good
from harness.workflows.nightly.record import FOLDER
from harness.workflows.nightly.screening import as_night
from tests.history.nights import entry, run_facts
from tests.workflows.nightly.test_night_files import SUSPECT


def artifact(smaller: Artifact, folder: Path, content: bytes) -> Artifact:
    """An artifact that differs from ``smaller`` only in its file; its digest is made up."""
    path = folder / f"{content.decode()}.onnx"
    path.write_bytes(content * 100)
    return replace(smaller, path=path, manifest=replace(smaller.manifest, sha256=content.decode() * 64))


@pytest.mark.parametrize(("budget_bytes", "left"), [(1000, "abc"), (299, "bc"), (150, "c"), (0, "c")])
def test_the_oldest_files_make_room_and_tonights_stay(
    smaller: Artifact, tmp_path: Path, budget_bytes: int, left: str
) -> None:
    folder = tmp_path / FOLDER / ARTIFACTS_FOLDER
    with open_history(str(tmp_path / "h.sqlite"), create=True) as history:
        for night, content in enumerate((b"a", b"b", b"c")):
            kept = artifact(smaller, tmp_path, content)
            keep_artifacts(history, tmp_path, [kept], budget_bytes=budget_bytes if content == b"c" else 1 << 20)
            if content != b"c":
                os.utime(folder / f"{kept.manifest.sha256}.{kept.manifest.format.value}", (night, night))
    assert "".join(sorted(path.name[0] for path in folder.iterdir())) == left


def test_a_file_that_runs_again_is_new_again(smaller: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / ARTIFACTS_FOLDER
    old, new = (artifact(smaller, tmp_path, content) for content in (b"a", b"b"))
    with open_history(str(tmp_path / "h.sqlite"), create=True) as history:
        keep_artifacts(history, tmp_path, [old, new])
        for path in folder.iterdir():
            os.utime(path, (1, 1))
        keep_artifacts(history, tmp_path, [old], budget_bytes=150)
    assert [path.name[0] for path in folder.iterdir()] == ["a"]


def digest(name: str) -> str:
    """The digest of the artifact of that letter."""
    return hashlib.sha256(name.encode() * 100).hexdigest()


@pytest.mark.parametrize(
    ("kept", "good"),
    [("abc", "b"), ("ac", "a"), ("c", "c"), ("bd", "b"), ("cd", "c"), ("d", None), ("", None)],
)
def test_the_good_artifact_is_from_well_before_the_change(
    smaller: Artifact, tmp_path: Path, kept: str, good: str | None
) -> None:
    # a runs in nights 0 to 3, b until the sure night 6, c until the estimated change at 10, d from then on.
    entries = [entry(1e6, artifact=digest(name)) for name in "aaaabbbcccdd"]
    nights = [as_night(one, run_facts(index)) for index, one in enumerate(entries)]
    suspect = replace(
        SUSPECT,
        first_run=run_facts(10).name,
        good_run=run_facts(6).name,
        good_sha256=digest("b"),
        sha256=digest("d"),
    )
    files = [artifact(smaller, tmp_path, name.encode()) for name in kept]
    files = [replace(f, manifest=replace(f.manifest, sha256=digest(n))) for f, n in zip(files, kept, strict=True)]
    with open_history(str(tmp_path / "h.sqlite"), create=True) as history:
        for index, one in enumerate(entries):
            append(history, run_facts(index), [one])
        keep_artifacts(history, tmp_path, files)
        found = last_good(history, tmp_path, nights, suspect)
    assert found == (good and digest(good))
