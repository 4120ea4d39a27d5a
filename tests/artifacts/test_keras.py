"""Keras files and SavedModels: TensorFlow's converter makes them, and their outputs match the model's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import ArtifactState
from harness.model.card import ModelCard, ModelOptions, SourceKind
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.plan.plan import make_plan
from harness.progress import Silent
from harness.records.artifact import CalibrationSource
from harness.spec.spec import Spec
from harness.wire import Format
from tests.artifacts.orders import order
from tests.model.folders import make_folder

VARIANTS = ("fp32", "fp16", "int8-dynamic", "int8")

# TensorFlow stays out of the process of the tests, because it crashes next to torch.
MAKE = """
import numpy as np
import tensorflow as tf

layers = tf.keras.layers
tf.keras.utils.set_random_seed(0)
picture, extra = tf.keras.Input((8, 8, 3), name="picture"), tf.keras.Input((4,), name="extra")
body = layers.GlobalAveragePooling2D()(layers.Conv2D(64, 3, activation="relu")(picture))
joined = layers.Concatenate()([body, extra])
outputs = [layers.Dense(40, name="zeta")(joined), layers.Dense(5, name="alpha")(joined)]
model = tf.keras.Model([picture, extra], outputs)
model.save("mine.keras")
model.export("saved")
rng = np.random.default_rng(0)
items = {f"{split}_{name}": rng.random((12, 1, *shape)).astype(np.float32)
         for split in ("calibration", "test") for name, shape in (("picture", (8, 8, 3)), ("extra", (4,)))}
np.savez("data.npz", **items)
zeta, alpha = model([items["test_picture"][0], items["test_extra"][0]])
np.savez("expected.npz", zeta=zeta, alpha=alpha)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two inputs and two outputs, not in the order of their names, in both forms."""
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run([sys.executable, "-c", MAKE], cwd=folder, check=True, capture_output=True)
    return folder


def card_of(home: Path, name: str) -> ModelCard:
    return resolve(str(home / name), ModelOptions(data=str(home / "data.npz")))


@pytest.fixture(scope="module")
def outcome(home: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildOutcome:
    """Both forms in every precision, and a PyTorch network, which must not share a process with them."""
    cards = [card_of(home, "mine.keras"), card_of(home, "saved")]
    builds = [Build(model=c.name, variant=v, format=Format.TFLITE, backend=None) for c in cards for v in VARIANTS]
    torch_card = resolve(str(make_folder(home / "torch")), ModelOptions())
    builds.append(Build(model="own", variant="fp32", format=Format.PTL, backend=None))
    return build_artifacts(order([*cards, torch_card], builds), Cache(tmp_path_factory.mktemp("cache")), Silent())


@pytest.mark.parametrize("name", ["mine", "saved"])
def test_a_keras_model_becomes_tflite_in_every_precision(outcome: BuildOutcome, name: str) -> None:
    made = {b.variant: a.manifest for b, a in outcome.artifacts.items() if b.model == name}
    assert [(m.state, m.reason) for m in made.values()] == [(ArtifactState.READY, None)] * len(VARIANTS)
    sizes = {variant: manifest.bytes or 0 for variant, manifest in made.items()}
    assert sizes["fp32"] > sizes["fp16"] > sizes["int8"]
    assert sizes["fp32"] > sizes["int8-dynamic"]
    assert (made["fp32"].sqnr_db or 0) > 90
    assert (made["fp16"].sqnr_db or 0) > 40
    assert min(made["int8"].sqnr_db or 0, made["int8-dynamic"].sqnr_db or 0) > 20
    assert made["int8"].calibration is CalibrationSource.DATA
    assert "tensorflow" in " ".join(made["fp32"].versions)
    assert "torch" not in made["fp32"].versions


def test_models_of_both_kinds_are_built_in_one_go(outcome: BuildOutcome) -> None:
    assert outcome.model_failures == {}
    assert {a.manifest.state for a in outcome.artifacts.values()} == {ArtifactState.READY}


def test_the_reference_is_what_the_keras_model_gives(outcome: BuildOutcome, home: Path) -> None:
    model = outcome.models["mine"]
    assert [(i.name, i.shape) for i in model.facts.inputs] == [("picture", (1, 8, 8, 3)), ("extra", (1, 4))]
    expected = np.load(home / "expected.npz")
    zeta, alpha = model.reference() or ()
    np.testing.assert_allclose(zeta[0], expected["zeta"], atol=1e-6)
    np.testing.assert_allclose(alpha[0], expected["alpha"], atol=1e-6)
    assert model.facts.parameters == 3 * 9 * 64 + 64 + 68 * 40 + 40 + 68 * 5 + 5


@pytest.mark.parametrize(
    ("format_", "variant", "words"),
    [
        (Format.ONNX, "fp32", "can only become tflite; onnx needs a PyTorch network"),
        (Format.TFLITE, "prune50+int8", "graph steps work on PyTorch networks only"),
        (Format.TFLITE, "nhwc", "remove nhwc"),
    ],
)
def test_what_a_keras_model_does_not_become_is_a_hole(home: Path, format_: Format, variant: str, words: str) -> None:
    spec = Spec(format=(format_,), variant=(variant,))
    (hole,) = make_plan(spec, (card_of(home, "mine.keras"),), None).holes
    assert words in hole.reason


def test_a_card_may_name_a_saved_model(home: Path) -> None:
    (home / "model.toml").write_text('[model]\nname = "theirs"\nsource = "saved"\n')
    card = resolve(str(home), ModelOptions())
    assert (card.kind, card.source) == (SourceKind.KERAS, str(home / "saved"))


def test_the_key_follows_the_content_of_a_saved_model(home: Path) -> None:
    card = card_of(home, "saved")
    before = source_key(card)
    (home / "saved" / "assets" / "words.txt").write_text("new")
    assert source_key(card) != before


def test_a_file_that_keras_cannot_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes(b"rubbish")
    card = resolve(str(tmp_path / "bad.keras"), ModelOptions())
    build = Build(model="bad", variant="fp32", format=Format.TFLITE, backend=None)
    outcome = build_artifacts(order([card], [build]), Cache(tmp_path / "cache"), Silent())
    assert "bad.keras' failed" in outcome.model_failures["bad"]
