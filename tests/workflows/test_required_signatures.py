"""What a model takes from where, and that all of it must be signed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from harness.errors import SignatureError
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.signing.bundle import sign
from harness.signing.keys import KeyFiles, create_key
from harness.spec.spec import Spec
from harness.workflows.signatures import verify_models

MODEL = """
[model]
name = "x"
task = "other"
license = "none"
source = "{source}"
"""
INPUT = """
[[input]]
name = "x"
dtype = "float32"
shape = [1, 2]
"""
PARTS = """
[model]
name = "x"
task = "other"
license = "none"
[[part]]
name = "first"
source = "network:net"
weights = "../outside.safetensors"
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return create_key(tmp_path_factory.mktemp("key") / "mine", days=30)


def model_folder(folder: Path, card: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(card + INPUT)
    (folder / "network.py").write_text("def net():\n    pass\n")
    return folder


def refusal(model: Path | str, key: KeyFiles, data: str | None = None) -> str:
    with pytest.raises(SignatureError) as caught:
        required(model, key, data)
    return str(caught.value)


def required(model: Path | str, key: KeyFiles, data: str | None = None) -> None:
    verify_models([resolve(str(model), ModelOptions(data=data))], Spec(require_signature=str(key.public)))


def test_a_signed_run_does_not_make_a_model_of_its_folder(tmp_path: Path, key: KeyFiles) -> None:
    """The signature of a run covers only what was measured, so anybody could add code to the folder."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    sign(run, key.private)
    model_folder(run, MODEL.format(source="network:net"))
    assert "has a run.json, so its signature is that of a run" in refusal(run, key)


@pytest.mark.parametrize("folder", [".git", "__pycache__", "data/.ipynb_checkpoints"])
def test_files_that_the_signature_of_a_folder_leaves_out_need_one_of_their_own(
    tmp_path: Path, key: KeyFiles, folder: str
) -> None:
    model = model_folder(tmp_path / "model", MODEL.format(source=f"{folder}/inside.pt2"))
    (model / folder).mkdir(parents=True)
    network = model / folder / "inside.pt2"
    with zipfile.ZipFile(network, "w") as archive:
        archive.writestr("net/data", "x")
    sign(model, key.private)
    assert "inside.pt2 has no signature" in refusal(model, key)
    sign(network, key.private)
    required(model, key)
    with zipfile.ZipFile(network, "a") as archive:
        archive.writestr("net/more", "x")
    assert "'inside.pt2' changed" in refusal(model, key)


@pytest.mark.parametrize(
    ("card", "name"),
    [(MODEL.format(source="../outside.pt2"), "outside.pt2"), (PARTS, "outside.safetensors")],
    ids=["network", "weights of a part"],
)
def test_files_outside_of_a_model_folder_need_a_signature_of_their_own(
    tmp_path: Path, key: KeyFiles, card: str, name: str
) -> None:
    folder = model_folder(tmp_path / "model", card)
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("net/data", "x")
    sign(folder, key.private)
    assert f"{name} has no signature" in refusal(folder, key)
    sign(tmp_path / name, key.private)
    required(folder, key)


def test_data_for_a_bundled_model_need_a_signature(tmp_path: Path, key: KeyFiles) -> None:
    data = tmp_path / "photos"
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        (data / name / "1.png").write_bytes(b"pixels")
    required("digits", key)
    assert "photos has no signature" in refusal("digits", key, str(data))
    sign(data, key.private)
    required("digits", key, str(data))


def test_data_that_are_code_of_another_module_are_refused(key: KeyFiles) -> None:
    assert "'json:load' are code, which has no signature" in refusal("digits", key, "json:load")


def test_the_folder_of_a_language_model_must_be_signed_whole(tmp_path: Path, key: KeyFiles) -> None:
    folder = tmp_path / "chat"
    folder.mkdir()
    (folder / "genai_config.json").write_text('{"model": {"decoder": {"filename": "model.onnx"}}}')
    (folder / "model.onnx").write_bytes(b"weights")
    sign(folder / "genai_config.json", key.private)
    assert "chat has no signature" in refusal(folder, key)
    sign(folder, key.private)
    required(folder, key)
    (folder / "model.onnx").write_bytes(b"others")
    assert "'model.onnx' changed" in refusal(folder, key)


def test_the_text_that_a_language_model_is_scored_on_must_be_signed(tmp_path: Path, key: KeyFiles) -> None:
    (tmp_path / "text.txt").write_text("words")
    assert "text.txt has no signature" in refusal("tiny_llama", key, str(tmp_path / "text.txt"))
