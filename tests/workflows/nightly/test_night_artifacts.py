"""The files of past nights: kept by digest, within a budget."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.manifest import Artifact
from harness.history.database import open_history
from harness.workflows.nightly.artifacts import ARTIFACTS_FOLDER, keep_artifacts
from harness.workflows.nightly.record import FOLDER


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
