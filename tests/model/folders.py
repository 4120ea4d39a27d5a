"""Small model folders for the tests: a two-layer network from four numbers to three classes."""

from __future__ import annotations

from pathlib import Path

CARD = """\
[model]
name = "own"
task = "classification"
source = "network:build"
license = "MIT"

[[input]]
name = "x"
dtype = "float32"
shape = [1, 4]
"""

NETWORK = """\
from torch import nn


def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
"""


def make_folder(folder: Path, *, card: str = CARD, network: str = NETWORK, **files: str) -> Path:
    """Write a model folder; each of ``files`` is the text of the Python file of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("model.toml").write_text(card, encoding="utf-8")
    for name, text in {"network": network, **files}.items():
        folder.joinpath(f"{name}.py").write_text(text, encoding="utf-8")
    return folder
