"""The files of past nights: kept by digest, within a budget."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.manifest import Artifact, ArtifactState
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.devices.registry import open_device
from harness.errors import StoreError
from harness.history.database import open_history
from harness.history.ingest import append
from harness.measure.cell import launch_once
from harness.measure.job import Job
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import make_cell
from harness.progress import Silent
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.read import make_spec
from harness.wire import Delegate, Format, ReplyStatus
from harness.workflows.bench import Places
from harness.workflows.nightly.artifacts import (
    ARTIFACTS_FOLDER,
    find_kept,
    identity_of,
    keep_artifacts,
    last_good,
)
from harness.workflows.nightly.record import FOLDER
from harness.workflows.nightly.screening import as_night
from harness.workflows.run import build_spec
from tests.history.nights import entry, run_facts
from tests.workflows.nightly.test_night_files import SUSPECT

# Bytes from which weights lie in the second file.
LARGE = 1024
Files = dict[tuple[str, str], Path]


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


def test_an_artifact_of_two_files_is_kept_whole_and_runs(
    digits_files: Files, working_cache: Path, tmp_path: Path
) -> None:
    """The weights lie beside the .onnx. Another night's weights are another artifact, though the .onnx is the same."""
    built = [_in_two_files(digits_files, tmp_path / name, working_cache, scale) for name, scale in (("a", 1), ("b", 2))]
    first, second = (artifact for artifact, _ in built)
    assert first.manifest.sha256 == second.manifest.sha256
    assert identity_of(first) != identity_of(second)
    with open_history(str(tmp_path / "h.sqlite"), create=True) as history:
        keep_artifacts(history, tmp_path, [first, second])
        shutil.rmtree(tmp_path / "a")
        for artifact, model in built:
            kept = find_kept(history, tmp_path, identity_of(artifact))
            assert kept is not None
            whole = kept.as_artifact(first)
            assert whole.manifest.bytes == artifact.manifest.bytes
            assert whole.manifest.companions == artifact.manifest.companions
            with open_device("host") as host:
                reply = launch_once(_job(whole, model), host)
            assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
        assert kept is not None
        companion = kept.path.with_name(second.manifest.companions[0].file)
        companion.write_bytes(companion.read_bytes()[:-1])
        with pytest.raises(StoreError, match=r"model\.onnx\.data.* has changed"):
            find_kept(history, tmp_path, identity_of(second))


def _in_two_files(files: Files, folder: Path, cache: Path, scale: int) -> tuple[Artifact, PreparedModel]:
    """The digits network as a ready-made .onnx whose weights, times ``scale``, lie beside it."""
    import onnx
    from onnx import numpy_helper

    folder.mkdir()
    network = onnx.load(files["onnx", "fp32"])
    for tensor in network.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == "float32" and values.nbytes >= LARGE:
            tensor.CopyFrom(numpy_helper.from_array(values * scale, tensor.name))
    path = folder / "model.onnx"
    onnx.save(network, path, save_as_external_data=True, location="model.onnx.data", size_threshold=LARGE)
    places = Places(results=folder, cache=cache)
    _, outcome = build_spec(make_spec({"model": [str(path)]}), places, Silent())
    (artifact,), (model,) = outcome.artifacts.values(), outcome.models.values()
    assert artifact.manifest.companions
    assert artifact.manifest.state is ArtifactState.READY
    return artifact, model


def _job(artifact: Artifact, model: PreparedModel) -> Job:
    cell = make_cell("model", "as-is", Format.ONNX, Delegate.CPU, 1, "host", ProfileName.QUICK)
    card = resolve("digits", ModelOptions())
    return Job(cell=cell, card=card, artifact=artifact, model=model, profile=PROFILES[ProfileName.QUICK])
