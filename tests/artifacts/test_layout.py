"""Channels last: the file takes such inputs, they are next to it, and the outputs stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.layout import inputs_file
from harness.artifacts.manifest import Artifact, ArtifactState
from harness.artifacts.sources.prepared_model import read_prepared
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.runners.host.runtimes.registry import open_session
from harness.wire import Delegate, Format, RuntimeRequest
from harness.wire.tensors import read_tensors
from tests.artifacts.tiny import Bench, image_card
from tests.model.folders import make_folder

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize(("variant", "sqnr_db"), [("nhwc", 90), ("int8+nhwc", 20)])
def test_the_file_takes_channels_last_and_gives_the_same(bench: Bench, variant: str, sqnr_db: float) -> None:
    manifest = bench.make(image_card(bench.cache.root), variant, Format.TFLITE)
    assert (manifest.state, manifest.reason) == (ArtifactState.READY, None)
    assert (manifest.sqnr_db or 0) > sqnr_db
    session = open_session(bench.path(manifest), RuntimeRequest(delegate=Delegate.CPU, threads=1), Format.TFLITE)
    assert [spec.shape for spec in session.inputs() or ()] == [(1, 6, 5, 3)]
    session.close()


def test_the_inputs_that_a_runner_gets_are_transposed(bench: Bench) -> None:
    card = image_card(bench.cache.root)
    manifest = bench.make(card, "nhwc", Format.TFLITE)
    model = bench.cache.entry("prepared", source_key(card), read_prepared)
    assert model is not None
    feed = inputs_file(Artifact(manifest=manifest, path=bench.path(manifest)), model)
    assert [(t.name, t.shape) for t in feed.tensors] == [("picture", (1, 6, 5, 3))]
    (given,), (original,) = read_tensors(feed.path, feed.tensors, model.facts.test_count), model.test_inputs()
    np.testing.assert_array_equal(np.moveaxis(given, -1, 2), original)


def test_changed_inputs_beside_an_artifact_are_damage(bench: Bench) -> None:
    manifest = bench.make(image_card(bench.cache.root), "nhwc", Format.TFLITE)
    assert manifest.inputs is not None
    inputs = bench.path(manifest).with_name(manifest.inputs.file)
    inputs.write_bytes(inputs.read_bytes()[:-4])
    assert bench.cache.artifact(manifest.key) is None


def test_a_network_without_images_says_so(bench: Bench, tmp_path: Path) -> None:
    manifest = bench.make(resolve(str(make_folder(tmp_path / "own")), ModelOptions()), "nhwc", Format.TFLITE)
    assert manifest.state is ArtifactState.UNSUPPORTED
    assert "no input of this network has the four dimensions" in (manifest.reason or "")
