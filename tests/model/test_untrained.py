"""A factory of an installed package that gives an untrained network is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.card import ModelCard, ModelOptions
from harness.model.network import is_untrained, load_network
from harness.model.resolve import resolve
from tests.model.folders import make_folder

INPUT = ("image:float32:1x3x64x64",)


def card_of(source: str, *, random_weights: bool = False) -> ModelCard:
    return resolve(source, ModelOptions(inputs=INPUT, random_weights=random_weights))


def test_a_factory_of_torchvision_without_weights_is_untrained() -> None:
    card = card_of("torchvision.models:squeezenet1_1")
    assert is_untrained(card, load_network(card))


def test_whoever_asks_for_random_weights_needs_no_notice() -> None:
    card = card_of("torchvision.models:squeezenet1_1", random_weights=True)
    assert not is_untrained(card, load_network(card))


@pytest.mark.parametrize("seeded", [True, False])
def test_a_factory_of_the_users_own_is_believed(tmp_path: Path, seeded: bool) -> None:
    network = "import torch\nfrom torch import nn\n\ndef build():\n"
    network += "    torch.manual_seed(0)\n" if seeded else ""
    folder = make_folder(tmp_path / "own", network=network + "    return nn.Linear(4, 3)\n")
    card = resolve(str(folder), ModelOptions())
    assert not is_untrained(card, load_network(card))
