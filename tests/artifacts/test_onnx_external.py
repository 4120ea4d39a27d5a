"""ONNX weights in a second file: written above the limit, deployed with the first, and part of what runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.export.onnx import OnnxExporter
from harness.artifacts.export.registry import EXPORTERS
from harness.artifacts.manifest import Artifact, ArtifactState, Manifest
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.devices.registry import open_device
from harness.measure.cell import launch_once
from harness.measure.job import Job
from harness.model.card import ModelCard
from harness.model.source_key import source_key
from harness.plan.cells import make_cell
from harness.spec.profiles import PROFILES, ProfileName
from harness.wire import Delegate, Format, ReplyStatus
from tests.artifacts.tiny import IMAGE_NETWORK, Bench, image_card

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setitem(EXPORTERS, Format.ONNX, partial(OnnxExporter, external_bytes=100))
    return Bench(tmp_path)


def job_of(bench: Bench, card: ModelCard, manifest: Manifest, device: str) -> Job:
    model = bench.cache.entry("prepared", source_key(card), read_prepared)
    assert isinstance(model, PreparedModel)
    cell = make_cell(card.name, manifest.variant, Format.ONNX, Delegate.CPU, 1, device, ProfileName.QUICK)
    artifact = Artifact(manifest=manifest, path=bench.path(manifest))
    return Job(cell=cell, card=card, artifact=artifact, model=model, profile=PROFILES[ProfileName.QUICK])


@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8", "int8-dynamic"])
def test_weights_past_the_limit_lie_beside_and_the_gate_finds_them(bench: Bench, variant: str) -> None:
    manifest = bench.make(image_card(bench.cache.root), variant, Format.ONNX)
    assert (manifest.state, manifest.reason) == (ArtifactState.READY, None)
    (companion,) = manifest.companions
    path = bench.path(manifest)
    assert companion.file == "model.onnx.data"
    assert path.with_name(companion.file).stat().st_size == companion.bytes > 100
    assert manifest.bytes == path.stat().st_size + companion.bytes


def test_writing_the_weights_apart_leaves_them_for_the_next_variant(bench: Bench) -> None:
    card = image_card(bench.cache.root)
    bench.make(card, "fp32", Format.ONNX)
    assert bench.make(card, "fp16", Format.ONNX).state is ArtifactState.READY


def test_under_the_limit_there_is_one_file(tmp_path: Path) -> None:
    assert Bench(tmp_path).make(image_card(tmp_path), "fp32", Format.ONNX).companions == ()


@pytest.mark.parametrize("device", ["host", "fake"])
def test_the_second_file_travels_to_the_device(bench: Bench, device: str) -> None:
    card = image_card(bench.cache.root)
    job = job_of(bench, card, bench.make(card, "fp32", Format.ONNX), device)
    with open_device(device) as opened:
        reply = launch_once(job, opened)
    assert (reply.status, reply.failure) == (ReplyStatus.OK, None)


def test_a_changed_second_file_is_damage(bench: Bench) -> None:
    manifest = bench.make(image_card(bench.cache.root), "fp32", Format.ONNX)
    data = bench.path(manifest).with_name("model.onnx.data")
    values = np.frombuffer(data.read_bytes(), dtype=np.uint8).copy()
    values[0] ^= 1
    data.write_bytes(values.tobytes())
    assert bench.cache.artifact(manifest.key) is None


# torch.export keeps one side of a branch on a value; tracing follows the side that the example takes.
BRANCHING = IMAGE_NETWORK.replace(
    "        return self.head",
    "        if float(picture.sum()) < 0:\n            picture = -picture\n        return self.head",
)


def test_what_torch_export_refuses_is_traced(tmp_path: Path) -> None:
    import onnx

    bench = Bench(tmp_path)
    manifest = bench.make(image_card(tmp_path, BRANCHING), "fp32", Format.ONNX)
    assert manifest.state is ArtifactState.READY
    assert (manifest.sqnr_db or 0) > 90
    assert onnx.load(str(bench.path(manifest))).opset_import[0].version == 17
